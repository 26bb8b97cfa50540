"""Retention in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from fakes.memory.tables import Tables
from outrider.domain.delivery.delivery import DeliveryState


class MemoryRetention:
    """`Retention` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def acquire_leadership(self, owner: str, now: datetime, until: datetime) -> bool:
        lease = self._tables.leader_lease
        if lease is not None and lease[0] != owner and now < lease[1]:
            return False
        self._tables.leader_lease = (owner, until)
        return True

    def delete_expired_deliveries(
        self, state: DeliveryState, finished_before: datetime, limit: int
    ) -> int:
        everything = self._tables.deliveries
        needed = {row.depends_on for row in everything.values()}
        needed |= {row.waits_on for row in everything.values()}
        old = [
            (row.delivery.finished_at, int(row.delivery.id), row.delivery.id)
            for row in everything.values()
            if row.delivery.state is state
            and row.delivery.finished_at is not None
            and row.delivery.finished_at < finished_before
            and row.delivery.id not in needed
        ]
        for *_, number in sorted(old)[:limit]:
            root = everything[number].replay_root
            if root is not None and state is DeliveryState.DELIVERED:
                for other, row in list(everything.items()):
                    if root in {other, row.replay_root}:
                        everything[other] = replace(row, was_redelivered=True)
            del everything[number]
        return min(len(old), limit)

    def delete_expired_events(
        self, published_before: datetime, after: int, limit: int
    ) -> tuple[int, int | None]:
        """It looks at all there are: nothing makes it slow."""
        del after
        with_deliveries = {
            (row.instance, row.delivery.event_id) for row in self._tables.deliveries.values()
        }
        without_deliveries = [
            event_id
            for event_id, published_at in self._tables.published_at.items()
            if published_at < published_before and event_id not in with_deliveries
        ]
        for event_id in without_deliveries[:limit]:
            del self._tables.events[event_id], self._tables.published_at[event_id]
        return len(without_deliveries[:limit]), 0 if len(without_deliveries) > limit else None
