"""Cancelling in memory, at once or when the attempt that is under way has ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from fakes.memory.delivery import ordering
from fakes.memory.tables import OwedDelivery, Tables
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.ids import DeliveryId, InstanceId


class MemoryCancellations:
    """`delivery_log_ports.Cancellations` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def cancel(self, instance: InstanceId, delivery: DeliveryId, now: datetime) -> None:
        """See the port."""
        owed = self._tables.deliveries.get(delivery)
        if owed is None or owed.instance != instance or owed.delivery.state.is_final:
            return
        if owed.delivery.state is DeliveryState.DELIVERING:
            self._tables.cancel_requests.add(delivery)
        else:
            _cancel_waiting(self._tables, owed, now)


def take_effect(tables: Tables, now: datetime) -> None:
    """Cancel what was to be cancelled and is attempted no longer: called where attempts end."""
    for cancel_request in list(tables.cancel_requests):
        owed = tables.deliveries.get(cancel_request)
        if owed is None or owed.owner is None:
            tables.cancel_requests.discard(cancel_request)
            if owed is not None and not owed.delivery.state.is_final:
                _cancel_waiting(tables, owed, now)


def _cancel_waiting(tables: Tables, owed: OwedDelivery, now: datetime) -> None:
    """Cancel a delivery that nobody attempts; those behind it move up."""
    number = owed.delivery.id
    for behind in [each for each in tables.deliveries.values() if each.depends_on == number]:
        delivery = behind.delivery
        if owed.depends_on is None:
            delivery = replace(delivery, next_attempt_at=now)
        tables.deliveries[delivery.id] = replace(
            behind, delivery=delivery, depends_on=owed.depends_on
        )
    cancelled = replace(
        owed.delivery, state=DeliveryState.CANCELLED, next_attempt_at=None, finished_at=now
    )
    tables.deliveries[number] = replace(owed, delivery=cancelled, depends_on=None)
    ordering.leave_if_final(tables, number)
