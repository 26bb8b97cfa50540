"""Events in SQL, written together with their deliveries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from outrider.adapters.sql.delivery import ordering
from outrider.adapters.sql.delivery.target_queues import SqlTargetQueues
from outrider.adapters.sql.schema.connection import Connection, Row, from_time
from outrider.domain.delivery.delivery import DeliveryState, PlannedDelivery
from outrider.domain.delivery.target_queue import TargetKey, TargetQueue
from outrider.domain.events.event import aggregate_of
from outrider.domain.ids import EventId, InstanceId
from outrider.usecases.ports.deliveries import StoredEvent


class SqlEvents:
    """`Events` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._target_queues = SqlTargetQueues(connection)

    def append(
        self, instance: InstanceId, events: Sequence[StoredEvent], now: datetime
    ) -> list[int | None]:
        at = from_time(now)
        target_queues = self._target_queues_of(instance, events)
        written = [self._append_one(instance, event, at, target_queues) for event in events]
        self._target_queues.refresh(target_queues)
        self._connection.notify_on_commit()
        return written

    def delivery_counts(
        self, instance: InstanceId, events: Collection[EventId]
    ) -> dict[EventId, int]:
        query = (
            "SELECT count(deliveries.id) FROM events"
            " LEFT JOIN deliveries ON deliveries.event_number = events.number"
            " WHERE events.instance_id = ? AND events.id = ? AND deliveries.replay_of IS NULL"
        )
        return {
            event: self._connection.execute(query, (instance, event)).fetchone()[0]
            for event in events
        }

    def _target_queues_of(
        self, instance: InstanceId, events: Sequence[StoredEvent]
    ) -> dict[TargetKey, TargetQueue]:
        return self._target_queues.get_many(
            {(instance, planned.target_id) for event in events for planned in event.deliveries}
        )

    def _append_one(
        self,
        instance: InstanceId,
        stored: StoredEvent,
        at: int,
        target_queues: Mapping[TargetKey, TargetQueue],
    ) -> int | None:
        event, aggregate = stored.event, aggregate_of(stored.event)
        row = self._connection.execute(
            "INSERT INTO events (instance_id, id, type, execution_id, body, created_at, aggregate,"
            " trace) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (instance_id, id) DO NOTHING RETURNING number",
            (
                *(instance, event.id, event.event_type, stored.execution, stored.body, at),
                *(aggregate, stored.trace),
            ),
        ).fetchone()
        if row is None:
            return None
        self._connection.executemany(
            "INSERT INTO deliveries (id, instance_id, event_number, target_id, state, created_at,"
            " due_at, queued_due_at, depends_on, has_dependents, aggregate, waits_on)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                self._planned_row(
                    (instance, delivery.target_id), row[0], delivery, at, target_queues, aggregate
                )
                for delivery in stored.deliveries
            ],
        )
        return len(stored.deliveries)

    def _planned_row(  # noqa: PLR0917 - a row has as many columns as it has
        self,
        target_key: TargetKey,
        event_number: int,
        planned: PlannedDelivery,
        at: int,
        target_queues: Mapping[TargetKey, TargetQueue],
        aggregate: str,
    ) -> Row:
        target_queue = target_queues.get(target_key)
        due_at = at if planned.depends_on is None else None
        ordering_key, waits_on = self._append_to_key(target_key, target_queue, aggregate)
        return (
            int(planned.id),
            target_key[0],
            event_number,
            planned.target_id,
            DeliveryState.PENDING.value,
            at,
            due_at if target_queue is None else None,
            None if target_queue is None else due_at,
            None if planned.depends_on is None else int(planned.depends_on),
            int(planned.has_dependents),
            ordering_key,
            waits_on,
        )

    def _append_to_key(
        self, target_key: TargetKey, target_queue: TargetQueue | None, aggregate: str
    ) -> tuple[str | None, int | None]:
        if target_queue is None or not target_queue.is_ordered or not aggregate:
            return None, None
        if ordering.is_backfilling(self._connection, target_key):
            return None, None  # the backfill gives it its place, after those before it
        return aggregate, ordering.last_of_key(self._connection, target_key, aggregate)
