"""Lines of deliveries that wait for earlier ones of their aggregate, in SQL.

`aggregate` is set while a delivery stands in a line, `waits_on` names the one in front of it. The
first of a line is behind nobody. A delivery leaves its line when it is final; where the policy
parks, a dead one stays, and holds the others.
"""

from __future__ import annotations

from outrider.adapters.sql.schema.connection import Connection
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.target_queue import TargetKey, TargetQueue

_AT_ONCE = 1000
_LOOKED_AT = 2000
_OPEN = (DeliveryState.PENDING, DeliveryState.DELIVERING, DeliveryState.RETRYING)
_DEAD = DeliveryState.DEAD.value
_ALL, _PARKED = 1, 2


def last_of_key(connection: Connection, name: TargetKey, aggregate: str) -> int | None:
    """Whom the next delivery of an aggregate stands behind; None: nobody."""
    row = connection.execute(
        "SELECT id FROM deliveries WHERE instance_id = ? AND target_id = ? AND aggregate = ?"
        " AND NOT EXISTS (SELECT 1 FROM deliveries AS later WHERE later.waits_on = deliveries.id)"
        " ORDER BY event_number DESC LIMIT 1",
        (*name, aggregate),
    ).fetchone()
    return None if row is None else int(row[0])


def leave(connection: Connection, number: int) -> None:
    """The delivery leaves its line; who stood behind it is first now."""
    connection.execute("UPDATE deliveries SET waits_on = NULL WHERE waits_on = ?", (number,))
    connection.execute(
        "UPDATE deliveries SET aggregate = NULL, waits_on = NULL WHERE id = ?", (number,)
    )


def resume_key(connection: Connection, dead: int, replay: int) -> bool:
    """Put a replay in the place of a dead delivery that holds its line; whether it held one."""
    row = connection.execute(
        "SELECT aggregate FROM deliveries WHERE id = ? AND state = ? AND aggregate IS NOT NULL",
        (dead, _DEAD),
    ).fetchone()
    if row is None:
        return False
    connection.execute("UPDATE deliveries SET waits_on = ? WHERE waits_on = ?", (replay, dead))
    connection.execute("UPDATE deliveries SET aggregate = NULL WHERE id = ?", (dead,))
    connection.execute(
        "UPDATE deliveries SET aggregate = ?, waits_on = NULL WHERE id = ?", (row[0], replay)
    )
    return True


def order_changed(
    connection: Connection, name: TargetKey, before: TargetQueue, after: TargetQueue
) -> None:
    """Note what is to be done with the lines of a target queue; `put_in_order` does it, part by part."""
    if after.is_ordered and not before.is_ordered:
        work: tuple[int | None, int] = (0, 0)
    elif before.is_ordered and not after.is_ordered:
        work = (None, _ALL)
    elif before.halts_on_dead and not after.halts_on_dead:
        work = (None, _PARKED)
    else:
        return
    # Switched off before everything stood in line: then on again, all of it is looked at again.
    connection.execute(
        "UPDATE target_queues SET backfill_after = ?, promoting = ? WHERE instance_id = ?"
        " AND target_id = ?",
        (*work, *name),
    )


def is_backfilling(connection: Connection, name: TargetKey) -> bool:
    """Whether deliveries that came before the order are still to be lined up."""
    row = connection.execute(
        "SELECT 1 FROM target_queues WHERE instance_id = ? AND target_id = ?"
        " AND backfill_after IS NOT NULL",
        name,
    ).fetchone()
    return row is not None


def put_in_order(connection: Connection, name: TargetKey) -> bool:
    """Do a bounded part of what is to be done; whether all is done."""
    after, promoting = connection.execute(
        "SELECT backfill_after, promoting FROM target_queues WHERE instance_id = ? AND target_id = ?",
        name,
    ).fetchone() or (None, 0)
    if promoting:
        last, is_done = None, _promote(connection, name, promoting)
    elif after is not None:
        last = _backfill(connection, name, after)
        is_done = last is None
    else:
        return True
    connection.execute(
        "UPDATE target_queues SET backfill_after = ?, promoting = ? WHERE instance_id = ?"
        " AND target_id = ?",
        (last, 0 if is_done else promoting, *name),
    )
    return is_done


def _promote(connection: Connection, name: TargetKey, what: int) -> bool:
    dead = f" AND state = {_DEAD}" if what == _PARKED else ""
    numbers = connection.execute(
        "SELECT id FROM deliveries WHERE instance_id = ? AND target_id = ?"  # noqa: S608 - ours
        f" AND aggregate IS NOT NULL{dead} LIMIT ?",
        (*name, _AT_ONCE),
    ).fetchall()
    for (number,) in numbers:
        leave(connection, number)
    return len(numbers) < _AT_ONCE


def _backfill(connection: Connection, name: TargetKey, after: int) -> int | None:
    """Line up open deliveries that came before the order; return up to which id, None: all."""
    rows = connection.execute(
        "SELECT deliveries.id, deliveries.state, deliveries.aggregate, events.aggregate"
        " FROM deliveries JOIN events ON events.number = deliveries.event_number"
        " WHERE deliveries.instance_id = ? AND deliveries.target_id = ? AND deliveries.id > ?"
        " ORDER BY deliveries.id LIMIT ?",
        (*name, after, _LOOKED_AT),
    ).fetchall()
    for number, state, line, aggregate in rows:
        if state in _OPEN and line is None and aggregate:
            connection.execute(
                "UPDATE deliveries SET aggregate = ?, waits_on = ?, due_at = NULL,"
                " queued_due_at = coalesce(queued_due_at, due_at) WHERE id = ?",
                (aggregate, last_of_key(connection, name, aggregate), number),
            )
    return None if len(rows) < _LOOKED_AT else int(rows[-1][0])
