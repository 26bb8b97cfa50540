"""Clients that leave while targets run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from outrider.embed.asgi.bodies import Message, Receive

T = TypeVar("T")


class ClientDisconnected(Exception):
    """The client has left and waits for no response."""


class DisconnectWatcher:
    """A `receive` that can also be watched for the client's leaving. No message is lost."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._next: asyncio.Future[Message] | None = None

    async def __call__(self) -> Message:
        """The next message; several may wait for the same one."""
        if self._next is None:
            return await self._receive()
        message = await asyncio.shield(self._next)
        if message["type"] != "http.disconnect":
            self._next = None
        return message

    async def run_until_disconnect(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns. Raise `ClientDisconnected`, the work cancelled, when the client leaves."""
        working = asyncio.ensure_future(work)
        if self._next is None:
            self._next = asyncio.ensure_future(self._receive())
        try:
            either: set[asyncio.Future[Any]] = {working, self._next}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and not _is_disconnect(self._next):
                # Some servers send the end of the body again and again: then a disconnect cannot be seen.
                await asyncio.wait({working})
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait({working})
        if working.cancelled():
            raise ClientDisconnected
        return working.result()

    def close(self) -> None:
        """Stop waiting."""
        if self._next is not None and not self._next.cancel():
            # Retrieved, so that asyncio does not report it: the application is done.
            self._next.cancelled() or self._next.exception()


def _is_disconnect(message: asyncio.Future[Message]) -> bool:
    failed = message.cancelled() or message.exception() is not None
    return failed or message.result()["type"] == "http.disconnect"
