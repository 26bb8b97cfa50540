"""A store in memory: for tests, and the measure of what a store has to do.

It is as simple as it can be, so that reading it is enough to believe it. A unit of work changes a
copy of everything, which takes the place of the original when the unit has ended well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fakes.memory.access.accounts import MemoryAccounts
from fakes.memory.access.instances import MemoryInstances
from fakes.memory.access.tokens import MemoryTokens
from fakes.memory.access.web_keys import MemoryWebKeys
from fakes.memory.delivery.cancellations import MemoryCancellations
from fakes.memory.delivery.deliveries import MemoryDeliveries
from fakes.memory.delivery.events import MemoryEvents
from fakes.memory.delivery.leases import MemoryLeases
from fakes.memory.delivery.replays import MemoryLogScans, MemoryReplays
from fakes.memory.delivery.retention import MemoryRetention
from fakes.memory.delivery.stats import MemoryDeliveryCounts
from fakes.memory.tables import Tables
from fakes.memory.targets.catalogue import MemoryCatalogueEntries
from fakes.memory.targets.executions import MemoryExecutions
from fakes.memory.targets.policies import MemoryTargetPolicies
from fakes.memory.targets.public_keys import MemoryPublicKeys
from fakes.memory.targets.targets import MemoryTargets
from outrider.usecases.ports.store import LIGHT, Load, Unit

T = TypeVar("T")


class MemoryUnit:
    """`ports.store.Unit` on tables that no other unit sees."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.instances = MemoryInstances(tables)
        self.targets = MemoryTargets(tables)
        self.public_keys = MemoryPublicKeys(tables)
        self.policies = MemoryTargetPolicies(tables)
        self.executions = MemoryExecutions(tables)
        self.tokens = MemoryTokens(tables)
        self.accounts = MemoryAccounts(tables)
        self.web_keys = MemoryWebKeys(tables)
        self.events = MemoryEvents(tables)
        self.deliveries = MemoryDeliveries(tables)
        self.log_scans = MemoryLogScans(tables)
        self.replays = MemoryReplays(tables)
        self.cancellations = MemoryCancellations(tables)
        self.delivery_counts = MemoryDeliveryCounts(tables)
        self.retention = MemoryRetention(tables)
        self.leases = MemoryLeases(tables)
        self.catalogue = MemoryCatalogueEntries(tables)

    def routing_revision(self) -> int:
        return self._tables.routing_revision


class MemoryStore:
    """`ports.store.Store` in one process, for as long as it lives."""

    def __init__(self) -> None:
        self._tables = Tables()

    def __repr__(self) -> str:
        tables = self._tables
        return (
            f"<MemoryStore {len(tables.targets)} targets, {len(tables.executions)} executions,"
            f" {len(tables.events)} events, {len(tables.deliveries)} deliveries>"
        )

    async def write(
        self, work: Callable[[Unit], T], *, shared: bool = False, load: Load = LIGHT
    ) -> T:
        await asyncio.sleep(0)  # a real store lets others run, too
        changed = self._tables.copied()
        result = work(MemoryUnit(changed))
        self._tables = changed
        return result

    async def read(self, work: Callable[[Unit], T]) -> T:
        """Raise `RuntimeError` when `work` has changed something."""
        await asyncio.sleep(0)
        snapshot = self._tables.copied()
        result = work(MemoryUnit(snapshot))
        if snapshot != self._tables:
            raise RuntimeError("a read has changed something")
        return result

    async def check_writable(self) -> None:
        """Memory takes every write."""

    async def changes(self) -> int:
        """Always the same: there is no other process."""
        return 0

    def subscribe(self, on_notification: Callable[[], None]) -> None:
        """Never notify: subscribers poll, as with a notification that was lost."""
