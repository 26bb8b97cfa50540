"""Streams that only their caller ends must end when the server stops, or the stop waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from outrider.errors import Unavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The two moments of a stop.

    Once it is `announced` the server says that it is not ready and answers every call as before:
    balancers need some seconds to send calls elsewhere. Once it has `begun` no call comes in any
    more, and streams that only their caller ends end.
    """

    announced: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def announce(self) -> None:
        """The server stops soon. A second time changes nothing."""
        self.announced.set()

    def begin(self) -> None:
        """The server stops now, whether that was announced or not."""
        self.announced.set()
        self.begun.set()


def stopping_error() -> Unavailable:
    """Tells such a caller to come again, to another server."""
    return Unavailable(
        "the server is stopping", hint="call again: another server or its next start answers"
    )


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Return after this time, or immediately when the server stops."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()


async def until_shutdown(stopping: asyncio.Event, messages: AsyncIterator[T]) -> AsyncIterator[T]:
    """The messages as they come. Raise `Unavailable` when the server stops before the last."""
    stopped = asyncio.create_task(stopping.wait())
    waiting: set[asyncio.Future[Any]] = {stopped}
    try:
        while True:
            next_message = asyncio.ensure_future(anext(messages, None))
            waiting.add(next_message)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not next_message.done():
                raise stopping_error()
            waiting.discard(next_message)
            message = next_message.result()
            if message is None:
                return
            yield message
    finally:
        for future in waiting:
            future.cancel()
