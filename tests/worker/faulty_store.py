"""A store that fails on demand: its writes can be delayed, refused, or lose their result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from outrider.usecases.ports.store import LIGHT, Load, Store, Unit

T = TypeVar("T")


class StoreDown(Exception):
    """Raised when the store cannot be reached."""


class FaultyStore:
    """`Store` in front of another one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open = asyncio.Event()
        self._open.set()
        self._blocked = asyncio.Event()
        self.failures = 0
        self.lost_results = 0
        self.changes_failures = 0
        self.sees_changes = True

    def block(self) -> None:
        """Let writes wait from now on."""
        self._open.clear()
        self._blocked.clear()

    def unblock(self) -> None:
        """Release the waiting calls."""
        self._open.set()

    async def blocked(self) -> None:
        """Wait until a write waits."""
        async with asyncio.timeout(20):
            await self._blocked.wait()

    async def write(
        self, work: Callable[[Unit], T], *, shared: bool = False, load: Load = LIGHT
    ) -> T:
        """`failures` writes fail before, `lost_results` after they were committed.

        As with the real one, a write continues when its caller does not wait any more.
        """
        return await asyncio.shield(asyncio.ensure_future(self._pass(work)))

    async def read(self, work: Callable[[Unit], T]) -> T:
        return await self._store.read(work)

    async def check_writable(self) -> None:
        await self._store.check_writable()

    async def changes(self) -> int:
        """Fails `changes_failures` times; nothing moves unless `sees_changes`."""
        if self.changes_failures:
            self.changes_failures -= 1
            raise StoreDown
        return await self._store.changes() if self.sees_changes else 0

    def subscribe(self, tell: Callable[[], None]) -> None:
        self._store.subscribe(tell)

    async def _pass(self, work: Callable[[Unit], T]) -> T:
        self._blocked.set()
        await self._open.wait()
        if self.failures:
            self.failures -= 1
            raise StoreDown
        result = await self._store.write(work)
        if self.lost_results:
            self.lost_results -= 1
            raise StoreDown
        return result
