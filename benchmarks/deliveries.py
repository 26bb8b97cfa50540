"""Deliveries per second of one worker, against the bare POST loop of the same client.

One worker process has one core; the receiver, a sink that accepts everything, has the other. The
store is SQLite on a disk, every commit with a full fsync; or PostgreSQL, on the receiver's core. A backlog falls due at one moment; the
worker claims, signs, sends and settles it. What it is compared with sends as many bytes and as
many headers through the same client, and does nothing else: no store, no signature, no log.

The rate comes from the times that the worker itself recorded, from the first 5 % to the last.
"""

from __future__ import annotations

import json
from dataclasses import replace

from benchmarks import stores
from benchmarks.draining import Backlog, drain
from benchmarks.machine import cores
from benchmarks.options import Options
from benchmarks.processes import sink, started
from benchmarks.results import Result, spread, table

NAME = "deliveries"
_HEADS = ("", "per second", "CPU µs each")


def run(options: Options) -> Result:
    """A round is the bare loop, then the worker."""
    count = options.count or options.of(20_000, 2_000)
    facts = {"deliveries": count, "body_bytes": stores.BODY_BYTES, "database": options.database}
    result = Result(NAME, {**facts, **options.environ})
    for _ in range(options.rounds or options.of(7, 1)):
        with sink(cores()[1]) as url, stores.database(options) as environ:
            bare = _bare(url, count)
            worker = drain(url, Backlog(count), replace(options, environ=environ))
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


def _table(result: Result) -> str:
    rows = [
        (
            name,
            spread([figures[name]["per_s"] for figures in result.rounds]),
            spread([figures[name]["cpu_us"] for figures in result.rounds], ".1f"),
        )
        for name in ("bare", "worker")
    ]
    ratios = [
        spread([figures[name] for figures in result.rounds], ".3f")
        for name in ("rate_ratio", "cpu_ratio")
    ]
    return table(_HEADS, [*rows, ("worker : bare, within a round", *ratios)])
