"""Events in SQL, written together with the deliveries that they owe."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from outrider.adapters.sql.delivery import ordering
from outrider.adapters.sql.delivery.target_queues import SqlLanes
from outrider.adapters.sql.schema.connection import Connection, Row, from_time
from outrider.domain.delivery.delivery import DeliveryState, PlannedDelivery
from outrider.domain.delivery.target_queue import Lane, LaneName
from outrider.domain.events.event import aggregate_of
from outrider.domain.ids import EventId, InstanceId
from outrider.usecases.ports.store import StoredEvent


class SqlEvents:
    """`ports.Events` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lanes = SqlLanes(connection)

    def append(
        self, instance: InstanceId, events: Sequence[StoredEvent], now: datetime
    ) -> list[int | None]:
        """See the port."""
        at = from_time(now)
        lanes = self._lanes_of(instance, events)
        written = [self._append_one(instance, each, at, lanes) for each in events]
        self._lanes.refresh(lanes)
        self._connection.announce()
        return written

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

    def _lanes_of(
        self, instance: InstanceId, events: Sequence[StoredEvent]
    ) -> dict[LaneName, Lane]:
        return self._lanes.get_many(
            {(instance, planned.target_id) for each in events for planned in each.deliveries}
        )

    def _append_one(
        self, instance: InstanceId, stored: StoredEvent, at: int, lanes: Mapping[LaneName, Lane]
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
            " due_at, held_due_at, waits_for, is_waited_for, aggregate, behind)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                self._planned_row((instance, each.target_id), row[0], each, at, lanes, aggregate)
                for each in stored.deliveries
            ],
        )
        return len(stored.deliveries)

    def _planned_row(  # noqa: PLR0917 - a row has as many columns as it has
        self,
        name: LaneName,
        event_number: int,
        planned: PlannedDelivery,
        at: int,
        lanes: Mapping[LaneName, Lane],
        aggregate: str,
    ) -> Row:
        lane = lanes.get(name)
        due_at = at if planned.waits_for is None else None
        line, behind = self._place_in_line(name, lane, aggregate)
        return (
            int(planned.id),
            name[0],
            event_number,
            planned.target_id,
            DeliveryState.PENDING.value,
            at,
            due_at if lane is None else None,
            None if lane is None else due_at,
            None if planned.waits_for is None else int(planned.waits_for),
            int(planned.is_waited_for),
            line,
            behind,
        )

    def _place_in_line(
        self, name: LaneName, lane: Lane | None, aggregate: str
    ) -> tuple[str | None, int | None]:
        if lane is None or not lane.is_ordered or not aggregate:
            return None, None
        if ordering.is_lining_up(self._connection, name):
            return None, None  # it gets its place when it is looked at, after those before it
        return aggregate, ordering.last_in_line(self._connection, name, aggregate)
