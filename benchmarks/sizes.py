"""The cost of size: deliveries per second at many targets, and in a store with many rows.

One worker on one core drains the same backlog each time, as in `deliveries`. The backlog is spread
over more and more targets that share one receiver; then it goes to one target, in a store with
more and more deliveries that wait ten hours for a retry. The aim: flat to within 30 %.
`--count` is the backlog; `--max-targets` and `--max-rows` say how far to go.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import stores
from benchmarks.draining import Backlog, Filled, drain
from benchmarks.machine import cores
from benchmarks.options import Options
from benchmarks.processes import sink
from benchmarks.results import Result, spread, table

NAME = "sizes"
TARGETS = (1, 100, 1_000, 10_000)
ROWS = (0, 100_000, 1_000_000, 5_000_000)
_QUICK = {"targets": (1, 10), "rows": (0, 1_000)}
_HEADS = ("", "per second", "of the smallest", "CPU µs each")


def run(options: Options) -> Result:
    """A round is one drained backlog of each size."""
    count = options.count or options.of(20_000, 1_000)
    sizes = _QUICK if options.is_quick else _sizes(options)
    facts = {"deliveries": count, **sizes, "database": options.database}
    result = Result(NAME, {**facts, **options.environ})
    with sink(cores()[1]) as url, TemporaryDirectory(dir=options.scratch) as directory:
        filled = Filled(Path(directory), url)
        for _ in range(options.rounds or options.of(3, 1)):
            result.rounds.append(
                {
                    "targets": {
                        str(size): _drained(url, Backlog(count, targets=size), options)
                        for size in sizes["targets"]
                    },
                    "rows": {
                        str(size): _drained(url, Backlog(count, rows=size), options, filled)
                        for size in sizes["rows"]
                    },
                }
            )
    result.table = _table(result, sizes)
    return result


def _sizes(options: Options) -> dict[str, tuple[int, ...]]:
    bounds = {"targets": options.max_targets, "rows": options.max_rows}
    return {
        kind: tuple(size for size in kind_sizes if size <= bounds[kind])
        for kind, kind_sizes in (("targets", TARGETS), ("rows", ROWS))
    }


def _drained(
    url: str, backlog: Backlog, options: Options, filled: Filled | None = None
) -> dict[str, float]:
    if options.database != "sqlite":
        filled = None
    with stores.database(options) as environ:
        return drain(url, backlog, replace(options, environ=environ), filled=filled)


def _table(result: Result, sizes: dict[str, tuple[int, ...]]) -> str:
    rows = []
    for kind, kind_sizes in sizes.items():
        for size in kind_sizes:
            measured = [taken[kind][str(size)] for taken in result.rounds]
            smallest = [taken[kind][str(kind_sizes[0])] for taken in result.rounds]
            pairs = zip(measured, smallest, strict=True)
            rows.append(
                (
                    f"{size:,} {kind}",
                    spread([one["per_s"] for one in measured]),
                    spread([one["per_s"] / base["per_s"] for one, base in pairs], ".2f"),
                    spread([one["cpu_us"] for one in measured], ".1f"),
                )
            )
    return table(_HEADS, rows)
