"""State changes of deliveries in SQL: claims, dependents, and due times.

The due time of a delivery is in `due_at`, or in `queued_due_at` if its target has a target queue.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from outrider.adapters.sql.delivery import ordering
from outrider.adapters.sql.delivery.target_queues import HAS_TARGET_QUEUE, SqlTargetQueues
from outrider.adapters.sql.schema.connection import Connection, Row, from_duration, from_time
from outrider.domain.delivery.delivery import Attempt, DeliveryState, Dependents, Settlement
from outrider.domain.delivery.target_queue import TargetKey
from outrider.domain.ids import InstanceId, TargetId

_PENDING = DeliveryState.PENDING.value
_RETRYING = DeliveryState.RETRYING.value
_CANCELLED = DeliveryState.CANCELLED.value

_LOOKED_AT_ONCE = 2000
MOVED_AT_ONCE = 1000
"""After this many dependents have moved, the next settlement waits for the next transaction."""
_OF_SAME_EVENT = (
    "SELECT depends_on, id, instance_id, target_id, aggregate FROM deliveries"
    " WHERE event_number = (SELECT event_number FROM deliveries WHERE id = ?)"
    " AND depends_on IS NOT NULL"
)
_DUE_NOW = (
    f"due_at = CASE WHEN {HAS_TARGET_QUEUE} THEN NULL ELSE ? END,"
    f" queued_due_at = CASE WHEN {HAS_TARGET_QUEUE} THEN ? END"
)


def settle_claimed(
    connection: Connection,
    claimed: Sequence[tuple[int, Settlement, TargetKey]],
    target_queues: Collection[TargetKey],
    at: int,
) -> None:
    """Write attempts and next states of deliveries that their owner has still claimed.

    `target_queues` are those of their targets.
    """
    connection.executemany(
        "INSERT INTO attempts (delivery_id, number, started_at, duration, outcome, stage,"
        " status_code, error, body_prefix) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            _attempt_row(number, settlement.attempt)
            for number, settlement, _ in claimed
            if settlement.attempt is not None
        ],
    )
    # Nearly all of a group become the same: one statement for them costs half of one for each.
    alike: dict[Row, list[int]] = {}
    for number, settlement, target_key in claimed:
        state = _next_state(settlement, at, has_target_queue=target_key in target_queues)
        alike.setdefault(state, []).append(number)
    for state, numbers in alike.items():
        clause, value = connection.dialect.one_of("id", numbers)
        connection.execute(
            "UPDATE deliveries SET state = ?, attempt_count = attempt_count + ?, due_at = ?,"  # noqa: S608 - ours
            f" queued_due_at = ?, finished_at = ?, owner = NULL, claimed_at = NULL WHERE {clause}",
            (*state, value),
        )


@dataclass(slots=True)
class Moved:
    """What changed with deliveries in front: how many rows, and the targets to look at again."""

    rows: int = 0
    target_keys: set[TargetKey] = field(default_factory=set)

    def add(self, target_keys: Sequence[TargetKey]) -> None:
        """One row for each of these targets."""
        self.rows += len(target_keys)
        self.target_keys.update(target_keys)


def release_dependents(connection: Connection, number: int, at: int, moved: Moved) -> None:
    """Make due what depended on this delivery; it depends on none now."""
    rows = connection.execute(
        f"UPDATE deliveries SET {_DUE_NOW}, depends_on = NULL WHERE depends_on = ?"  # noqa: S608 - ours
        " RETURNING instance_id, target_id",
        (at, at, number),
    )
    moved.add(rows.fetchall())


def move_dependents_up(
    connection: Connection, number: int, depends_on: int | None, at: int, moved: Moved
) -> None:
    """What depended on this delivery depends on what that depended on itself, or is due now."""
    if depends_on is None:
        release_dependents(connection, number, at, moved)
        return
    moved.rows += connection.execute(
        "UPDATE deliveries SET depends_on = ? WHERE depends_on = ?", (depends_on, number)
    ).rowcount
    connection.execute("UPDATE deliveries SET has_dependents = 1 WHERE id = ?", (depends_on,))


def cancel_dependents(connection: Connection, number: int, at: int, moved: Moved) -> None:
    """Cancel what depends on this delivery, and what depends on that, to the end."""
    # All are of its event: thousands in a row would be as many statements.
    waiting: dict[int, list[Row]] = {}
    for row in connection.execute(_OF_SAME_EVENT, (number,)):
        waiting.setdefault(row[0], []).append(row)
    cancelled: list[Row] = waiting.pop(number, [])
    for row in cancelled:
        # This goes on over what it adds.
        cancelled += waiting.pop(row[1], ())
    if not cancelled:
        return
    clause, value = connection.dialect.one_of("id", [row[1] for row in cancelled])
    connection.execute(
        f"UPDATE deliveries SET state = ?, finished_at = ?, depends_on = NULL WHERE {clause}",  # noqa: S608 - ours
        (_CANCELLED, at, value),
    )
    ordering.promote_next(connection, [row[1] for row in cancelled if row[4] is not None])
    moved.add([(row[2], row[3]) for row in cancelled])


def move_dependents(
    connection: Connection, number: int, what: Dependents, at: int, moved: Moved
) -> None:
    """Release or cancel what depends on a settled delivery."""
    if what is Dependents.RELEASE:
        release_dependents(connection, number, at, moved)
    elif what is Dependents.CANCEL:
        cancel_dependents(connection, number, at, moved)


def release_claims(connection: Connection, owner: str, numbers: Iterable[int], at: int) -> None:
    """Make claimed deliveries due again, without an attempt."""
    rows = connection.first_of_each(
        "UPDATE deliveries SET state = CASE attempt_count WHEN 0 THEN ? ELSE ? END,"  # noqa: S608 - ours
        f" {_DUE_NOW}, owner = NULL, claimed_at = NULL WHERE id = ? AND owner = ?"
        " RETURNING instance_id, target_id",
        [(_PENDING, _RETRYING, at, at, number, owner) for number in numbers],
    )
    released = {(row[0], row[1]) for row in rows if row is not None}
    SqlTargetQueues(connection).refresh_targets(released)


def make_due(
    connection: Connection, instance: InstanceId, numbers: Sequence[int], at: int
) -> list[TargetId]:
    """Make due what waits for a later time, and for nothing else; return the target of each."""
    clause, value = connection.dialect.one_of("id", numbers)
    rows = connection.execute(
        "UPDATE deliveries SET due_at = CASE WHEN due_at IS NOT NULL THEN CAST(? AS BIGINT) END,"  # noqa: S608 - ours
        " queued_due_at = CASE WHEN queued_due_at IS NOT NULL THEN CAST(? AS BIGINT) END"
        f" WHERE {clause} AND instance_id = ? AND coalesce(due_at, queued_due_at) > ?"
        f" AND state IN ({_PENDING}, {_RETRYING}) AND depends_on IS NULL AND waits_on IS NULL"
        " RETURNING target_id",
        (at, at, value, instance, at),
    ).fetchall()
    if rows:
        connection.notify_on_commit()
    return [TargetId(target) for (target,) in rows]


def first_attempts_now(connection: Connection, at: int, after: int) -> int | None:
    """Make due what was never attempted and is due later; the shared queue waits no longer.

    Look at some deliveries after an id; return the last of them, None when there are no more.
    """
    last = connection.execute(
        "SELECT max(id), count(*) FROM"
        " (SELECT id FROM deliveries WHERE id > ? ORDER BY id LIMIT ?) AS looked_at",
        (after, _LOOKED_AT_ONCE),
    ).fetchone()
    for column in ("due_at", "queued_due_at"):
        # With a plus: the index of due times would lead to all that is due later, again and again.
        connection.execute(
            f"UPDATE deliveries SET {column} = ? WHERE id > ? AND id <= ? AND +{column} > ?"  # noqa: S608 - ours
            " AND attempt_count = 0",
            (at, after, last[0] or after, at),
        )
    connection.execute(
        "UPDATE shared_queue SET last_claimed_at = ? WHERE last_claimed_at > ?",
        (at, at),
    )
    return int(last[0]) if last[1] == _LOOKED_AT_ONCE else None


def _next_state(settlement: Settlement, at: int, *, has_target_queue: bool) -> Row:
    due_at = None if settlement.due_at is None else from_time(settlement.due_at)
    return (
        settlement.state.value,
        0 if settlement.attempt is None else 1,
        None if has_target_queue else due_at,
        due_at if has_target_queue else None,
        at if settlement.state.is_final else None,
    )


def _attempt_row(number: int, attempt: Attempt) -> Row:
    return (
        number,
        attempt.number,
        from_time(attempt.started_at),
        from_duration(attempt.duration),
        attempt.outcome.value,
        attempt.stage.value,
        attempt.status_code,
        attempt.error,
        attempt.body_prefix,
    )
