"""Retention in memory."""

from __future__ import annotations

from datetime import datetime

from fakes.memory.tables import Tables
from outrider.domain.delivery.delivery import DeliveryState


class MemoryRetention:
    """`delivery_log_ports.Forgetting` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def acquire_leadership(self, owner: str, now: datetime, until: datetime) -> bool:
        """See the port."""
        turn = self._tables.upkeep_turn
        if turn is not None and turn[0] != owner and now < turn[1]:
            return False
        self._tables.upkeep_turn = (owner, until)
        return True

    def delete_expired_deliveries(
        self, state: DeliveryState, finished_before: datetime, limit: int
    ) -> int:
        """See the port."""
        everything = self._tables.deliveries
        waited_for = {each.depends_on for each in everything.values()}
        waited_for |= {each.behind for each in everything.values()}
        old = [
            (each.delivery.finished_at, int(each.delivery.id), each.delivery.id)
            for each in everything.values()
            if each.delivery.state is state
            and each.delivery.finished_at is not None
            and each.delivery.finished_at < finished_before
            and each.delivery.id not in waited_for
        ]
        for *_, each in sorted(old)[:limit]:
            del everything[each]
        return min(len(old), limit)

    def delete_expired_events(
        self, published_before: datetime, after: int, limit: int
    ) -> tuple[int, int | None]:
        """See the port. It looks at all there are: nothing makes it slow."""
        del after
        owed = {
            (delivery.instance, delivery.delivery.event_id)
            for delivery in self._tables.deliveries.values()
        }
        unowed = [
            each
            for each, published_at in self._tables.published_at.items()
            if published_at < published_before and each not in owed
        ]
        for each in unowed[:limit]:
            del self._tables.events[each], self._tables.published_at[each]
        return len(unowed[:limit]), 0 if len(unowed) > limit else None
