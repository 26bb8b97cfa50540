"""How deliveries change state in SQL: claims, dependents, and where each delivery is due.

The due time of a delivery is in `due_at`, or in `queued_due_at` when its target has a target queue.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from outrider.adapters.sql.delivery import ordering
from outrider.adapters.sql.delivery.target_queues import HAS_TARGET_QUEUE, SqlTargetQueues
from outrider.adapters.sql.schema.connection import Connection, Row, from_duration, from_time
from outrider.domain.delivery.delivery import Attempt, DeliveryState, Dependents, Settlement
from outrider.domain.delivery.target_queue import TargetKey
from outrider.domain.ids import InstanceId, TargetId

_PENDING = DeliveryState.PENDING.value
_RETRYING = DeliveryState.RETRYING.value
_CANCELLED = DeliveryState.CANCELLED.value

_DUE_NOW = (
    f"due_at = CASE WHEN {HAS_TARGET_QUEUE} THEN NULL ELSE ? END,"
    f" queued_due_at = CASE WHEN {HAS_TARGET_QUEUE} THEN ? END"
)


def settle_claimed(
    connection: Connection,
    claimed: Sequence[tuple[int, Settlement, TargetKey]],
    target_queues: Collection[TargetKey],
    at: int,
) -> set[TargetKey]:
    """Write attempts and next states of deliveries that their owner has still claimed.

    `target_queues` are those of their targets. Return the targets of dependents that go on.
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
    moved: set[TargetKey] = set()
    for number, settlement, _ in claimed:
        if settlement.dependents is Dependents.RELEASE:
            moved |= release_dependents(connection, number, at)
        elif settlement.dependents is Dependents.CANCEL:
            moved |= cancel_dependents(connection, number, at)
    return moved


def release_dependents(connection: Connection, number: int, at: int) -> set[TargetKey]:
    """Make due what depended on this delivery; it depends on none now. Return their targets."""
    rows = connection.execute(
        f"UPDATE deliveries SET {_DUE_NOW}, depends_on = NULL WHERE depends_on = ?"  # noqa: S608 - ours
        " RETURNING instance_id, target_id",
        (at, at, number),
    )
    return set(rows.fetchall())


def cancel_dependents(connection: Connection, number: int, at: int) -> set[TargetKey]:
    """Cancel what depends on this delivery, and what depends on that, to the end.

    Return the targets of those that were cancelled.
    """
    front, target_keys = [number], set()
    while front:
        rows = connection.execute(
            "UPDATE deliveries SET state = ?, finished_at = ?, depends_on = NULL"
            " WHERE depends_on = ? RETURNING id, instance_id, target_id, aggregate",
            (_CANCELLED, at, front.pop()),
        ).fetchall()
        for dependent, instance, target, aggregate in rows:
            front.append(dependent)
            if aggregate is not None:
                ordering.promote_next(connection, dependent)
            target_keys.add((instance, target))
    return target_keys


def cancel_deliveries_to(
    connection: Connection, instance: InstanceId, target: TargetId, at: datetime
) -> None:
    """Cancel the open deliveries to a deleted target; those behind them move up."""
    # Also of those that are being attempted, and of dead ones that halt their keys.
    connection.execute(
        "UPDATE deliveries SET aggregate = NULL, waits_on = NULL WHERE instance_id = ?"
        " AND target_id = ? AND aggregate IS NOT NULL",
        (instance, target),
    )
    rows = connection.execute(
        "SELECT id, depends_on FROM deliveries"
        " WHERE instance_id = ? AND target_id = ? AND state IN (?, ?) ORDER BY id",
        (instance, target, _PENDING, _RETRYING),
    ).fetchall()
    now = from_time(at)
    moved: set[TargetKey] = set()
    for number, _ in rows:
        # Read again: cancelling one in front may have changed what this one depends on.
        (depends_on,) = connection.execute(
            "SELECT depends_on FROM deliveries WHERE id = ?", (number,)
        ).fetchone()
        moved |= _move_dependents_up(connection, number, depends_on, now)
        connection.execute(
            "UPDATE deliveries SET state = ?, due_at = NULL, queued_due_at = NULL, depends_on = NULL,"
            " finished_at = ? WHERE id = ?",
            (_CANCELLED, now, number),
        )
    SqlTargetQueues(connection).refresh_targets(moved)


def release_claims(connection: Connection, owner: str, numbers: Iterable[int], at: int) -> None:
    """Make claimed deliveries due again, without an attempt."""
    target_keys: set[TargetKey] = set()
    for number in numbers:
        rows = connection.execute(
            "UPDATE deliveries SET state = CASE attempt_count WHEN 0 THEN ? ELSE ? END,"  # noqa: S608 - ours
            f" {_DUE_NOW}, owner = NULL, claimed_at = NULL WHERE id = ? AND owner = ?"
            " RETURNING instance_id, target_id",
            (_PENDING, _RETRYING, at, at, number, owner),
        )
        target_keys.update(rows.fetchall())
    SqlTargetQueues(connection).refresh_targets(target_keys)


def first_attempts_now(connection: Connection, at: int) -> None:
    """Make due what was never attempted and is due later; the shared queue waits no longer."""
    for column in ("due_at", "queued_due_at"):
        connection.execute(
            f"UPDATE deliveries SET {column} = ? WHERE {column} > ? AND attempt_count = 0",  # noqa: S608 - ours
            (at, at),
        )
    connection.execute(
        "UPDATE shared_queue SET last_claimed_at = ? WHERE last_claimed_at > ?",
        (at, at),
    )


def _move_dependents_up(
    connection: Connection, number: int, depends_on: int | None, at: int
) -> set[TargetKey]:
    if depends_on is None:
        return release_dependents(connection, number, at)
    connection.execute(
        "UPDATE deliveries SET depends_on = ? WHERE depends_on = ?", (depends_on, number)
    )
    connection.execute("UPDATE deliveries SET has_dependents = 1 WHERE id = ?", (depends_on,))
    return set()


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
