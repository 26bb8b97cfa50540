"""One way of handling a call, walked by threads and by event loops alike.

What happens is written down once, as a generator of steps that may have to wait. `walk` waits in this
thread; `walk_async` hands what would block to another one, and awaits the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

R = TypeVar("R")


@dataclass(frozen=True)
class Step:
    """Something to do whose result the generator waits for."""

    run: Callable[[], Any]
    """In a thread. What it returns is awaited if it can be."""

    run_async: Callable[[], Awaitable[Any]] | None = None
    """In a loop, if there is a way that does not block."""


Steps = Generator[Step, Any, R]


def walk(steps: Steps[R]) -> R:
    """Take every step in this thread. A coroutine gets a separate loop."""
    result: Any = None
    failure: Exception | None = None
    while True:
        try:
            step = steps.throw(failure) if failure else steps.send(result)
        except StopIteration as end:
            final: R = end.value
            return final
        result, failure = None, None
        try:
            result = _run(step)
        except Exception as raised:  # noqa: BLE001 - the generator knows what to do with it
            failure = raised


async def walk_async(steps: Steps[R]) -> R:
    """Take every step without holding up the loop."""
    result: Any = None
    failure: Exception | None = None
    while True:
        try:
            step = steps.throw(failure) if failure else steps.send(result)
        except StopIteration as end:
            final: R = end.value
            return final
        result, failure = None, None
        try:
            result = await _run_async(step)
        except Exception as raised:  # noqa: BLE001 - the generator knows what to do with it
            failure = raised


def _run(step: Step) -> Any:
    result = step.run()
    if not inspect.isawaitable(result):
        return result
    import asyncio  # noqa: PLC0415 - who has coroutines has it; importing it costs the others

    return asyncio.run(_awaited(result))


async def _run_async(step: Step) -> Any:
    import asyncio  # noqa: PLC0415

    if step.run_async is not None:
        return await step.run_async()
    result = await asyncio.to_thread(step.run)
    return await result if inspect.isawaitable(result) else result


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result
