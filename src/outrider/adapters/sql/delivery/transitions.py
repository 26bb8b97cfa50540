"""What happens to deliveries in SQL: who holds what, who waits for whom, and where each is due.

The due time of a delivery is in `due_at`, or in `held_due_at` when its target has a lane.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from outrider.adapters.sql.delivery import ordering
from outrider.adapters.sql.delivery.target_queues import HAS_LANE, SqlLanes
from outrider.adapters.sql.schema.connection import Connection, Row, from_duration, from_time
from outrider.domain.delivery.delivery import Attempt, DeliveryState, Followers, Settlement
from outrider.domain.delivery.target_queue import LaneName
from outrider.domain.ids import InstanceId, TargetId

_PENDING = DeliveryState.PENDING.value
_RETRYING = DeliveryState.RETRYING.value
_CANCELLED = DeliveryState.CANCELLED.value

_DUE_NOW = (
    f"due_at = CASE WHEN {HAS_LANE} THEN NULL ELSE ? END,"
    f" held_due_at = CASE WHEN {HAS_LANE} THEN ? END"
)


def settle_held(
    connection: Connection,
    held: Sequence[tuple[int, Settlement, LaneName]],
    lanes: Collection[LaneName],
    at: int,
) -> set[LaneName]:
    """Write attempts and next states of deliveries that are known to be held.

    `lanes` are those of their targets that have one. Return the targets of those that were let go.
    """
    connection.executemany(
        "INSERT INTO attempts (delivery_id, number, started_at, duration, outcome, stage,"
        " status_code, error, excerpt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            _attempt_row(number, each.attempt)
            for number, each, _ in held
            if each.attempt is not None
        ],
    )
    # Nearly all of a group become the same: one statement for them costs half of one for each.
    alike: dict[Row, list[int]] = {}
    for number, each, name in held:
        alike.setdefault(_next_state(each, at, has_lane=name in lanes), []).append(number)
    for state, numbers in alike.items():
        clause, value = connection.dialect.one_of("id", numbers)
        connection.execute(
            "UPDATE deliveries SET state = ?, attempt_count = attempt_count + ?, due_at = ?,"  # noqa: S608 - ours
            f" held_due_at = ?, finished_at = ?, owner = NULL, claimed_at = NULL WHERE {clause}",
            (*state, value),
        )
    moved: set[LaneName] = set()
    for number, each, _ in held:
        if each.followers is Followers.RELEASE:
            moved |= release_followers(connection, number, at)
        elif each.followers is Followers.CANCEL:
            moved |= cancel_followers(connection, number, at)
    return moved


def release_followers(connection: Connection, number: int, at: int) -> set[LaneName]:
    """Make due what waited for this delivery; it never waits again. Return their targets."""
    rows = connection.execute(
        f"UPDATE deliveries SET {_DUE_NOW}, waits_for = NULL WHERE waits_for = ?"  # noqa: S608 - ours
        " RETURNING instance_id, target_id",
        (at, at, number),
    )
    return set(rows.fetchall())


def cancel_followers(connection: Connection, number: int, at: int) -> set[LaneName]:
    """Cancel what waits for this delivery, and what waits for that, to the end of the line.

    Return the targets of those that were cancelled.
    """
    front, names = [number], set()
    while front:
        rows = connection.execute(
            "UPDATE deliveries SET state = ?, finished_at = ?, waits_for = NULL"
            " WHERE waits_for = ? RETURNING id, instance_id, target_id, aggregate",
            (_CANCELLED, at, front.pop()),
        ).fetchall()
        for follower, instance, target, aggregate in rows:
            front.append(follower)
            if aggregate is not None:
                ordering.leave(connection, follower)
            names.add((instance, target))
    return names


def cancel_deliveries_to(
    connection: Connection, instance: InstanceId, target: TargetId, at: datetime
) -> None:
    """Cancel the open deliveries to a deleted target; those behind them move up."""
    # Also of those that are being attempted, and of dead ones that hold up others.
    connection.execute(
        "UPDATE deliveries SET aggregate = NULL, behind = NULL WHERE instance_id = ?"
        " AND target_id = ? AND aggregate IS NOT NULL",
        (instance, target),
    )
    rows = connection.execute(
        "SELECT id, waits_for FROM deliveries"
        " WHERE instance_id = ? AND target_id = ? AND state IN (?, ?) ORDER BY id",
        (instance, target, _PENDING, _RETRYING),
    ).fetchall()
    now = from_time(at)
    moved: set[LaneName] = set()
    for number, _ in rows:
        # Read anew: cancelling one in front may have changed for whom this one waits.
        (waits_for,) = connection.execute(
            "SELECT waits_for FROM deliveries WHERE id = ?", (number,)
        ).fetchone()
        moved |= _move_followers_up(connection, number, waits_for, now)
        connection.execute(
            "UPDATE deliveries SET state = ?, due_at = NULL, held_due_at = NULL, waits_for = NULL,"
            " finished_at = ? WHERE id = ?",
            (_CANCELLED, now, number),
        )
    SqlLanes(connection).refresh_names(moved)


def give_back(connection: Connection, owner: str, numbers: Iterable[int], at: int) -> None:
    """Make claimed deliveries due again, without an attempt."""
    names: set[LaneName] = set()
    for number in numbers:
        rows = connection.execute(
            "UPDATE deliveries SET state = CASE attempt_count WHEN 0 THEN ? ELSE ? END,"  # noqa: S608 - ours
            f" {_DUE_NOW}, owner = NULL, claimed_at = NULL WHERE id = ? AND owner = ?"
            " RETURNING instance_id, target_id",
            (_PENDING, _RETRYING, at, at, number, owner),
        )
        names.update(rows.fetchall())
    SqlLanes(connection).refresh_names(names)


def first_attempts_now(connection: Connection, at: int) -> None:
    """Make due what was never attempted and is due later; the general queue waits no longer."""
    for column in ("due_at", "held_due_at"):
        connection.execute(
            f"UPDATE deliveries SET {column} = ? WHERE {column} > ? AND attempt_count = 0",  # noqa: S608 - ours
            (at, at),
        )
    connection.execute(
        "UPDATE general_queue SET served_at = ? WHERE served_at > ?",
        (at, at),
    )


def _move_followers_up(
    connection: Connection, number: int, waits_for: int | None, at: int
) -> set[LaneName]:
    if waits_for is None:
        return release_followers(connection, number, at)
    connection.execute(
        "UPDATE deliveries SET waits_for = ? WHERE waits_for = ?", (waits_for, number)
    )
    connection.execute("UPDATE deliveries SET is_waited_for = 1 WHERE id = ?", (waits_for,))
    return set()


def _next_state(settlement: Settlement, at: int, *, has_lane: bool) -> Row:
    due_at = None if settlement.due_at is None else from_time(settlement.due_at)
    return (
        settlement.state.value,
        0 if settlement.attempt is None else 1,
        None if has_lane else due_at,
        due_at if has_lane else None,
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
