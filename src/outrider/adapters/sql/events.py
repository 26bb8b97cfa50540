"""Events in SQL, written together with the deliveries that they owe."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from outrider.adapters.sql.columns import Connection, from_time
from outrider.domain.delivery import DeliveryState, PlannedDelivery
from outrider.domain.ids import EventId, InstanceId
from outrider.usecases.ports import StoredEvent


class SqlEvents:
    """`ports.Events` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(
        self, instance: InstanceId, events: Sequence[StoredEvent], now: datetime
    ) -> list[int | None]:
        """See the port."""
        at = from_time(now)
        return [self._append_one(instance, each, at) for each in events]

    def delivery_counts(
        self, instance: InstanceId, events: Collection[EventId]
    ) -> dict[EventId, int]:
        """See the port."""
        query = (
            "SELECT count(deliveries.id) FROM events"
            " LEFT JOIN deliveries ON deliveries.event_number = events.number"
            " WHERE events.instance_id = ? AND events.id = ? AND deliveries.replay_of IS NULL"
        )
        return {
            each: self._connection.execute(query, (instance, each)).fetchone()[0] for each in events
        }

    def _append_one(self, instance: InstanceId, stored: StoredEvent, at: int) -> int | None:
        event = stored.event
        row = self._connection.execute(
            "INSERT INTO events (instance_id, id, type, execution_id, body, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (instance_id, id) DO NOTHING RETURNING number",
            (instance, event.id, event.event_type, stored.execution, stored.body, at),
        ).fetchone()
        if row is None:
            return None
        self._connection.executemany(
            "INSERT INTO deliveries (id, instance_id, event_number, target_id, state, created_at,"
            " due_at, waits_for, is_waited_for) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_planned_row(instance, row[0], each, at) for each in stored.deliveries],
        )
        return len(stored.deliveries)


def _planned_row(
    instance: InstanceId, event_number: int, planned: PlannedDelivery, at: int
) -> tuple[object, ...]:
    is_due = planned.waits_for is None
    return (
        int(planned.id),
        instance,
        event_number,
        planned.target_id,
        DeliveryState.PENDING.value,
        at,
        at if is_due else None,
        None if planned.waits_for is None else int(planned.waits_for),
        planned.is_waited_for,
    )
