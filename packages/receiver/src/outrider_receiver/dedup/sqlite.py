"""Claims in a SQLite file: for several processes on one machine. It remembers over a restart."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from outrider_receiver.dedup import LEASE_SECONDS, Claimed, State, new_token

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outrider_claims (
    delivery_id TEXT PRIMARY KEY,
    token TEXT NOT NULL,
    until REAL NOT NULL
) WITHOUT ROWID
"""
# An expired row is taken over in place. Done rows have no token.
_CLAIM = """
INSERT INTO outrider_claims (delivery_id, token, until) VALUES (?, ?, ?)
ON CONFLICT (delivery_id)
    DO UPDATE SET token = excluded.token, until = excluded.until WHERE until <= ?
"""


class SqliteStore:
    """See the module. One connection, shared by the threads of a process."""

    def __init__(self, path: str | Path, *, clock: Callable[[], float] = time.time) -> None:  # noqa: TID251 - a default
        """Open or make the file. `clock` is one that all processes share: Unix seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._sweep_at = 0.0
        self._connection = sqlite3.connect(
            str(path), isolation_level=None, check_same_thread=False, timeout=10.0
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        # What is lost with the machine's power is done once more; with the process, nothing is.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(_SCHEMA)

    def claim(self, delivery_id: str, lease_seconds: float) -> Claimed:
        """See `DeduplicationStore`."""
        with self._lock:
            now = self._clock()
            self._sweep(now)
            mine = new_token()
            row = (delivery_id, mine, now + lease_seconds, now)
            if self._connection.execute(_CLAIM, row).rowcount:
                return Claimed(State.MINE, mine)
            found = self._connection.execute(
                "SELECT token FROM outrider_claims WHERE delivery_id = ?", (delivery_id,)
            ).fetchone()
            # Given back between the two statements: the next attempt gets it.
            return Claimed(State.BUSY if found is None or found[0] else State.DONE)

    def done(self, delivery_id: str, token: str, keep_seconds: float) -> bool:
        """See `DeduplicationStore`."""
        with self._lock:
            changed = self._connection.execute(
                "UPDATE outrider_claims SET token = '', until = ?"
                " WHERE delivery_id = ? AND token = ?",
                (self._clock() + keep_seconds, delivery_id, token),
            )
            return bool(changed.rowcount)

    def release(self, delivery_id: str, token: str) -> None:
        """See `DeduplicationStore`."""
        with self._lock:
            self._connection.execute(
                "DELETE FROM outrider_claims WHERE delivery_id = ? AND token = ?",
                (delivery_id, token),
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _sweep(self, now: float) -> None:
        if now < self._sweep_at:
            return
        self._sweep_at = now + LEASE_SECONDS
        self._connection.execute("DELETE FROM outrider_claims WHERE until <= ?", (now,))
