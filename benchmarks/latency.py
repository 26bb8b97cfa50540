"""From publishing an event to the receiver that has it, one event at a time.

Publisher and receiver are one process on one core, so that one clock times both; the whole server
has the other. Events are apart long enough that the server has nothing else to do, and by a
different time each, so that they do not fall in step with its checks.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import uvloop

from benchmarks import stores
from benchmarks.clients import PROTO, connect, publish_request
from benchmarks.options import Options
from benchmarks.results import Result, spread, table
from benchmarks.servers import memory_mib, server
from benchmarks.sink import Sink

NAME = "latency"
_STEPS = 17
_STEP_S = 0.0037
_PATIENCE_S = 10.0


class Receiver(Sink):
    """The sink, and when a request began to arrive."""

    def __init__(self, arrived: asyncio.Queue[float]) -> None:
        super().__init__()
        self._arrived = arrived

    def data_received(self, data: bytes) -> None:
        self._arrived.put_nowait(time.perf_counter())
        super().data_received(data)


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Timed:
    """The number of events, the idle time of a started server before them, and the content of its store."""

    events: int
    settle_s: float = 0.0
    fill: Callable[[], Awaitable[None]] = _nothing


def run(options: Options) -> Result:
    """A round is one server and many events."""
    count = options.count or options.of(400, 20)
    result = Result(NAME, {"events": count, **options.environ})
    for _ in range(options.rounds or options.of(3, 1)):
        with tempfile.TemporaryDirectory(dir=options.scratch) as directory:
            result.rounds.append(uvloop.run(timed(Path(directory), Timed(count), options)))
    result.table = table(
        ("", "p50 ms", "p99 ms"),
        [
            (
                shown,
                spread([figures[f"{name}_p50_ms"] for figures in result.rounds], ".1f"),
                spread([figures[f"{name}_p99_ms"] for figures in result.rounds], ".1f"),
            )
            for name, shown in (("answered", "publish answered"), ("received", "receiver has it"))
        ],
    )
    return result


async def timed(data_dir: Path, how: Timed, options: Options) -> dict[str, float]:
    """One server, and the delays of the events of a target that answers."""
    arrived: asyncio.Queue[float] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    receiving = await loop.create_server(lambda: Receiver(arrived), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{receiving.sockets[0].getsockname()[1]}/hook"
    await asyncio.to_thread(stores.prepare, data_dir, url)
    await how.fill()
    async with receiving:
        with server(data_dir, options) as asked:
            request = publish_request(asked, PROTO, 1, event_type=stores.EVENT_TYPE)
            client = await connect(asked.port)
            await asyncio.sleep(how.settle_s)
            pairs = [await _once(client, request, arrived, step) for step in range(how.events)]
            client.close()
            return {**_summary(pairs), "mib": memory_mib(asked)}


async def _once(client, request: bytes, arrived: asyncio.Queue[float], step: int):
    await asyncio.sleep(0.03 + step % _STEPS * _STEP_S)
    begun = time.perf_counter()
    await client.call(request)
    answered = time.perf_counter()
    async with asyncio.timeout(_PATIENCE_S):
        received = await arrived.get()
    return answered - begun, received - begun


def _summary(pairs: list[tuple[float, float]]) -> dict[str, float]:
    summary = {}
    for name, times in zip(("answered", "received"), zip(*pairs, strict=True), strict=True):
        cuts = quantiles(times, n=100)
        summary |= {f"{name}_p50_ms": cuts[49] * 1e3, f"{name}_p99_ms": cuts[98] * 1e3}
    return summary
