"""Deliveries per second of one worker, against the bare POST loop of the same caller.

One worker process has one core; the receiver, a sink that accepts everything, has the other. The
store is SQLite on a disk, every commit with a full fsync; or PostgreSQL, beside the receiver. A backlog falls due at one moment; the
worker claims, signs, sends and settles it. What it is compared with sends as many bytes and as
many headers through the same caller, and does nothing else: no store, no signature, no log.

The rate comes from the times that the worker itself recorded, from the first 5 % to the last.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks import stores
from benchmarks.machine import cores
from benchmarks.options import Options
from benchmarks.processes import cpu_seconds, sink, started, wait_until
from benchmarks.results import Result, spread, table
from outrider.ambient import utc_now

NAME = "deliveries"
_RAMP = 0.05
_HEADS = ("", "per second", "CPU µs each")


def run(options: Options) -> Result:
    """A round is the bare loop, then the worker."""
    count = options.count or options.of(20_000, 2_000)
    facts = {"deliveries": count, "body_bytes": stores.BODY_BYTES, "database": options.database}
    result = Result(NAME, {**facts, **options.environ})
    for _ in range(options.rounds or options.of(7, 1)):
        with sink(cores()[1]) as url, stores.database(options) as environ:
            bare = _bare(url, count)
            worker = _drain(url, count, replace(options, environ=environ))
        result.rounds.append(
            {
                "bare": bare,
                "worker": worker,
                "rate_ratio": worker["per_s"] / bare["per_s"],
                "cpu_ratio": bare["cpu_us"] / worker["cpu_us"],
            }
        )
    result.table = _table(result)
    return result


def _bare(url: str, calls: int) -> dict[str, float]:
    arguments = ["-m", "benchmarks.bare", url, str(calls), str(stores.BODY_BYTES)]
    with started(arguments, cores=frozenset({cores()[0]})) as process:
        return json.loads(process.stdout.readline())


def _drain(url: str, count: int, options: Options) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=options.scratch) as directory:
        data_dir = Path(directory)
        environ, only = stores.environ(data_dir, **options.environ), frozenset({cores()[0]})
        stores.prepare(data_dir, url, environ)
        with (
            stores.DeliveryTable(data_dir, environ) as deliveries,
            started(["-m", "outrider.worker_process"], cores=only, environ=environ) as worker,
        ):
            wait_until(deliveries.has_worker, at_most_s=30, every_s=0.01, what="the worker")
            due_at = stores.owe(
                data_dir, count, due_in=timedelta(seconds=1 + count / 5000), more=environ
            )
            _sleep_until(due_at - timedelta(milliseconds=30))
            cpu = -cpu_seconds([worker.pid])
            wait_until(
                lambda: not deliveries.has_open_deliveries(),
                at_most_s=300,
                every_s=0.02,
                what="the last delivery",
            )
            cpu += cpu_seconds([worker.pid])
            return _measured(deliveries, count, cpu)


def _measured(deliveries: stores.DeliveryTable, count: int, cpu: float) -> dict[str, float]:
    if (delivered := deliveries.delivered()) != count:
        raise RuntimeError(f"{delivered} of {count} deliveries were delivered at once")
    finished_at = deliveries.finished_at()
    ramp = int(count * _RAMP)
    seconds = (finished_at[-1] - finished_at[ramp]) / 1e6
    later = sum(at > finished_at[ramp] for at in finished_at)
    return {"per_s": later / seconds, "cpu_us": cpu / count * 1e6}


def _sleep_until(at: datetime) -> None:
    time.sleep(max(0.0, (at - utc_now()).total_seconds()))


def _table(result: Result) -> str:
    rows = [
        (
            name,
            spread([each[name]["per_s"] for each in result.rounds]),
            spread([each[name]["cpu_us"] for each in result.rounds], ".1f"),
        )
        for name in ("bare", "worker")
    ]
    ratios = [
        spread([each[name] for each in result.rounds], ".3f")
        for name in ("rate_ratio", "cpu_ratio")
    ]
    return table(_HEADS, [*rows, ("worker : bare, within a round", *ratios)])
