"""Resident memory of a whole server: idle, with a long queue, and after work.

The sum over its processes of the proportional set size: a page that several share counts once.
The queue is due in an hour, so that it lies in the store and no worker works on it.
"""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from pathlib import Path

from benchmarks import stores
from benchmarks.machine import cores
from benchmarks.options import Options
from benchmarks.processes import command_of, cpu_seconds, pss_mib, sink, wait_until
from benchmarks.results import Result, spread, table
from benchmarks.servers import Server, server

NAME = "memory"
_ROLES = {"outrider.worker_main": "worker", "envoy": "api", "serve": "supervisor"}


def run(options: Options) -> Result:
    """A round is one server each for the three states."""
    count = options.count or options.of(100_000, 2_000)
    result = Result(NAME, {"queue": count, **options.environ})
    for _ in range(options.rounds or options.of(3, 1)):
        result.rounds.append(
            {
                "idle": _idle(options),
                "queue": _with_queue(options, count),
                "worked": _after_work(options, count // 5),
            }
        )
    result.table = _table(result, count)
    return result


def _idle(options: Options) -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory(dir=options.scratch) as directory,
        server(Path(directory), options) as resting,
    ):
        return _measured(resting, options)


def _with_queue(options: Options, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=options.scratch) as directory:
        data_dir = Path(directory)
        stores.prepare(data_dir, "http://127.0.0.1:9/")
        stores.wait_for_retries(data_dir, count, due_in=timedelta(hours=1))
        with server(data_dir, options) as resting:
            return _measured(resting, options)


def _after_work(options: Options, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=options.scratch) as directory, sink(cores()[1]) as url:
        data_dir = Path(directory)
        stores.prepare(data_dir, url)
        stores.add_pending(data_dir, count, due_in=timedelta(0))
        with stores.DeliveryTable(data_dir) as deliveries, server(data_dir, options) as worked:
            wait_until(
                lambda: not deliveries.has_open_deliveries(),
                at_most_s=300,
                every_s=0.1,
                what="the last delivery",
            )
            return _measured(worked, options)


def _measured(resting: Server, options: Options) -> dict[str, float]:
    """MiB by role and in all, and how busy a server is that has nothing to do."""
    seconds = options.of(5.0, 0.5)
    time.sleep(seconds)
    processes = resting.processes()
    cpu = -cpu_seconds(processes)
    time.sleep(seconds)
    cpu += cpu_seconds(processes)
    roles = {_role(command_of(pid)): pss_mib(pid) for pid in processes}
    return {**roles, "all": sum(roles.values()), "cpu_percent": cpu / seconds * 100}


def _role(command: str) -> str:
    return next(role for word, role in _ROLES.items() if word in command)


def _table(result: Result, count: int) -> str:
    columns = ("all", *_ROLES.values(), "cpu_percent")
    names = {
        "idle": "idle, empty store",
        "queue": f"idle, {count:,} deliveries due in an hour",
        "worked": f"idle again after {count // 5:,} deliveries",
    }
    rows = [
        (
            shown,
            *(
                spread([figures[state][column] for figures in result.rounds], ".1f")
                for column in columns
            ),
        )
        for state, shown in names.items()
    ]
    return table(
        ("", "MiB in all", *(f"{role}" for role in _ROLES.values()), "CPU % of a core"), rows
    )
