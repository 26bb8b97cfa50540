"""A store behind a door: its writes can be held up, refused, or lose their answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from outrider.usecases.ports.store import Store, Unit

T = TypeVar("T")


class StoreDown(Exception):
    """What a store says that cannot be reached."""


class Door:
    """`ports.Store` in front of another one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open = asyncio.Event()
        self._open.set()
        self._knocked = asyncio.Event()
        self.refusals = 0
        self.lost_answers = 0
        self.changes_refused = 0
        self.sees_changes = True

    def shut(self) -> None:
        """Let writes wait from now on."""
        self._open.clear()
        self._knocked.clear()

    def open(self) -> None:
        """Let them in."""
        self._open.set()

    async def knocked(self) -> None:
        """Wait until a write waits at the door."""
        async with asyncio.timeout(20):
            await self._knocked.wait()

    async def write(self, work: Callable[[Unit], T], *, shared: bool = False) -> T:
        """See the port. `refusals` writes fail before, `lost_answers` after they were committed.

        As with the real one, a write goes on when nobody waits for it any more.
        """
        return await asyncio.shield(asyncio.ensure_future(self._let_in(work)))

    async def read(self, work: Callable[[Unit], T]) -> T:
        """See the port."""
        return await self._store.read(work)

    async def changes(self) -> int:
        """See the port. Fails `changes_refused` times; nothing moves unless `sees_changes`."""
        if self.changes_refused:
            self.changes_refused -= 1
            raise StoreDown
        return await self._store.changes() if self.sees_changes else 0

    def subscribe(self, tell: Callable[[], None]) -> None:
        """See the port."""
        self._store.subscribe(tell)

    async def _let_in(self, work: Callable[[Unit], T]) -> T:
        self._knocked.set()
        await self._open.wait()
        if self.refusals:
            self.refusals -= 1
            raise StoreDown
        result = await self._store.write(work)
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreDown
        return result
