"""Cancel deliveries in SQL, immediately or after their running attempt.

Deliveries to a deleted target are cancelled in bounded parts. The target is deleted with the first
part. `target_deletions` notes the remaining parts, so that another process can continue.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from outrider.adapters.sql.delivery import ordering, transitions
from outrider.adapters.sql.delivery.target_queues import SqlTargetQueues
from outrider.adapters.sql.delivery.transitions import Moved
from outrider.adapters.sql.schema.connection import Connection, from_time, to_number
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.target_queue import TargetKey
from outrider.domain.ids import DeliveryId, InstanceId, TargetId
from outrider.usecases.ports.targets import CANCELLED_AT_ONCE

_CANCELLED = DeliveryState.CANCELLED.value
_DELIVERING = DeliveryState.DELIVERING.value
# In the order of the index of open deliveries: what is settled is not read.
_OPEN = (
    f"SELECT id, has_dependents FROM deliveries WHERE instance_id = ? AND target_id = ?"  # noqa: S608 - ours
    f" AND finished_at IS NULL AND state IN ({DeliveryState.PENDING.value},"
    f" {DeliveryState.RETRYING.value}) ORDER BY attempt_count, created_at LIMIT ?"
)
# Also of those that are being attempted, and of dead ones that halt their keys.
_GIVE_UP_KEYS = (
    "UPDATE deliveries SET aggregate = NULL, waits_on = NULL WHERE id IN"
    " (SELECT id FROM deliveries WHERE instance_id = ? AND target_id = ?"
    " AND aggregate IS NOT NULL LIMIT ?)"
)


class SqlCancellations:
    """`Cancellations` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def cancel(self, instance: InstanceId, delivery: DeliveryId, now: datetime) -> None:
        self.cancel_some(instance, [delivery], now)

    def cancel_some(
        self, instance: InstanceId, deliveries: Sequence[DeliveryId], now: datetime
    ) -> int:
        numbers = [number for id_ in deliveries if (number := to_number(id_)) is not None]
        clause, value = self._connection.dialect.one_of("id", numbers)
        rows = self._connection.execute(
            "SELECT id, has_dependents, state, target_id, aggregate IS NOT NULL FROM deliveries"  # noqa: S608 - ours
            f" WHERE instance_id = ? AND finished_at IS NULL AND {clause}",
            (instance, value),
        ).fetchall()
        found = {str(row[0]): row for row in rows}
        in_order = [found[delivery_id] for delivery_id in deliveries if delivery_id in found]
        waiting = [row for row in in_order if row[2] != _DELIVERING]
        cancelled, moved = _take_out(self._connection, [row[:2] for row in waiting], from_time(now))
        ordering.promote_next(self._connection, [row[0] for row in waiting[:cancelled] if row[4]])
        targets = {(instance, TargetId(row[3])) for row in waiting[:cancelled]}
        _refresh(self._connection, targets, moved, from_time(now))
        if cancelled == len(waiting):
            looked_at = len(deliveries)
        else:
            looked_at = deliveries.index(DeliveryId(str(waiting[cancelled][0])))
        in_turn = set(deliveries[:looked_at])
        self._connection.executemany(
            "INSERT INTO cancel_requests (delivery_id) VALUES (?)"
            " ON CONFLICT (delivery_id) DO NOTHING",
            [(row[0],) for row in in_order if row[2] == _DELIVERING and str(row[0]) in in_turn],
        )
        return looked_at

    def take_effect(self, now: datetime) -> None:
        take_effect(self._connection, from_time(now))


def take_effect(connection: Connection, at: int) -> None:
    """Cancel what was to be cancelled and is attempted no longer: called where attempts end.

    When too many others move up, the rest is left for the next time, and is not claimed until then.
    """
    rows = connection.execute(
        "SELECT cancel_requests.delivery_id, deliveries.finished_at, deliveries.id"
        " FROM cancel_requests"
        " LEFT JOIN deliveries ON deliveries.id = cancel_requests.delivery_id"
        " WHERE deliveries.owner IS NULL"
    ).fetchall()
    moved = 0
    for number, finished_at, found in rows:
        is_open = found is not None and finished_at is None
        if is_open and not _still_waits(connection, number):
            continue
        if is_open and moved >= CANCELLED_AT_ONCE:
            connection.execute(
                "UPDATE deliveries SET due_at = NULL, queued_due_at = NULL WHERE id = ?", (number,)
            )
            continue
        connection.execute("DELETE FROM cancel_requests WHERE delivery_id = ?", (number,))
        if is_open:
            moved += _cancel_waiting(connection, number, at)


def _still_waits(connection: Connection, number: int) -> bool:
    """Whether no worker claims it at this moment; then none does before this transaction ends."""
    free_only = connection.dialect.free_only.format("deliveries")
    row = connection.execute(
        "SELECT 1 FROM deliveries WHERE id = ? AND owner IS NULL AND finished_at IS NULL"  # noqa: S608 - ours
        f"{free_only}",
        (number,),
    ).fetchone()
    return row is not None


def _cancel_waiting(connection: Connection, number: int, at: int) -> int:
    """Cancel a delivery that is not attempted now; those behind it move up: return how many."""
    instance, target, depends_on, aggregate = connection.execute(
        "SELECT instance_id, target_id, depends_on, aggregate FROM deliveries WHERE id = ?",
        (number,),
    ).fetchone()
    moved = Moved()
    transitions.move_dependents_up(connection, number, depends_on, at, moved)
    if aggregate is not None:
        ordering.promote_next(connection, [number])
    connection.execute(
        "UPDATE deliveries SET state = ?, due_at = NULL, queued_due_at = NULL, depends_on = NULL,"
        " finished_at = ? WHERE id = ?",
        (_CANCELLED, at, number),
    )
    _refresh(connection, [(instance, target)], moved, at)
    return moved.rows


def _refresh(
    connection: Connection, target_keys: Collection[TargetKey], moved: Moved, at: int
) -> None:
    """What the target queues have to know of deliveries that were cancelled, and of what moved."""
    target_queues = SqlTargetQueues(connection)
    target_queues.refresh_targets(target_keys)
    target_queues.refresh_due(moved.target_keys, at)
    if target_keys:
        # Another delivery may be due now, also the next of an ordering key.
        connection.notify_on_commit()


def begin_deletion(connection: Connection, target_key: TargetKey) -> None:
    """Note that a target is deleted, and its deliveries are not."""
    connection.execute(
        "INSERT INTO target_deletions (instance_id, target_id) VALUES (?, ?)"
        " ON CONFLICT (instance_id, target_id) DO NOTHING",
        target_key,
    )


def finish_deletion(connection: Connection, target_key: TargetKey, at: datetime) -> bool:
    """Cancel some open deliveries to a deleted target, those behind them move up; whether all is done."""
    if not _is_noted(connection, target_key):
        return True
    with_keys = connection.execute(_GIVE_UP_KEYS, (*target_key, CANCELLED_AT_ONCE)).rowcount
    rows = connection.execute(_OPEN, (*target_key, CANCELLED_AT_ONCE)).fetchall()
    cancelled, moved = _take_out(connection, rows, from_time(at))
    target_queues = SqlTargetQueues(connection)
    target_queues.refresh_targets([target_key])
    target_queues.refresh_due(moved.target_keys, from_time(at))
    if max(with_keys, len(rows)) == CANCELLED_AT_ONCE or cancelled < len(rows):
        return False
    connection.execute(
        "DELETE FROM target_deletions WHERE instance_id = ? AND target_id = ?", target_key
    )
    return True


def unfinished_deletions(connection: Connection) -> Sequence[TargetKey]:
    """Deleted targets that have open deliveries left."""
    rows = connection.execute("SELECT instance_id, target_id FROM target_deletions")
    return [(InstanceId(instance), TargetId(target)) for instance, target in rows]


def _is_noted(connection: Connection, target_key: TargetKey) -> bool:
    row = connection.execute(
        "SELECT 1 FROM target_deletions WHERE instance_id = ? AND target_id = ?", target_key
    ).fetchone()
    return row is not None


def _take_out(
    connection: Connection, rows: Sequence[tuple[int, int]], at: int
) -> tuple[int, Moved]:
    """Cancel these, until too many others have moved; return how many, and what has moved."""
    numbers: list[int] = []
    moved = Moved()
    for number, has_dependents in rows:
        if has_dependents:
            # Read again: cancelling one in front may have changed what this one depends on.
            (depends_on,) = connection.execute(
                "SELECT depends_on FROM deliveries WHERE id = ?", (number,)
            ).fetchone()
            transitions.move_dependents_up(connection, number, depends_on, at, moved)
        numbers.append(number)
        if moved.rows >= CANCELLED_AT_ONCE:
            break
    if not numbers:
        return 0, moved
    clause, value = connection.dialect.one_of("id", numbers)
    connection.execute(
        "UPDATE deliveries SET state = ?, due_at = NULL, queued_due_at = NULL, depends_on = NULL,"  # noqa: S608 - ours
        f" finished_at = ? WHERE {clause}",
        (_CANCELLED, at, value),
    )
    return len(numbers), moved
