"""Lines of deliveries that wait for earlier ones of their aggregate, in SQL.

`aggregate` is set while a delivery stands in a line, `behind` names the one in front of it. The
first of a line is behind nobody. A delivery leaves its line when it is final; where the policy
parks, a dead one stays, and holds the others.
"""

from __future__ import annotations

from outrider.adapters.sql.schema.connection import Connection
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.target_queue import Lane, LaneName

_AT_ONCE = 1000
_LOOKED_AT = 2000
_OPEN = (DeliveryState.PENDING, DeliveryState.DELIVERING, DeliveryState.RETRYING)
_DEAD = DeliveryState.DEAD.value
_ALL, _PARKED = 1, 2


def last_in_line(connection: Connection, name: LaneName, aggregate: str) -> int | None:
    """Whom the next delivery of an aggregate stands behind; None: nobody."""
    row = connection.execute(
        "SELECT id FROM deliveries WHERE instance_id = ? AND target_id = ? AND aggregate = ?"
        " AND NOT EXISTS (SELECT 1 FROM deliveries AS later WHERE later.behind = deliveries.id)"
        " ORDER BY event_number DESC LIMIT 1",
        (*name, aggregate),
    ).fetchone()
    return None if row is None else int(row[0])


def leave(connection: Connection, number: int) -> None:
    """The delivery leaves its line; who stood behind it is first now."""
    connection.execute("UPDATE deliveries SET behind = NULL WHERE behind = ?", (number,))
    connection.execute(
        "UPDATE deliveries SET aggregate = NULL, behind = NULL WHERE id = ?", (number,)
    )


def unpark(connection: Connection, dead: int, replay: int) -> bool:
    """Put a replay in the place of a dead delivery that holds its line; whether it held one."""
    row = connection.execute(
        "SELECT aggregate FROM deliveries WHERE id = ? AND state = ? AND aggregate IS NOT NULL",
        (dead, _DEAD),
    ).fetchone()
    if row is None:
        return False
    connection.execute("UPDATE deliveries SET behind = ? WHERE behind = ?", (replay, dead))
    connection.execute("UPDATE deliveries SET aggregate = NULL WHERE id = ?", (dead,))
    connection.execute(
        "UPDATE deliveries SET aggregate = ?, behind = NULL WHERE id = ?", (row[0], replay)
    )
    return True


def order_changed(connection: Connection, name: LaneName, before: Lane, after: Lane) -> None:
    """Note what is to be done with the lines of a lane; `put_in_order` does it, part by part."""
    if after.is_ordered and not before.is_ordered:
        work: tuple[int | None, int] = (0, 0)
    elif before.is_ordered and not after.is_ordered:
        work = (None, _ALL)
    elif before.parks and not after.parks:
        work = (None, _PARKED)
    else:
        return
    # Switched off before everything stood in line: then on again, all of it is looked at again.
    connection.execute(
        "UPDATE lanes SET lining_up_after = ?, letting_go = ? WHERE instance_id = ?"
        " AND target_id = ?",
        (*work, *name),
    )


def is_lining_up(connection: Connection, name: LaneName) -> bool:
    """Whether deliveries that came before the order are still to be lined up."""
    row = connection.execute(
        "SELECT 1 FROM lanes WHERE instance_id = ? AND target_id = ?"
        " AND lining_up_after IS NOT NULL",
        name,
    ).fetchone()
    return row is not None


def put_in_order(connection: Connection, name: LaneName) -> bool:
    """Do a bounded part of what is to be done; whether all is done."""
    after, letting_go = connection.execute(
        "SELECT lining_up_after, letting_go FROM lanes WHERE instance_id = ? AND target_id = ?",
        name,
    ).fetchone() or (None, 0)
    if letting_go:
        last, is_done = None, _let_go(connection, name, letting_go)
    elif after is not None:
        last = _line_up(connection, name, after)
        is_done = last is None
    else:
        return True
    connection.execute(
        "UPDATE lanes SET lining_up_after = ?, letting_go = ? WHERE instance_id = ?"
        " AND target_id = ?",
        (last, 0 if is_done else letting_go, *name),
    )
    return is_done


def _let_go(connection: Connection, name: LaneName, what: int) -> bool:
    dead = f" AND state = {_DEAD}" if what == _PARKED else ""
    numbers = connection.execute(
        "SELECT id FROM deliveries WHERE instance_id = ? AND target_id = ?"  # noqa: S608 - ours
        f" AND aggregate IS NOT NULL{dead} LIMIT ?",
        (*name, _AT_ONCE),
    ).fetchall()
    for (number,) in numbers:
        leave(connection, number)
    return len(numbers) < _AT_ONCE


def _line_up(connection: Connection, name: LaneName, after: int) -> int | None:
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
                "UPDATE deliveries SET aggregate = ?, behind = ?, due_at = NULL,"
                " held_due_at = coalesce(held_due_at, due_at) WHERE id = ?",
                (aggregate, last_in_line(connection, name, aggregate), number),
            )
    return None if len(rows) < _LOOKED_AT else int(rows[-1][0])
