"""Cancelling in SQL, at once or when the attempt that is under way has ended."""

from __future__ import annotations

from datetime import datetime

from outrider.adapters.sql.delivery import ordering, transitions
from outrider.adapters.sql.delivery.target_queues import SqlTargetQueues
from outrider.adapters.sql.schema.connection import Connection, from_time, to_number
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.target_queue import TargetKey
from outrider.domain.ids import DeliveryId, InstanceId

_CANCELLED = DeliveryState.CANCELLED.value
_DELIVERING = DeliveryState.DELIVERING.value


class SqlCancellations:
    """`Cancellations` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def cancel(self, instance: InstanceId, delivery: DeliveryId, now: datetime) -> None:
        number = to_number(delivery)
        row = self._connection.execute(
            "SELECT state FROM deliveries WHERE instance_id = ? AND id = ? AND finished_at IS NULL",
            (instance, number),
        ).fetchone()
        if row is None or number is None:
            return
        if row[0] == _DELIVERING:
            self._connection.execute(
                "INSERT INTO cancel_requests (delivery_id) VALUES (?)"
                " ON CONFLICT (delivery_id) DO NOTHING",
                (number,),
            )
        else:
            _cancel_waiting(self._connection, number, from_time(now))


def take_effect(connection: Connection, at: int) -> None:
    """Cancel what was to be cancelled and is attempted no longer: called where attempts end."""
    rows = connection.execute(
        "SELECT cancel_requests.delivery_id, deliveries.finished_at, deliveries.id"
        " FROM cancel_requests"
        " LEFT JOIN deliveries ON deliveries.id = cancel_requests.delivery_id"
        " WHERE deliveries.owner IS NULL"
    ).fetchall()
    for number, finished_at, found in rows:
        if found is not None and finished_at is None and not _still_waits(connection, number):
            continue
        connection.execute("DELETE FROM cancel_requests WHERE delivery_id = ?", (number,))
        if found is not None and finished_at is None:
            _cancel_waiting(connection, number, at)


def _still_waits(connection: Connection, number: int) -> bool:
    """Whether no worker claims it at this moment; then none does before this transaction ends."""
    free_only = connection.dialect.free_only.format("deliveries")
    row = connection.execute(
        "SELECT 1 FROM deliveries WHERE id = ? AND owner IS NULL AND finished_at IS NULL"  # noqa: S608 - ours
        f"{free_only}",
        (number,),
    ).fetchone()
    return row is not None


def _cancel_waiting(connection: Connection, number: int, at: int) -> None:
    """Cancel a delivery that is not attempted now; those behind it move up."""
    instance, target, depends_on, aggregate = connection.execute(
        "SELECT instance_id, target_id, depends_on, aggregate FROM deliveries WHERE id = ?",
        (number,),
    ).fetchone()
    moved = _move_dependents_up(connection, number, depends_on, at)
    if aggregate is not None:
        ordering.promote_next(connection, number)
    connection.execute(
        "UPDATE deliveries SET state = ?, due_at = NULL, queued_due_at = NULL, depends_on = NULL,"
        " finished_at = ? WHERE id = ?",
        (_CANCELLED, at, number),
    )
    SqlTargetQueues(connection).refresh_targets(moved | {(instance, target)})


def _move_dependents_up(
    connection: Connection, number: int, depends_on: int | None, at: int
) -> set[TargetKey]:
    """What depended on it depends on what it depended on itself; return the targets due now."""
    if depends_on is None:
        return transitions.release_dependents(connection, number, at)
    connection.execute(
        "UPDATE deliveries SET depends_on = ? WHERE depends_on = ?", (depends_on, number)
    )
    connection.execute("UPDATE deliveries SET has_dependents = 1 WHERE id = ?", (depends_on,))
    return set()
