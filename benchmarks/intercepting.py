"""Interceptions of an engine, measured in a separate process.

    python -m benchmarks.intercepting MEASURE DATA_DIR COUNT

prints one JSON object. `benchmarks.interceptions` starts it, on a separate core.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import fmean, quantiles

import uvloop

from outrider.bootstrap.http_client import REQUEST_BUILDER
from outrider.domain.ids import ExecutionId, TargetId
from outrider.domain.interception.message import JSON_OBJECTS
from outrider.domain.interception.payload import (
    InterceptedCall,
    InterceptionPayload,
    method_lookup_id,
)
from outrider.domain.routing.condition import ConditionKind
from outrider.domain.routing.router import Router
from outrider.embed import Engine, on_request

METHODS = [f"/acme.v1.Shop/Method{number}" for number in range(10)]
HUNG = len(METHODS) - 1
MANY = 100_000
FEW = 1000
CONCURRENT = 1000
IN_FLIGHT = 64
BLOCKS = 20
SLICES = 5
MESSAGE = {"customer": "300000000000000004", "note": "a" * 200, "amount": 3}
_PAGE = os.sysconf("SC_PAGE_SIZE")

Step = Callable[[], Awaitable[object]]


async def prepare(data_dir: Path, url: str, hung_url: str) -> None:
    """Ten methods with a target each; the last one is bound to a receiver that never answers."""
    async with Engine.open(data_dir=data_dir, dev=True, deliver=False) as engine:
        await engine.register_methods(METHODS)
        for number, method in enumerate(METHODS):
            endpoint = hung_url if number == HUNG else url
            target = await engine.create_target(f"target {number}", endpoint, timeout=270)
            await engine.set_execution(on_request(method), [target])


async def overhead(engine: Engine, count: int) -> dict[str, float]:
    """The bare POST of a body, and the interception that sends the same body, block by block."""
    bare = await _bare_post(engine)

    async def intercept() -> None:
        await engine.intercept_request(METHODS[0], MESSAGE)

    times: dict[str, list[float]] = {"bare": [], "engine": []}
    steps: list[tuple[str, Step]] = [("bare", bare), ("engine", intercept)]
    for block in range(BLOCKS + 1):
        for name, step in steps:
            taken = await _timed(step, max(1, count // BLOCKS))
            # The first block warms both up.
            times[name] += taken if block else []
    return {
        f"{name}_{cut}_us": value
        for name, samples in times.items()
        for cut, value in _cuts(samples)
    }


async def _bare_post(engine: Engine) -> Step:
    """Send the same request by the client alone: same bytes, same headers."""
    interceptions = engine._open_components.interception.interceptions  # noqa: SLF001 - its own client
    instance = engine._open_components.actor.instance_id  # noqa: SLF001
    lookup_id = method_lookup_id(ConditionKind.REQUEST, METHODS[0])
    targets = interceptions.routing.routes(instance).match(lookup_id)[1]
    [resolved_target] = await interceptions.resolved_targets.of(instance, targets)
    payload = InterceptionPayload(
        InterceptedCall(full_method=METHODS[0]), instance, JSON_OBJECTS, MESSAGE
    )
    now = engine._open_components.context.runtime.now()  # noqa: SLF001
    call = REQUEST_BUILDER.build(resolved_target, payload.render(), message_id="1" * 19, now=now)
    client = interceptions.chain.target_client.http_client

    async def post() -> None:
        await client.send(call)

    return post


async def unmatched(engine: Engine, count: int) -> dict[str, float]:
    """A call that no execution is for, in batches: the clock takes longer than one of them."""
    batches = []
    for _ in range(max(2, count // 100)):
        begun = time.perf_counter()
        for _ in range(100):
            await engine.intercept_request("/acme.v1.Shop/Unknown", MESSAGE)
        batches.append((time.perf_counter() - begun) / 100)
    return {f"{cut}_us": value for cut, value in _cuts(batches)}


async def routing(_: Engine, count: int) -> dict[str, float]:
    """Asking routers of few and of many executions for what matches exactly, by group, and not."""
    return {f"{size}_us": _routing_us(size, count) for size in (FEW, MANY)}


def _routing_us(size: int, count: int) -> float:
    router = Router(
        {
            ExecutionId(f"request/acme.v{number % 97}.Shop/Method{number}"): [TargetId("1")]
            for number in range(size)
        }
    )
    asked = [
        text
        for number in range(0, size, max(1, size // 100))
        for text in (
            f"request/acme.v{number % 97}.Shop/Method{number}",
            f"request/acme.v{number % 97}.Shop/Method{number}/More",
            f"request/other.v{number}.Shop/Create",
        )
    ]
    # Text from elsewhere, as calls bring it: its hash is not known yet.
    rounds = [[str(name.encode(), "ascii") for name in asked] for _ in range(max(2, count // 300))]
    begun = time.perf_counter()
    for texts in rounds:
        for text in texts:
            router.match(text)
    return (time.perf_counter() - begun) / (len(rounds) * len(asked)) * 1e6


async def hung(engine: Engine, count: int) -> dict[str, float]:
    """The others' times with a thousand concurrent calls, alternately without and with the hung target."""
    quiet: list[float] = []
    beside: list[float] = []
    await _others(engine, 0)
    for _ in range(SLICES):
        quiet += await _others(engine, count // SLICES)
        stuck = [
            asyncio.create_task(engine.intercept_request(METHODS[HUNG], MESSAGE))
            for _ in range(CONCURRENT // len(METHODS))
        ]
        # Until all of them wait for an answer.
        await asyncio.sleep(0.2)
        beside += await _others(engine, count // SLICES)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
    return {
        **{f"without_{cut}_us": value for cut, value in _cuts(quiet)},
        **{f"with_{cut}_us": value for cut, value in _cuts(beside)},
    }


async def _others(engine: Engine, count: int) -> list[float]:
    """The nine targets that answer, with nine hundred concurrent calls; 0 only opens the connections."""
    times: list[float] = []
    others = CONCURRENT - CONCURRENT // len(METHODS)

    async def repeat(number: int) -> None:
        method = METHODS[number % HUNG]
        for _ in range(max(1, count // others)):
            begun = time.perf_counter()
            await engine.intercept_request(method, MESSAGE)
            times.append(time.perf_counter() - begun)

    async with asyncio.TaskGroup() as group:
        for number in range(others):
            group.create_task(repeat(number))
    return times


async def memory(engine: Engine, count: int) -> dict[str, object]:
    """Resident memory at eleven moments of `count` interceptions, and what each of them left."""
    remaining = iter(range(count))
    marks: list[float] = []
    every = max(1, count // 10)

    async def repeat() -> None:
        for number in remaining:
            if number % every == 0:
                marks.append(_resident_mib())
            await engine.intercept_request(METHODS[number % HUNG], MESSAGE)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(repeat())
    marks.append(_resident_mib())
    # The first tenth fills caches and pools.
    growth = (marks[-1] - marks[1]) * 2**20 / (count - every)
    return {
        "marks_mib": marks,
        "bytes_each": growth,
        "per_s": count / (time.perf_counter() - begun),
    }


async def _timed(step: Step, times: int) -> list[float]:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        await step()
        taken.append(time.perf_counter() - begun)
    return taken


def _cuts(seconds: list[float]) -> list[tuple[str, float]]:
    cuts = quantiles(seconds, n=100, method="inclusive")
    named = (("p50", cuts[49]), ("p99", cuts[98]), ("mean", fmean(seconds)))
    return [(name, value * 1e6) for name, value in named]


def _resident_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * _PAGE / 2**20


MEASURES = {
    measurement.__name__: measurement
    for measurement in (overhead, unmatched, routing, hung, memory)
}


async def main(measure: str, data_dir: Path, count: int) -> None:
    """Open the engine, measure once, print."""
    settings = {"data_dir": data_dir, "dev": True, "worker_concurrency": CONCURRENT}
    async with Engine.open(**settings, deliver=False) as engine:
        print(json.dumps(await MEASURES[measure](engine, count)), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
