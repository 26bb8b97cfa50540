"""Where in the log a time is. Identifiers grow with time, so that no index of times is needed."""

from __future__ import annotations

from datetime import datetime, timedelta

from outrider.adapters.sql.schema.connection import Connection, from_duration, from_time

# By how much identifiers and times may be out of order: clocks are set, and callers wait.
_MARGIN = from_duration(timedelta(minutes=10))
_MAX_ID = 2**63 - 1


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
