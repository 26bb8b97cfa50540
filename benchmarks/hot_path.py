"""Profile a delivery: the event loop of a worker under cProfile, and CPU by thread.

A worker drains a backlog as in `deliveries`, once as it is, for the CPU time of its threads: the
event loop (claim, sign, send, read, settle) and the store's threads. Then it drains the
same under the profiler, which makes every call of a Python function slower: read the shares and
the number of calls, not the times. The profile itself is kept in the raw result.
"""

from __future__ import annotations

import pstats
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import stores
from benchmarks.machine import cores
from benchmarks.options import Options
from benchmarks.processes import sink, started, thread_cpu_seconds, wait_until
from benchmarks.results import Result, table

NAME = "hot_path"
_SHOWN = 40


def run(options: Options) -> Result:
    """One round: threads first, then functions."""
    count = options.count or options.of(20_000, 500)
    result = Result(NAME, {"deliveries": count, **options.environ})
    with tempfile.TemporaryDirectory(dir=options.scratch) as directory:
        file = Path(directory, "profile")
        threads = _drained(count, options, [])
        _drained(count, options, ["-m", "cProfile", "-o", str(file)])
        functions = _functions(file, count)
    result.rounds.append({"threads_us": threads, "functions": functions})
    shares = [(name, f"{us:.1f}") for name, us in threads.items()]
    rows = [
        (
            function["where"],
            f"{function['calls']:.2f}",
            f"{function['own_us']:.1f}",
            f"{function['share']:.1%}",
        )
        for function in functions
    ]
    result.table = "\n\n".join(
        [
            table(("thread", "CPU µs a delivery"), shares),
            table(("function", "calls a delivery", "own µs, profiled", "share"), rows),
        ]
    )
    return result


def _drained(count: int, options: Options, before: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=options.scratch) as directory, sink(cores()[1]) as url:
        data_dir = Path(directory)
        environ = stores.environ(data_dir, **options.environ)
        stores.prepare(data_dir, url, environ)
        stores.add_pending(data_dir, count, due_in=timedelta(0), more=environ)
        arguments = [*before, "-m", "outrider.worker_main"]
        with (
            stores.DeliveryTable(data_dir, environ) as deliveries,
            started(arguments, cores=frozenset({cores()[0]}), environ=environ) as worker,
        ):
            wait_until(lambda: deliveries.workers() > 0, at_most_s=30, every_s=0.01, what="it")
            used = thread_cpu_seconds(worker.pid)
            wait_until(
                lambda: not deliveries.has_open_deliveries(),
                at_most_s=300,
                every_s=0.05,
                what="the last delivery",
            )
            after = thread_cpu_seconds(worker.pid)
            return {
                name: (seconds - used.get(name, 0.0)) / count * 1e6
                for name, seconds in after.items()
            }


def _functions(file: Path, count: int) -> list[dict[str, Any]]:
    """The functions with the most own time, and the share of all profiled time."""
    stats = pstats.Stats(str(file)).stats
    total = sum(own for _, _, own, _, _ in stats.values())
    ordered = sorted(stats.items(), key=lambda item: -item[1][2])[:_SHOWN]
    return [
        {
            "where": _where(*location),
            "calls": calls / count,
            "own_us": own / count * 1e6,
            "share": own / total,
        }
        for location, (_, calls, own, _, _) in ordered
    ]


def _where(file: str, line: int, name: str) -> str:
    if not line:
        return name
    short = "/".join(Path(file).parts[-3:])
    return f"{short}:{line} {name}"
