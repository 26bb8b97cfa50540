"""Moments in the code that a test may wait for."""

from __future__ import annotations

import asyncio


class TestSignal:
    """A named moment. Costs one comparison where no test listens."""

    # pytest collects classes by their name.
    __test__ = False
    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: asyncio.Queue[object] | None = None

    def listen(self) -> None:
        """From now on, moments are kept until a test waits for them."""
        self._seen = asyncio.Queue()

    def send(self, value: object = None) -> None:
        """It happened."""
        if self._seen is not None:
            self._seen.put_nowait(value)

    async def wait(self) -> object:
        """Return the value of the next moment that was not waited for yet."""
        if self._seen is None:
            raise RuntimeError("listen first")
        return await self._seen.get()
