"""The cost of an interception: over the bare POST, when nothing matches, with a hung target.

The engine has one core; the receiver, a sink that accepts everything, has the other. The bare POST
sends the same bytes with the same headers through the engine's own client, alternating with the
interceptions. The API's figure is a whole server on the first core, and its client on the other.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import uvloop

from benchmarks.clients import connect
from benchmarks.intercepting import FEW, MANY, MESSAGE, METHODS, prepare
from benchmarks.machine import cores
from benchmarks.options import Options
from benchmarks.processes import sink, started
from benchmarks.results import Result, spread, table
from benchmarks.servers import Server, server

NAME = "interceptions"
_SILENT = Path(__file__).with_name("silent.py")
_PATH = "/outrider.v1.InterceptionService/InterceptRequest"


def run(options: Options) -> Result:
    """A round is every measure once, but memory: that is one long run. `--count` is its length."""
    calls, many = options.of(20_000, 200), options.count or options.of(1_000_000, 2_000)
    result = Result(NAME, {"calls": calls, "memory_calls": many, **options.environ})
    with _receivers(options) as data_dir:
        for _ in range(options.rounds or options.of(5, 1)):
            result.rounds.append(_round(data_dir, calls, options))
        result.rounds[0]["memory"] = _measured("memory", data_dir, many)
    result.table = _table(result)
    return result


@contextmanager
def _receivers(options: Options) -> Iterator[Path]:
    """A data directory whose targets are at a sink, and one at a receiver that never answers."""
    driving = frozenset({cores()[1]})
    with (
        tempfile.TemporaryDirectory(dir=options.scratch) as directory,
        sink(cores()[1]) as url,
        started([_SILENT], cores=driving) as silent,
    ):
        hung_url = f"http://127.0.0.1:{int(silent.stdout.readline())}/hook"
        asyncio.run(prepare(Path(directory), url, hung_url))
        yield Path(directory)


def _round(data_dir: Path, calls: int, options: Options) -> dict[str, Any]:
    measured: dict[str, Any] = {
        name: _measured(name, data_dir, calls)
        for name in ("overhead", "unmatched", "routing", "hung")
    }
    with server(data_dir, options) as asked:
        measured["api"] = uvloop.run(_api(asked, max(50, calls // 10)))
    return measured


def _measured(name: str, data_dir: Path, count: int) -> dict[str, Any]:
    arguments = ["-m", "benchmarks.intercepting", name, str(data_dir), str(count)]
    with started(arguments, cores=frozenset({cores()[0]})) as process:
        return json.loads(process.stdout.readline())


async def _api(asked: Server, calls: int) -> dict[str, float]:
    """One call at a time over one connection, the first tenth not counted."""
    body = json.dumps({"fullMethod": METHODS[0], "request": MESSAGE}).encode()
    lines = (
        f"POST {_PATH} HTTP/1.1",
        f"Host: 127.0.0.1:{asked.port}",
        f"Authorization: Bearer {asked.token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "\r\n",
    )
    request = "\r\n".join(lines).encode() + body
    client = await connect(asked.port)
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        await client.call(request)
        times.append(time.perf_counter() - begun)
    client.close()
    cuts = quantiles(times[calls // 10 :], n=100)
    return {"p50_us": cuts[49] * 1e6, "p99_us": cuts[98] * 1e6}


def _table(result: Result) -> str:
    rounds = result.rounds

    def column(measure: str, name: str, form: str = ",.1f") -> str:
        return spread([figures[measure][name] for figures in rounds], form)

    def derived(form: str, over: Any) -> str:
        return spread([over(figures) for figures in rounds], form)

    memory = rounds[0]["memory"]
    rows = [
        ("bare POST", column("overhead", "bare_p50_us"), column("overhead", "bare_p99_us")),
        ("engine", column("overhead", "engine_p50_us"), column("overhead", "engine_p99_us")),
        (
            "engine over bare",
            derived("+,.1f", lambda it: _over(it["overhead"], "p50")),
            derived("+,.1f", lambda it: _over(it["overhead"], "p99")),
        ),
        ("API over loopback", column("api", "p50_us"), column("api", "p99_us")),
        (
            "API over bare",
            derived("+,.1f", lambda it: it["api"]["p50_us"] - it["overhead"]["bare_p50_us"]),
            derived("+,.1f", lambda it: it["api"]["p99_us"] - it["overhead"]["bare_p99_us"]),
        ),
        (
            "nothing matches",
            column("unmatched", "p50_us", ".2f"),
            column("unmatched", "p99_us", ".2f"),
        ),
        (f"routing among {FEW}", column("routing", f"{FEW}_us", ".2f"), ""),
        (f"routing among {MANY:,}", column("routing", f"{MANY}_us", ".2f"), ""),
        ("900 concurrent", column("hung", "without_p50_us"), column("hung", "without_p99_us")),
        ("900 with 100 hung", column("hung", "with_p50_us"), column("hung", "with_p99_us")),
        ("memory left by each, bytes", f"{memory['bytes_each']:.2f}", ""),
    ]
    return table(["", "p50 µs", "p99 µs"], rows)


def _over(measured: dict[str, float], cut: str) -> float:
    return measured[f"engine_{cut}_us"] - measured[f"bare_{cut}_us"]
