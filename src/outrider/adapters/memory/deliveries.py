"""The delivery log and the queue, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from outrider.adapters.memory import queue
from outrider.adapters.memory.tables import OwedDelivery, Tables
from outrider.domain.delivery import ClaimedDelivery, Delivery, DeliveryState, Settlement
from outrider.domain.ids import DeliveryId, InstanceId
from outrider.domain.search import DeliverySearch


class MemoryDeliveries:
    """`ports.Deliveries` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def search(self, instance: InstanceId, wanted: DeliverySearch) -> Sequence[Delivery]:
        """See the port."""
        matching = [
            replace(owed.delivery, attempts=(), payload=b"")
            for owed in self._tables.deliveries.values()
            if owed.instance == instance and _matches(owed.delivery, wanted)
        ]
        newest_first = sorted(matching, key=lambda delivery: int(delivery.id), reverse=True)
        return newest_first[: wanted.limit]

    def get(self, instance: InstanceId, delivery: DeliveryId) -> Delivery | None:
        """See the port."""
        owed = self._tables.deliveries.get(delivery)
        return owed.delivery if owed is not None and owed.instance == instance else None

    def claim(self, owner: str, now: datetime, limit: int) -> Sequence[ClaimedDelivery]:
        """See the port."""
        taken = [owed for at, _, owed in self._by_due_time() if at <= now][:limit]
        for owed in taken:
            delivery = replace(owed.delivery, state=DeliveryState.DELIVERING, next_attempt_at=None)
            self._tables.deliveries[delivery.id] = replace(
                owed, delivery=delivery, owner=owner, claimed_at=now
            )
        return [queue.claimed(owed) for owed in taken]

    def settle(self, owner: str, settlements: Sequence[Settlement], now: datetime) -> int:
        """See the port."""
        written = 0
        for settlement in settlements:
            owed = self._held(owner, settlement.delivery_id)
            if owed is not None and queue.is_of_this_claim(owed, settlement):
                queue.settle(self._tables, settlement, now)
                written += 1
        return written

    def give_back(self, owner: str, deliveries: Collection[DeliveryId], now: datetime) -> None:
        """See the port."""
        for each in deliveries:
            owed = self._held(owner, each)
            if owed is not None:
                queue.give_back(self._tables, owed, now)

    def next_due(self) -> datetime | None:
        """See the port."""
        return next((at for at, _, _ in self._by_due_time()), None)

    def _by_due_time(self) -> list[tuple[datetime, int, OwedDelivery]]:
        due = [
            (owed.delivery.next_attempt_at, int(owed.delivery.id), owed)
            for owed in self._tables.deliveries.values()
            if owed.delivery.next_attempt_at is not None and not self._is_paused(owed)
        ]
        return sorted(due, key=lambda each: each[:2])

    def _is_paused(self, owed: OwedDelivery) -> bool:
        stored = self._tables.policies.get((owed.instance, owed.delivery.target_id))
        return stored is not None and stored.paused_at is not None

    def _held(self, owner: str, delivery: DeliveryId) -> OwedDelivery | None:
        owed = self._tables.deliveries.get(delivery)
        return owed if owed is not None and owed.owner == owner else None


def _matches(delivery: Delivery, wanted: DeliverySearch) -> bool:
    return (
        (not wanted.states or delivery.state in wanted.states)
        and wanted.target_id in {None, delivery.target_id}
        and wanted.event_type in {None, delivery.event_type}
        and wanted.event_id in {None, delivery.event_id}
        and (wanted.created_since is None or wanted.created_since <= delivery.created_at)
        and (wanted.created_until is None or delivery.created_at < wanted.created_until)
        and (wanted.before is None or int(delivery.id) < _number(wanted.before))
    )


def _number(delivery: DeliveryId) -> int:
    """Where it stands in the log; 0, before everything, for what we never made."""
    return int(delivery) if delivery.isascii() and delivery.isdigit() else 0
