"""A store whose writes wait, fail, or are counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from outrider.usecases.ports.store import LIGHT, Load, Store, Unit

T = TypeVar("T")


class BarrierStore:
    """Passes everything on. Writes wait until `is_open` is set; with `fails` they fail."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.fails = False
        self.reads = 0

    async def write(
        self, work: Callable[[Unit], T], *, shared: bool = False, load: Load = LIGHT
    ) -> T:
        await self.is_open.wait()
        if self.fails:
            raise OSError("the disk is full")
        return await self.store.write(work, shared=shared, load=load)

    async def read(self, work: Callable[[Unit], T]) -> T:
        self.reads += 1
        return await self.store.read(work)

    async def check_writable(self) -> None:
        await self.store.check_writable()

    async def changes(self) -> int:
        return await self.store.changes()

    def subscribe(self, tell: Callable[[], None]) -> None:
        self.store.subscribe(tell)
