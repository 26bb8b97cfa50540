"""A store for changes that the next interception of this node must know of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.routing.routing_table import Routing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RefreshingStore:
    """`ports.Store`: when a write returns, this node's routing has caught up with it."""

    store: Store
    routing: Routing

    async def write(self, work: Callable[[Unit], T], *, shared: bool = False) -> T:
        """See the port."""
        result = await self.store.write(work, shared=shared)
        await self.routing.refresh_after_commit()
        return result

    async def read(self, work: Callable[[Unit], T]) -> T:
        """See the port."""
        return await self.store.read(work)

    async def changes(self) -> int:
        """See the port."""
        return await self.store.changes()

    def subscribe(self, tell: Callable[[], None]) -> None:
        """See the port."""
        self.store.subscribe(tell)
