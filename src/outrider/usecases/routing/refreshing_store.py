"""A store for changes that the next interception on this node must know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from outrider.usecases.ports.store import LIGHT, Load, Store, Unit
from outrider.usecases.routing.routing_table import Routing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RefreshingStore:
    """`ports.store.Store`: when a write returns, this node's routing has caught up with it."""

    store: Store
    routing: Routing

    async def write(
        self, work: Callable[[Unit], T], *, shared: bool = False, load: Load = LIGHT
    ) -> T:
        return await self.routing.write(work, shared=shared, load=load)

    async def read(self, work: Callable[[Unit], T]) -> T:
        return await self.store.read(work)

    async def check_writable(self) -> None:
        await self.store.check_writable()

    async def changes(self) -> int:
        return await self.store.changes()

    def subscribe(self, on_notification: Callable[[], None]) -> None:
        self.store.subscribe(on_notification)
