"""Events in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from fakes.memory.delivery import ordering
from fakes.memory.tables import QueuedDelivery, Tables
from outrider.domain.delivery.delivery import Delivery, DeliveryState, PlannedDelivery
from outrider.domain.ids import EventId, InstanceId
from outrider.usecases.ports.deliveries import KnownEvent, StoredEvent


class MemoryEvents:
    """`Events` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def append(
        self, instance: InstanceId, events: Sequence[StoredEvent], now: datetime
    ) -> list[int | None]:
        return [self._append(instance, event, now) for event in events]

    def known(self, instance: InstanceId, events: Collection[EventId]) -> dict[EventId, KnownEvent]:
        known = self._tables.events
        return {
            event: KnownEvent(len(known[instance, event].deliveries), known[instance, event].digest)
            for event in events
            if (instance, event) in known
        }

    def body(self, instance: InstanceId, event: EventId) -> bytes:
        return self._tables.events[instance, event].body

    def _append(self, instance: InstanceId, stored: StoredEvent, now: datetime) -> int | None:
        known = self._tables.events
        if {(instance, stored.event.id), (instance, stored.id_with_source)} & known.keys():
            return None
        self._tables.events[instance, stored.event.id] = stored
        self._tables.published_at[instance, stored.event.id] = now
        for planned in stored.deliveries:
            row = _queued(instance, stored, planned, now)
            self._tables.deliveries[planned.id] = ordering.with_key(self._tables, row)
        return len(stored.deliveries)


def _queued(
    instance: InstanceId, stored: StoredEvent, planned: PlannedDelivery, now: datetime
) -> QueuedDelivery:
    if stored.execution is None:
        raise ValueError("an event that no execution matches has no delivery")
    delivery = Delivery(
        id=planned.id,
        event_id=stored.event.id,
        event_type=stored.event.event_type,
        target_id=planned.target_id,
        execution=stored.execution,
        state=DeliveryState.PENDING,
        attempt_count=0,
        created_at=now,
        next_attempt_at=now if planned.depends_on is None else None,
        payload=stored.body,
    )
    return QueuedDelivery(
        instance=instance,
        delivery=delivery,
        has_dependents=planned.has_dependents,
        depends_on=planned.depends_on,
    )
