"""Bodies of callers who are known only when the body was read, and what they may hold together.

Every other body is read after its caller was let in, by the headers alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from outrider.api.asgi.limits import (
    UNAUTHENTICATED_BYTES,
    UNAUTHENTICATED_BYTES_OF_ONE,
    UNAUTHENTICATED_SECONDS,
)
from outrider.api.asgi.types import BodyTooLargeError, Message, Receive, read_body
from outrider.errors import InvalidRequest, ResourceExhausted


class UnauthenticatedBodies:
    """The bodies of this process that nothing has been verified of yet. `size` is that of all of them."""

    def __init__(
        self,
        total: int = UNAUTHENTICATED_BYTES,
        of_one: int = UNAUTHENTICATED_BYTES_OF_ONE,
        seconds: float = UNAUTHENTICATED_SECONDS,
    ) -> None:
        self._total = total
        self._of_one = of_one
        self._seconds = seconds
        self._counts: Counter[str] = Counter()

    @property
    def size(self) -> int:
        """Return how many bytes they hold now."""
        return self._counts.total()

    @asynccontextmanager
    async def body(self, receive: Receive, limit: int, place: str) -> AsyncIterator[bytes]:
        """The whole body; its bytes count until the block ends.

        `place` is one of a few: who may be shut out by bodies like this one.

        Raises:
            BodyTooLargeError: it is longer than `limit`.
            DisconnectedError: the client left.
            InvalidRequest: it took too long.
            ResourceExhausted: such bodies hold all that they may.
        """
        size = 0

        async def receive_counted() -> Message:
            nonlocal size
            message = await receive()
            chunk = len(message.get("body", b""))
            if size + chunk > limit:
                raise BodyTooLargeError
            if (
                self._counts[place] + chunk > self._of_one
                or self._counts.total() + chunk > self._total
            ):
                raise ResourceExhausted("too many requests are being read, try again later")
            self._counts[place] += chunk
            size += chunk
            return message

        try:
            yield await self._in_time(read_body(receive_counted, limit))
        finally:
            self._counts[place] -= size

    async def _in_time(self, reading: Coroutine[Any, Any, bytes]) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                return await reading
        except TimeoutError:
            raise InvalidRequest(
                f"the body took longer than {self._seconds:g} s",
                hint="send the whole body without pauses",
            ) from None
