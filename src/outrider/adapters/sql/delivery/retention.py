"""Retention in SQL: small batches, found by index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from outrider.adapters.sql.schema.connection import Connection, Row, from_time
from outrider.domain.delivery.delivery import DeliveryState

_MAINTENANCE = "maintenance"
# Each page of a long body is given back on its own.
_DELETED_BYTES = 4 * 1024 * 1024
_REDELIVERED = "UPDATE deliveries SET was_redelivered = 1 WHERE {} = ?"


class SqlRetention:
    """`Retention` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def acquire_leadership(self, owner: str, now: datetime, until: datetime) -> bool:
        row = self._connection.execute(
            "INSERT INTO leader_leases (name, owner, expires_at) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner,"
            " expires_at = excluded.expires_at"
            " WHERE leader_leases.owner = excluded.owner OR leader_leases.expires_at <= ? RETURNING owner",
            (_MAINTENANCE, owner, from_time(until), from_time(now)),
        ).fetchone()
        return row is not None

    def delete_expired_deliveries(
        self, state: DeliveryState, finished_before: datetime, limit: int
    ) -> int:
        rows = self._connection.execute(
            "SELECT id, instance_id, target_id, finished_at, replay_root FROM deliveries"  # noqa: S608 - ours
            f" WHERE state = {state.value} AND finished_at < ?"
            " AND NOT EXISTS (SELECT 1 FROM deliveries AS others WHERE others.depends_on = deliveries.id)"
            " AND NOT EXISTS (SELECT 1 FROM deliveries AS others WHERE others.waits_on = deliveries.id)"
            " ORDER BY finished_at, id LIMIT ?",
            (from_time(finished_before), limit),
        ).fetchall()
        numbers = [(row[0],) for row in rows]
        roots = [(row[4],) for row in rows if row[4] is not None]
        if state is DeliveryState.DELIVERED and roots:
            # The dead ones that it repeats stay longer: they are still not to be replayed again.
            self._connection.executemany(_REDELIVERED.format("id"), roots)
            self._connection.executemany(_REDELIVERED.format("replay_root"), roots)
        self._connection.executemany("DELETE FROM attempts WHERE delivery_id = ?", numbers)
        self._connection.executemany("DELETE FROM deliveries WHERE id = ?", numbers)
        self._uncount(state, rows)
        return len(rows)

    def delete_expired_events(
        self, published_before: datetime, after: int, limit: int
    ) -> tuple[int, int | None]:
        rows = self._connection.execute(
            "SELECT number, created_at, length(body), EXISTS"
            " (SELECT 1 FROM deliveries WHERE deliveries.event_number = events.number)"
            " FROM events WHERE number > ? ORDER BY number LIMIT ?",
            (after, limit),
        ).fetchall()
        before = from_time(published_before)
        # Numbers grow with time: after the first that is too young there is none to delete.
        old = [row for row in rows if row[1] < before]
        looked_at = _first_rows(old)
        without_deliveries = [(row[0],) for row in looked_at if not row[3]]
        self._connection.executemany("DELETE FROM events WHERE number = ?", without_deliveries)
        is_rest = len(looked_at) < len(old) or len(old) == limit
        return len(without_deliveries), looked_at[-1][0] if is_rest else None

    def _uncount(self, state: DeliveryState, rows: Sequence[Row]) -> None:
        mark = self._connection.execute(
            "SELECT finished_at, delivery_id FROM rollup_marks WHERE state = ?", (state.value,)
        ).fetchone()
        counts = Counter((row[1], row[2]) for row in rows if (row[3], row[0]) <= mark)
        self._connection.executemany(
            "UPDATE delivery_totals SET count = count - ?"
            " WHERE instance_id = ? AND target_id = ? AND state = ?",
            [(count, *target_key, state.value) for target_key, count in counts.items()],
        )
        if rows:
            self._connection.execute("DELETE FROM delivery_totals WHERE count <= 0")


def _first_rows(events: Sequence[Row]) -> Sequence[Row]:
    """As many as have no more bytes together than one transaction deletes; at least one."""
    size = 0
    for count, (_, _, length, has_deliveries) in enumerate(events, start=1):
        size += 0 if has_deliveries else length
        if size >= _DELETED_BYTES:
            return events[:count]
    return events
