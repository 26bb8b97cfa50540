"""Accept an event immediately and do the work later: nothing that was answered 2xx is lost.

    inbox = Inbox("inbox.db")
    receiver.accept_and_queue(inbox)
    threading.Thread(target=inbox.work, args=(receiver,)).start()

An event is written to a SQLite file, synced to the disk, and answered 202; the same delivery again is
answered the same and written once, also when its id was taken from it. `work` hands one after the other to the receiver's handlers, in
the order of their arrival. One that fails comes again after a wait that doubles; after `attempts`
it stays in the file, for `failed`. Several processes may work on one file.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from outrider_receiver._calls import HttpAnswer, OpenedCall
from outrider_receiver._once import CallNames, names_of
from outrider_receiver._verify import VerifiedCall
from outrider_receiver.payloads import parse_payload

if TYPE_CHECKING:
    from logging import Logger

ATTEMPTS = 12
"""The last one is about an hour after the first."""

KEEP_SECONDS = 7 * 86_400.0
"""How long an id is remembered after its work was done."""

_FIRST_WAIT_SECONDS = 1.0
_LEASE_SECONDS = 300.0
_IDLE_SECONDS = 0.5

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outrider_inbox (
    place INTEGER PRIMARY KEY,
    delivery_id TEXT NOT NULL UNIQUE,
    signed_at INTEGER NOT NULL,
    is_signed_id INTEGER NOT NULL,
    body BLOB,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    event_id TEXT,
    replay_of TEXT,
    hops INTEGER NOT NULL DEFAULT 0
);
-- What else each is known by, as long as it is there.
CREATE TABLE IF NOT EXISTS outrider_inbox_names (
    name TEXT PRIMARY KEY,
    place INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outrider_inbox_names_place ON outrider_inbox_names (place);
CREATE INDEX IF NOT EXISTS outrider_inbox_due ON outrider_inbox (state, due);
"""
# One statement, so that two workers never take the same.
_TAKE = """
UPDATE outrider_inbox SET attempts = attempts + 1, due = ?
WHERE place = (
    SELECT place FROM outrider_inbox WHERE state = 'pending' AND due <= ? ORDER BY place LIMIT 1
)
RETURNING place, delivery_id, signed_at, is_signed_id, body, attempts, event_id, replay_of, hops
"""
# Files of older releases lack these.
_NEW_COLUMNS = ("event_id TEXT", "replay_of TEXT", "hops INTEGER NOT NULL DEFAULT 0")


class HandlerRunner(Protocol):
    """The part of a `Receiver` that an inbox needs."""

    def run_handler(self, opened: OpenedCall) -> HttpAnswer:
        """Call the handler of a call that was verified when it was put into the inbox."""
        ...


class Inbox:
    """See the module."""

    def __init__(
        self,
        path: str | Path,
        *,
        attempts: int = ATTEMPTS,
        clock: Callable[[], float] = time.time,  # noqa: TID251 - a default
    ) -> None:
        """Open or make the file. `clock` is one that all processes share: Unix seconds."""
        self._attempts = attempts
        self._clock = clock
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._stopping = threading.Event()
        self._connection = sqlite3.connect(
            str(path), isolation_level=None, check_same_thread=False, timeout=10.0
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        # What is answered 2xx is on the disk.
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)
        self._add_columns()

    def put(self, opened: OpenedCall, *, by_event: bool = False) -> bool:
        """Keep an event; False when it is here, or was done, already. It is on the disk then.

        `by_event`: also when the same event came for another target, or as a replay.
        """
        names = names_of(opened, by_event=by_event)
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                is_new = self._put(opened, names)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        self._arrived.set()
        return is_new

    def _put(self, opened: OpenedCall, names: CallNames) -> bool:
        verified = opened.verified
        # ZITADEL sends no id: there the same bytes are the same event.
        delivery_id = names.delivery_id or hashlib.sha256(opened.body).hexdigest()
        has_id = names.delivery_id is not None
        bars = names.anonymous if has_id else (*names.signed, *names.anonymous)
        place = self._place(delivery_id, (*names.work, *bars))
        is_new = place is None
        if place is None:
            place = self._connection.execute(
                "INSERT INTO outrider_inbox (delivery_id, signed_at, is_signed_id, body, state, due,"
                " event_id, replay_of, hops) VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?)",
                (
                    *(delivery_id, verified.at, has_id, opened.body, self._clock()),
                    *(verified.event_id, verified.replay_of, verified.hops),
                ),
            ).lastrowid
        known_by = (*names.work, *(names.signed if has_id else names.anonymous))
        self._connection.executemany(
            "INSERT INTO outrider_inbox_names (name, place) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(name, place) for name in known_by],
        )
        return is_new

    def _place(self, delivery_id: str, names: tuple[str, ...]) -> int | None:
        """Return the row of the event that has this id, or one of these names."""
        row = self._connection.execute(
            "SELECT place FROM outrider_inbox WHERE delivery_id = ?", (delivery_id,)
        ).fetchone()
        for name in names if row is None else ():
            row = (
                row
                or self._connection.execute(
                    "SELECT place FROM outrider_inbox_names WHERE name = ?", (name,)
                ).fetchone()
            )
        return None if row is None else int(row[0])

    def work_once(self, receiver: HandlerRunner) -> bool:
        """Do the work of the oldest event that is due; False when there is none."""
        now = self._clock()
        with self._lock:
            row = self._connection.execute(_TAKE, (now + _LEASE_SECONDS, now)).fetchone()
        if row is None:
            return False
        place, delivery_id, signed_at, is_signed_id, body, attempts, event_id, replay_of, hops = row
        verified = VerifiedCall(
            signed_at, delivery_id if is_signed_id else None, attempts, event_id, replay_of, hops
        )
        is_done = _is_done(receiver, verified, body)
        with self._lock:
            self._settle(place, attempts, is_done=is_done)
        return True

    def work(self, receiver: HandlerRunner) -> None:
        """Do the work of events as they come, until `stop`."""
        while not self._stopping.is_set():
            self._arrived.clear()
            try:
                if not self.work_once(receiver):
                    self._arrived.wait(_IDLE_SECONDS)
            except sqlite3.OperationalError:
                # A full disk, a locked file: that passes, and what was accepted waits for us.
                _log().exception("the inbox could not be worked on")
                self._stopping.wait(_FIRST_WAIT_SECONDS)

    def stop(self) -> None:
        """Have `work` return after what it is doing."""
        self._stopping.set()
        self._arrived.set()

    def failed(self) -> list[bytes]:
        """The bodies of the events whose handlers failed every time, the oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT body FROM outrider_inbox WHERE state = 'failed' ORDER BY place"
            ).fetchall()
        return [row[0] for row in rows]

    def close(self) -> None:
        """Close the file, when no thread works on it any more."""
        with self._lock:
            self._connection.close()

    def _settle(self, place: int, attempts: int, *, is_done: bool) -> None:
        now = self._clock()
        if is_done:
            # The id stays for a while, the body need not.
            after = ("done", None, now + KEEP_SECONDS, place)
            self._change("state = ?, body = ?, due = ?", after)
            forgotten = self._connection.execute(
                "DELETE FROM outrider_inbox WHERE state = 'done' AND due <= ? RETURNING place",
                (now,),
            ).fetchall()
            self._connection.executemany(
                "DELETE FROM outrider_inbox_names WHERE place = ?", forgotten
            )
        elif attempts >= self._attempts:
            self._change("state = ?", ("failed", place))
        else:
            self._change("due = ?", (now + _FIRST_WAIT_SECONDS * 2 ** (attempts - 1), place))

    def _add_columns(self) -> None:
        for column in _NEW_COLUMNS:
            # Another process may do the same: then it is there when this one tries.
            with contextlib.suppress(sqlite3.OperationalError):
                self._connection.execute(f"ALTER TABLE outrider_inbox ADD COLUMN {column}")

    def _change(self, assignments: str, values: tuple[object, ...]) -> None:
        statement = f"UPDATE outrider_inbox SET {assignments} WHERE place = ?"  # noqa: S608 - ours
        self._connection.execute(statement, values)


def _log() -> Logger:
    import logging  # noqa: PLC0415 - 5 ms, when there is something to say

    return logging.getLogger("outrider_receiver")


def _is_done(receiver: HandlerRunner, verified: VerifiedCall, body: bytes) -> bool:
    opened = OpenedCall(verified, parse_payload(body), body)
    return receiver.run_handler(opened).status < 400  # noqa: PLR2004 - a failure's status
