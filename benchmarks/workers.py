"""Deliveries per second of one and of two worker processes on one PostgreSQL, and the ratio.

The first worker has a separate core; the second one shares the other core with PostgreSQL and the
receiver, because machines with two cores have no third. The rate of two is a lower bound there.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks import stores
from benchmarks.draining import Backlog, drain
from benchmarks.machine import cores, usable_cores
from benchmarks.options import Options
from benchmarks.processes import sink
from benchmarks.results import Result, spread, table

NAME = "workers"


def run(options: Options) -> Result:
    """A round is one worker, then two, each with a new database."""
    count = options.count or options.of(20_000, 500)
    options = replace(options, database="postgresql")
    result = Result(NAME, {"deliveries": count, **options.environ})
    for _ in range(options.rounds or options.of(5, 1)):
        one, two = (_drained(count, workers, options) for workers in (1, 2))
        result.rounds.append({"one": one, "two": two, "ratio": two["per_s"] / one["per_s"]})
    rows = [
        (
            "one worker" if name == "one" else "two workers",
            spread([figures[name]["per_s"] for figures in result.rounds]),
            spread([figures[name]["cpu_us"] for figures in result.rounds], ".1f"),
        )
        for name in ("one", "two")
    ]
    ratio = spread([figures["ratio"] for figures in result.rounds], ".2f")
    heads = ("PostgreSQL", "per second", "CPU µs each")
    result.table = table(heads, [*rows, ("two : one, within a round", ratio, "")])
    return result


def _drained(count: int, workers: int, options: Options) -> dict[str, float]:
    # The core of the driver comes last: it is shared with the receiver.
    free = [*sorted(usable_cores() - {cores()[1]}), cores()[1]]
    with sink(cores()[1]) as url, stores.database(options) as environ:
        return drain(
            url, Backlog(count), replace(options, environ=environ), on_cores=free[:workers]
        )
