"""Publishing: calls and events per second through a whole server, over loopback HTTP.

The server's processes (Envoy with the API inside, the supervisor, one idle worker) have one core,
the clients the other. An answer comes when the events are on the disk. The events match no
execution, so that this is the price of publishing alone; in the rows `+ delivery` each event has
one delivery to the sink on the clients' core, and the same core delivers while it takes more in.
"""

from __future__ import annotations

import tempfile
import time
from itertools import product
from pathlib import Path
from statistics import quantiles

import uvloop

from benchmarks import stores
from benchmarks.clients import JSON, PROTO, load, publish_request
from benchmarks.machine import cores
from benchmarks.options import Options
from benchmarks.processes import cpu_seconds, sink
from benchmarks.results import Result, spread, table
from benchmarks.servers import Server, server

NAME = "publish"
UNROUTED = "user.human.deactivated"
_CASES = [
    *product((JSON, PROTO), (1, 100), (1, 16, 64), (UNROUTED,)),
    *product((PROTO,), (1, 100), (16,), (stores.EVENT_TYPE,)),
]
_QUICK_CASES = [(JSON, 1, 1, UNROUTED), (PROTO, 100, 16, stores.EVENT_TYPE)]
_HEADS = (
    "wire",
    "events a call",
    "connections",
    "calls/s",
    "events/s",
    "p50 ms",
    "p99 ms",
    "CPU µs an event",
)


def run(options: Options) -> Result:
    """A round is a fresh server and every cell once."""
    seconds = options.of(2.0, 0.3)
    cases = options.of(_CASES, _QUICK_CASES)
    result = Result(NAME, {"seconds": seconds, "body_bytes": stores.BODY_BYTES, **options.environ})
    for _ in range(options.rounds or options.of(3, 1)):
        with tempfile.TemporaryDirectory(dir=options.scratch) as directory, sink(cores()[1]) as url:
            data_dir = Path(directory)
            stores.prepare(data_dir, url)
            with server(data_dir, options) as under_load:
                result.rounds.append(
                    {_name(case): _measure(under_load, case, seconds) for case in cases}
                )
    result.table = _table(result, cases)
    return result


def _measure(under_load: Server, case: tuple, seconds: float) -> dict[str, float]:
    wire, events, connections, event_type = case
    request = publish_request(under_load, wire, events, event_type=event_type)
    uvloop.run(load(under_load.port, request, connections, seconds / 10))
    processes = under_load.processes()
    cpu, begun = cpu_seconds(processes), time.perf_counter()
    times = uvloop.run(load(under_load.port, request, connections, seconds))
    wall, cpu = time.perf_counter() - begun, cpu_seconds(processes) - cpu
    cuts = quantiles(times, n=100) if len(times) > 1 else times * 99
    return {
        "calls_per_s": len(times) / wall,
        "events_per_s": len(times) * events / wall,
        "p50_ms": cuts[49] * 1e3,
        "p99_ms": cuts[98] * 1e3,
        "cpu_us_per_event": cpu / (len(times) * events) * 1e6,
    }


def _name(case: tuple) -> str:
    wire, events, connections, event_type = case
    more = " + delivery" if event_type == stores.EVENT_TYPE else ""
    return f"{wire} {events} x {connections}{more}"


def _table(result: Result, cases: list[tuple]) -> str:
    rows = []
    for case in cases:
        wire, events, connections, event_type = case
        measured = [figures[_name(case)] for figures in result.rounds]
        rows.append(
            (
                f"{wire} + delivery" if event_type == stores.EVENT_TYPE else wire,
                str(events),
                str(connections),
                spread([figures["calls_per_s"] for figures in measured]),
                spread([figures["events_per_s"] for figures in measured]),
                spread([figures["p50_ms"] for figures in measured], ".1f"),
                spread([figures["p99_ms"] for figures in measured], ".1f"),
                spread([figures["cpu_us_per_event"] for figures in measured], ".0f"),
            )
        )
    return table(_HEADS, rows)
