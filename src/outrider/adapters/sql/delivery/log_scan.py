"""Looking through the log in SQL, a bounded part at a time, and where in it a time is.

Identifiers grow with time, so that no index of times is needed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import NamedTuple

from outrider.adapters.sql.schema.connection import (
    Connection,
    Row,
    from_duration,
    from_time,
    marks,
    to_number,
    to_optional_time,
    to_time,
)
from outrider.adapters.sql.schema.filters import Where
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import OPEN, LogEntry, LogRange, LogWindow
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, InstanceId, TargetId

# By how much identifiers and times may be out of order: clocks are set, and callers wait.
_MARGIN = from_duration(timedelta(minutes=10))
_MAX_ID = 2**63 - 1
_DEAD = DeliveryState.DEAD
# Up to this number of open deliveries the index is quicker; more of them are close together anyway.
_MANY_OPEN = 20_000
_KEPT = ", ".join(str(state.value) for state in (*OPEN, DeliveryState.DELIVERED))
IS_REPLAYED = (
    "({0}.was_redelivered <> 0 OR EXISTS (SELECT 1 FROM deliveries AS replays"  # noqa: S608 - ours
    " WHERE replays.replay_root = coalesce({0}.replay_root, {0}.id)"
    f" AND replays.state IN ({_KEPT})))"
)
"""A condition on a row of deliveries, by the name of the table: `LogEntry.is_replayed`."""
_ENTRY = (
    "{0}.id, {0}.created_at, {0}.state, {0}.target_id, targets.id IS NOT NULL,"
    " {0}.depends_on IS NOT NULL OR {0}.waits_on IS NOT NULL,"
    f" coalesce({{0}}.due_at, {{0}}.queued_due_at), {IS_REPLAYED}"
)
_TARGET = (
    "LEFT JOIN targets ON targets.instance_id = {0}.instance_id AND targets.id = {0}.target_id"
    " AND targets.deleted_at IS NULL"
)


class Query(NamedTuple):
    """A statement and its parameters."""

    text: str
    values: tuple[object, ...]


class SqlLogScans:
    """`LogScans` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def named(self, instance: InstanceId, ids: Collection[DeliveryId]) -> Sequence[LogEntry]:
        numbers = [number for delivery_id in ids if (number := to_number(delivery_id)) is not None]
        if not numbers:
            return []
        clause, value = self._connection.dialect.one_of("deliveries.id", numbers)
        rows = self._connection.execute(
            f"SELECT {_ENTRY.format('deliveries')} FROM deliveries {_TARGET.format('deliveries')}"  # noqa: S608 - ours
            f" WHERE deliveries.instance_id = ? AND {clause}",
            (instance, value),
        )
        return [_entry(row) for row in sorted(rows, key=itemgetter(0))]

    def scan(
        self,
        instance: InstanceId,
        query: DeliverySearch,
        within: LogRange,
        limit: int,
        *,
        newest_first: bool = False,
    ) -> LogWindow:
        first = max(int(within.after), ids_since(self._connection, query.created_since) - 1)
        last = min(int(within.until), ids_until(self._connection, query.created_until))
        direction = "DESC" if newest_first else "ASC"
        few = self._few_open(instance, query)
        if few is None:
            scanned = _scanned(instance, query, first, last)
        else:
            numbers = self._connection.execute(
                f"SELECT id FROM ({few.text}) AS few WHERE id > ? AND id <= ?"  # noqa: S608 - ours
                f" ORDER BY id {direction} LIMIT ?",
                (*few.values, first, last, limit),
            )
            scanned = Where(*self._connection.dialect.one_of("id", [row[0] for row in numbers]))
        matching = _matching(instance, query)
        rows = self._connection.execute(
            f"SELECT {_ENTRY.format('seen')}, {matching.text} FROM"  # noqa: S608 - ours
            f" (SELECT * FROM deliveries WHERE {scanned.text} ORDER BY id {direction} LIMIT ?) AS seen"
            " JOIN events ON events.number = seen.event_number"
            f" {_TARGET.format('seen')}",
            (*matching.values, *scanned.values, limit),
        ).fetchall()
        rows.sort(key=itemgetter(0), reverse=newest_first)
        found = [_entry(row) for row in rows if row[-1]]
        is_rest = len(rows) == limit
        return LogWindow(
            found,
            DeliveryId(str(rows[-1][0])) if is_rest else None,
            to_time(rows[-1][1]) if rows else None,
        )

    def _few_open(self, instance: InstanceId, query: DeliverySearch) -> Query | None:
        """Return the query for open deliveries, when it asks only for them and they are few; else None.

        In a long log the few that are open are far from each other.
        """
        is_only_open = query.states and set(query.states) <= set(OPEN)
        if query.event_id is not None or not is_only_open:
            return None
        where = Where("finished_at IS NULL AND instance_id = ?", instance)
        if query.target_id is not None:
            where.add("target_id = ?", query.target_id)
        found = Query(
            # In the order of its index: the other index of an instance has all that is finished.
            f"SELECT id FROM deliveries WHERE {where.text}"  # noqa: S608 - ours
            " ORDER BY target_id, attempt_count, created_at LIMIT ?",
            (*where.values, _MANY_OPEN + 1),
        )
        (count,) = self._connection.execute(
            f"SELECT count(*) FROM ({found.text}) AS few",  # noqa: S608 - ours
            found.values,
        ).fetchone()
        return found if count <= _MANY_OPEN else None


def _scanned(instance: InstanceId, query: DeliverySearch, first: int, last: int) -> Where:
    """Return a condition that uses an index and keeps the order of ids, to read few other rows."""
    if query.event_id is not None:
        where = Where(
            "event_number = (SELECT number FROM events WHERE instance_id = ? AND id = ?)",
            instance,
            query.event_id,
        )
    elif query.states == (_DEAD,):
        where = Where(f"state = {_DEAD.value} AND instance_id = ?", instance)
    elif query.target_id is not None:
        where = Where("instance_id = ? AND target_id = ?", instance, query.target_id)
    else:
        where = Where("1 = 1")
    where.add("id > ?", first)
    where.add("id <= ?", last)
    return where


def _matching(instance: InstanceId, query: DeliverySearch) -> Where:
    where = Where("seen.instance_id = ?", instance)
    if query.states:
        where.add(
            f"seen.state IN ({marks(query.states)})", *(state.value for state in query.states)
        )
    if query.target_id is not None:
        where.add("seen.target_id = ?", query.target_id)
    if query.event_type is not None:
        where.add("events.type = ?", query.event_type)
    if query.created_since is not None:
        where.add("seen.created_at >= ?", from_time(query.created_since))
    if query.created_until is not None:
        where.add("seen.created_at < ?", from_time(query.created_until))
    return where


def _entry(row: Row) -> LogEntry:
    return LogEntry(
        id=DeliveryId(str(row[0])),
        state=DeliveryState(row[2]),
        target_id=TargetId(row[3]),
        has_target=bool(row[4]),
        waits=bool(row[5]),
        due_at=to_optional_time(row[6]),
        is_replayed=bool(row[7]),
    )


def ids_since(connection: Connection, since: datetime | None) -> int:
    """No delivery with a smaller id was made at `since` or later."""
    return 0 if since is None else _first_made_at(connection, from_time(since) - _MARGIN)


def ids_until(connection: Connection, until: datetime | None) -> int:
    """No delivery with a greater id was made before `until`."""
    return _MAX_ID if until is None else _first_made_at(connection, from_time(until) + _MARGIN)


def _first_made_at(connection: Connection, at: int) -> int:
    """The smallest id from which on deliveries were made at this time or later, by bisection."""
    before, beyond = 0, _MAX_ID
    while beyond - before > 1:
        middle = (before + beyond) // 2
        row = connection.execute(
            "SELECT id, created_at FROM deliveries WHERE id >= ? AND id < ? ORDER BY id LIMIT 1",
            (middle, beyond),
        ).fetchone()
        if row is None or row[1] >= at:
            beyond = middle
        else:
            before = row[0]
    return beyond
