"""Events in SQL, written together with their deliveries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from outrider.adapters.sql.delivery.ordering import OrderedPlaces
from outrider.adapters.sql.delivery.target_queues import SqlTargetQueues
from outrider.adapters.sql.schema.connection import Connection, Row, from_time
from outrider.domain.delivery.delivery import DeliveryState, PlannedDelivery
from outrider.domain.events.event import aggregate_of
from outrider.domain.ids import EventId, InstanceId, TargetId
from outrider.usecases.ports.deliveries import KnownEvent, StoredEvent

_INSERT = (
    "INSERT INTO events (instance_id, id, type, execution_id, body, created_at, aggregate, trace,"
    " delivery_count, digest, hops) {} ON CONFLICT (instance_id, id) DO NOTHING RETURNING number"
)
_INSERT_EVENT = _INSERT.format("VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
_INSERT_CLOUD_EVENT = _INSERT.format(
    "SELECT ?, ?, ?, ?, ?, CAST(? AS BIGINT), ?, ?, CAST(? AS INTEGER), ?, CAST(? AS INTEGER)"
    " WHERE NOT EXISTS (SELECT 1 FROM events WHERE instance_id = ? AND id = ?)"
)
# Events of older releases have no count.
_KNOWN = (
    "SELECT coalesce(delivery_count, (SELECT count(*) FROM deliveries"
    " WHERE deliveries.event_number = events.number AND replay_of IS NULL)), digest"
    " FROM events WHERE instance_id = ? AND id = ?"
)
_DELIVERY_COLUMNS = (
    "id, instance_id, event_number, target_id, state, created_at, due_at, queued_due_at,"
    " depends_on, has_dependents, aggregate, waits_on"
)


class SqlEvents:
    """`Events` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._target_queues = SqlTargetQueues(connection)

    def append(
        self, instance: InstanceId, events: Sequence[StoredEvent], now: datetime
    ) -> list[int | None]:
        at = from_time(now)
        orderings = self._target_queues.ordering_of(
            instance, [planned.target_id for stored in events for planned in stored.deliveries]
        )
        numbers = self._insert_events(instance, events, at)
        new = [
            (stored, number)
            for stored, number in zip(events, numbers, strict=True)
            if number is not None
        ]
        places = self._places(instance, orderings, new) if orderings else None
        rows: list[Row] = [
            _planned_row(instance, stored, number, planned, at, orderings, places)
            for stored, number in new
            for planned in stored.deliveries
        ]
        if rows:
            self._connection.insert_rows("deliveries", _DELIVERY_COLUMNS, rows)
        if orderings:
            self._target_queues.refresh_due([(instance, target) for target in orderings], at)
        self._connection.notify_on_commit()
        return [
            None if number is None else len(stored.deliveries)
            for stored, number in zip(events, numbers, strict=True)
        ]

    def known(self, instance: InstanceId, events: Collection[EventId]) -> dict[EventId, KnownEvent]:
        asked = list(events)
        rows = self._connection.first_of_each(_KNOWN, [(instance, event) for event in asked])
        return {
            event: KnownEvent(int(row[0]), row[1])
            for event, row in zip(asked, rows, strict=True)
            if row is not None
        }

    def body(self, instance: InstanceId, event: EventId) -> bytes:
        (body,) = self._connection.execute(
            "SELECT body FROM events WHERE instance_id = ? AND id = ?", (instance, event)
        ).fetchone()
        return bytes(body)

    def _insert_events(
        self, instance: InstanceId, events: Sequence[StoredEvent], at: int
    ) -> list[int | None]:
        """The number of each event; None for an id that is known, also by one in front of it."""
        rows: list[Row] = [
            (
                *(instance, stored.event.id, stored.event.event_type, stored.execution),
                *(stored.body, at, aggregate_of(stored.event), stored.trace),
                *(len(stored.deliveries), stored.digest, stored.event.hops),
            )
            for stored in events
        ]
        statement = _INSERT_EVENT
        # The events of one call come in one form.
        if any(stored.id_with_source is not None for stored in events):
            statement = _INSERT_CLOUD_EVENT
            rows = [
                (*row, instance, stored.id_with_source)
                for row, stored in zip(rows, events, strict=True)
            ]
        found = self._connection.first_of_each(statement, rows)
        return [None if row is None else int(row[0]) for row in found]

    def _places(
        self,
        instance: InstanceId,
        orderings: Mapping[TargetId, bool],
        new: Sequence[tuple[StoredEvent, int]],
    ) -> OrderedPlaces:
        ordered = [(instance, target) for target, is_ordered in orderings.items() if is_ordered]
        places = OrderedPlaces(self._connection, ordered)
        for stored, _ in new if ordered else ():
            targets = [planned.target_id for planned in stored.deliveries]
            places.look_up(instance, targets, aggregate_of(stored.event))
        return places


def _planned_row(  # noqa: PLR0917 - a row has as many columns as it has
    instance: InstanceId,
    stored: StoredEvent,
    event_number: int,
    planned: PlannedDelivery,
    at: int,
    orderings: Mapping[TargetId, bool],
    places: OrderedPlaces | None,
) -> Row:
    is_queued = planned.target_id in orderings
    due_at = at if planned.depends_on is None else None
    aggregate, waits_on = None, None
    if places is not None:
        target_key = (instance, planned.target_id)
        aggregate, waits_on = places.append(target_key, aggregate_of(stored.event), int(planned.id))
    return (
        int(planned.id),
        instance,
        event_number,
        planned.target_id,
        DeliveryState.PENDING.value,
        at,
        None if is_queued else due_at,
        due_at if is_queued else None,
        None if planned.depends_on is None else int(planned.depends_on),
        int(planned.has_dependents),
        aggregate,
        waits_on,
    )
