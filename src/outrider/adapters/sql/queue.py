"""The queue inside the deliveries table: who is due, who holds what, who waits for whom."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from outrider.adapters.sql.columns import Connection, Row, from_duration, from_time
from outrider.domain.delivery import Attempt, DeliveryState, Followers, Settlement
from outrider.domain.ids import InstanceId, TargetId

_PENDING = DeliveryState.PENDING.value
_DELIVERING = DeliveryState.DELIVERING.value
_RETRYING = DeliveryState.RETRYING.value
_CANCELLED = DeliveryState.CANCELLED.value

# A delivery to a paused target is held when it becomes due, not before: pausing writes one row,
# whatever the target is owed, and what is never paused pays for one look into an empty table.
_LOOKED_AT = 1000
_HOLDS_AT_ONCE = 5
_IS_PAUSED = (
    "EXISTS (SELECT 1 FROM paused_targets WHERE paused_targets.instance_id = deliveries.instance_id"
    " AND paused_targets.target_id = deliveries.target_id)"
)
_DUE_ROWS = (
    "SELECT deliveries.id, deliveries.instance_id, deliveries.target_id, deliveries.attempt_count,"  # noqa: S608 - ours
    f" deliveries.created_at, deliveries.is_waited_for, events.body, {_IS_PAUSED}"
    " FROM deliveries JOIN events ON events.number = deliveries.event_number"
    " WHERE deliveries.due_at <= ? ORDER BY deliveries.due_at, deliveries.id LIMIT ?"
)


def settle_held(connection: Connection, held: Sequence[tuple[int, Settlement]], at: int) -> None:
    """Write attempts and next states of deliveries that are known to be held."""
    connection.executemany(
        "INSERT INTO attempts (delivery_id, number, started_at, duration, outcome, stage,"
        " status_code, error, excerpt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_attempt_row(number, each.attempt) for number, each in held if each.attempt is not None],
    )
    # Nearly all of a group become the same: one statement for them costs half of one for each.
    alike: dict[Row, list[int]] = {}
    for number, each in held:
        alike.setdefault(_next_state(each, at), []).append(number)
    for state, numbers in alike.items():
        connection.execute(
            "UPDATE deliveries SET state = ?, attempt_count = attempt_count + ?, due_at = ?,"
            " finished_at = ?, owner = NULL, claimed_at = NULL"
            " WHERE id IN (SELECT value FROM json_each(?))",
            (*state, json.dumps(numbers)),
        )
    for number, each in held:
        if each.followers is Followers.RELEASE:
            release_followers(connection, number, at)
        elif each.followers is Followers.CANCEL:
            cancel_followers(connection, number, at)


def release_followers(connection: Connection, number: int, at: int) -> None:
    """Make due what waited for this delivery; it never waits again."""
    connection.execute(
        "UPDATE deliveries SET due_at = ?, waits_for = NULL WHERE waits_for = ?", (at, number)
    )


def cancel_followers(connection: Connection, number: int, at: int) -> None:
    """Cancel what waits for this delivery, and what waits for that, to the end of the line."""
    front = [number]
    while front:
        rows = connection.execute(
            "UPDATE deliveries SET state = ?, finished_at = ?, waits_for = NULL"
            " WHERE waits_for = ? RETURNING id",
            (_CANCELLED, at, front.pop()),
        )
        front.extend(follower for (follower,) in rows.fetchall())


def cancel_deliveries_to(
    connection: Connection, instance: InstanceId, target: TargetId, at: datetime
) -> None:
    """Cancel the open deliveries to a deleted target; those behind them move up."""
    rows = connection.execute(
        "SELECT id, waits_for FROM deliveries"
        " WHERE instance_id = ? AND target_id = ? AND state IN (?, ?) ORDER BY id",
        (instance, target, _PENDING, _RETRYING),
    ).fetchall()
    now = from_time(at)
    for number, _ in rows:
        # Read anew: cancelling one in front may have changed for whom this one waits.
        (waits_for,) = connection.execute(
            "SELECT waits_for FROM deliveries WHERE id = ?", (number,)
        ).fetchone()
        _move_followers_up(connection, number, waits_for, now)
        connection.execute(
            "UPDATE deliveries SET state = ?, due_at = NULL, held_due_at = NULL, waits_for = NULL,"
            " finished_at = ? WHERE id = ?",
            (_CANCELLED, now, number),
        )


def give_back(connection: Connection, owner: str, numbers: Iterable[int], at: int) -> None:
    """Make claimed deliveries due again, without an attempt."""
    connection.executemany(
        "UPDATE deliveries SET state = CASE attempt_count WHEN 0 THEN ? ELSE ? END, due_at = ?,"
        " owner = NULL, claimed_at = NULL WHERE id = ? AND owner = ?",
        [(_PENDING, _RETRYING, at, number, owner) for number in numbers],
    )


def mark_claimed(connection: Connection, owner: str, at: int, limit: int) -> None:
    """Hand the first `limit` due deliveries to `owner`: nobody else finds them due."""
    connection.execute(
        "UPDATE deliveries SET state = ?, due_at = NULL, owner = ?, claimed_at = ? WHERE id IN"
        " (SELECT id FROM deliveries WHERE due_at <= ? ORDER BY due_at, id LIMIT ?)",
        (_DELIVERING, owner, at, at, limit),
    )


def due_rows(connection: Connection, at: int, limit: int) -> list[Row]:
    """The first due deliveries, longest due first, for `deliveries.claimed_from_row`.

    Those of paused targets are no longer in the way afterwards: what is found of them is held. A
    backlog is held over several calls, each of which does a bounded part of it; until that is done
    there may be none, or fewer than are due.
    """
    for _ in range(_HOLDS_AT_ONCE):
        rows = connection.execute(_DUE_ROWS, (at, limit)).fetchall()
        if not any(is_paused for *_, is_paused in rows):
            return rows
        hold(connection, at)
    return []


def hold(connection: Connection, at: int) -> None:
    """Take deliveries of paused targets out of the first `_LOOKED_AT` that are due."""
    first = f"SELECT id, {_IS_PAUSED} AS is_paused FROM deliveries WHERE due_at <= ?"  # noqa: S608 - ours
    connection.execute(
        "UPDATE deliveries SET held_due_at = due_at, due_at = NULL WHERE id IN"  # noqa: S608 - ours
        f" (SELECT id FROM ({first} ORDER BY due_at, id LIMIT ?) WHERE is_paused)",
        (at, _LOOKED_AT),
    )


def let_go(connection: Connection, instance: InstanceId, target: TargetId) -> None:
    """Put the held deliveries of a target back to where they were in the queue."""
    connection.execute(
        "UPDATE deliveries SET due_at = CASE WHEN state IN (?, ?) THEN held_due_at END,"
        " held_due_at = NULL"
        " WHERE instance_id = ? AND target_id = ? AND held_due_at IS NOT NULL",
        (_PENDING, _RETRYING, instance, target),
    )


def next_due(connection: Connection) -> int | None:
    """When the first delivery is due that is not of a paused target.

    When there are more than `_LOOKED_AT` of those in front, when the last of these is: whoever
    claims then finds them, and holds them.
    """
    rows = connection.execute(
        f"SELECT due_at, {_IS_PAUSED} FROM deliveries"  # noqa: S608 - ours
        " WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT ?",
        (_LOOKED_AT,),
    )
    for position, (due_at, is_paused) in enumerate(rows, start=1):
        if not is_paused or position == _LOOKED_AT:
            return int(due_at)
    return None


def _move_followers_up(connection: Connection, number: int, waits_for: int | None, at: int) -> None:
    if waits_for is None:
        release_followers(connection, number, at)
    else:
        connection.execute(
            "UPDATE deliveries SET waits_for = ? WHERE waits_for = ?", (waits_for, number)
        )
        connection.execute("UPDATE deliveries SET is_waited_for = 1 WHERE id = ?", (waits_for,))


def _next_state(settlement: Settlement, at: int) -> Row:
    return (
        settlement.state.value,
        0 if settlement.attempt is None else 1,
        None if settlement.due_at is None else from_time(settlement.due_at),
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
        attempt.excerpt,
    )
