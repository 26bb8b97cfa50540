"""Cancel deliveries in memory: immediately, or when the attempt in flight has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from fakes.memory.delivery import ordering
from fakes.memory.tables import QueuedDelivery, Tables
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.ids import DeliveryId, InstanceId


class MemoryCancellations:
    """`Cancellations` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def cancel(self, instance: InstanceId, delivery: DeliveryId, now: datetime) -> None:
        row = self._tables.deliveries.get(delivery)
        if row is None or row.instance != instance or row.delivery.state.is_final:
            return
        if row.delivery.state is DeliveryState.DELIVERING:
            self._tables.cancel_requests.add(delivery)
        else:
            _cancel_waiting(self._tables, row, now)

    def cancel_some(
        self, instance: InstanceId, deliveries: Sequence[DeliveryId], now: datetime
    ) -> int:
        # All of them, however many move up: there is no other writer to wait.
        for delivery in deliveries:
            self.cancel(instance, delivery, now)
        return len(deliveries)

    def take_effect(self, now: datetime) -> None:
        take_effect(self._tables, now)


def take_effect(tables: Tables, now: datetime) -> None:
    """Cancel what was to be cancelled and is attempted no longer: called where attempts end."""
    for cancel_request in list(tables.cancel_requests):
        row = tables.deliveries.get(cancel_request)
        if row is None or row.owner is None:
            tables.cancel_requests.discard(cancel_request)
            if row is not None and not row.delivery.state.is_final:
                _cancel_waiting(tables, row, now)


def _cancel_waiting(tables: Tables, row: QueuedDelivery, now: datetime) -> None:
    """Cancel a delivery that is not attempted now; those behind it move up."""
    number = row.delivery.id
    for dependent in list(tables.deliveries.values()):
        if dependent.depends_on != number:
            continue
        delivery = dependent.delivery
        if row.depends_on is None:
            delivery = replace(delivery, next_attempt_at=now)
        tables.deliveries[delivery.id] = replace(
            dependent, delivery=delivery, depends_on=row.depends_on
        )
    cancelled = replace(
        row.delivery, state=DeliveryState.CANCELLED, next_attempt_at=None, finished_at=now
    )
    tables.deliveries[number] = replace(row, delivery=cancelled, depends_on=None)
    ordering.promote_if_final(tables, number)
