"""The workers that are alive, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fakes.memory.delivery import transitions
from fakes.memory.tables import Tables
from outrider.usecases.ports.deliveries import OrphanedDelivery


class MemoryLeases:
    """`Leases` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def renew(self, owner: str, until: datetime) -> None:
        self._tables.leases[owner] = until

    def drop(self, owner: str) -> None:
        self._tables.leases.pop(owner, None)

    def orphans(self, now: datetime, limit: int) -> Sequence[OrphanedDelivery]:
        alive = {owner for owner, until in self._tables.leases.items() if now < until}
        orphaned = [
            OrphanedDelivery(transitions.claimed(self._tables, row), row.owner, row.claimed_at)
            for row in self._tables.deliveries.values()
            if row.owner is not None and row.claimed_at is not None and row.owner not in alive
        ]
        return orphaned[:limit]

    def secure(self, orphans: Sequence[OrphanedDelivery]) -> Sequence[OrphanedDelivery]:
        """Units run one after the other: no other one comes between."""
        return orphans

    def tidy(self, now: datetime, latest: datetime) -> None:
        holders = {row.owner for row in self._tables.deliveries.values()}
        for owner, until in list(self._tables.leases.items()):
            if until <= now and owner not in holders:
                del self._tables.leases[owner]
            else:
                self._tables.leases[owner] = min(until, latest)

    def expire_all(self) -> None:
        self._tables.leases.clear()
