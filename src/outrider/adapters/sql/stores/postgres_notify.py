"""Hints that another process has committed something: LISTEN/NOTIFY, and a number of this process.

A hint may be lost, and while the connection is down there are none. Nothing depends on them: who
waits looks at the store by itself, only later.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

import psycopg

from outrider.adapters.sql.stores.postgres_connection import PostgresLink, connect

_CHANNEL = "outrider"
NOTIFY = f"NOTIFY {_CHANNEL}"
_NODES = 0x6F757472  # "outr": the space of our advisory locks that number processes
_MAX_NODE = 1023  # what `runtime.IdGenerator` takes; 0 is a store that has one process
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


class PostgresNotifier:
    """Listens in a thread of its own, on a connection of its own.

    The connection also holds the number by which this process makes identifiers unlike those of
    all others. `own` tells which connection's notifications are not news here.
    """

    def __init__(self, url: str, own: Callable[[], int | None]) -> None:
        self.count = 0
        self.listeners: list[Callable[[], None]] = []
        self._url = url
        self._own = own
        self._link: PostgresLink | None = connect(url)
        self.node = _take_node(self._link)
        self._listen(self._link)
        self._ending, self._end = os.pipe()
        self._thread = threading.Thread(target=self._run, name="postgres-hints", daemon=True)
        self._thread.start()

    def bump(self) -> None:
        """Something has changed here."""
        self.count += 1
        for tell in self.listeners:
            tell()

    def close(self) -> None:
        """Stop listening."""
        os.write(self._end, b".")
        self._thread.join()
        os.close(self._end)
        os.close(self._ending)
        if self._link is not None:
            self._link.close()

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                if self._link is None:
                    self._link = self._again()
                pause = _FIRST_PAUSE_S
                if self._wait(self._link):
                    return
            except (psycopg.Error, OSError):
                if self._link is not None:
                    self._link.close()
                    self._link = None
                # Nobody tells what happens meanwhile: whoever asks should look.
                self.bump()
                if _readable([self._ending], pause):
                    return
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _wait(self, link: PostgresLink) -> bool:
        """Count until told to end; then True. Raise when the connection is lost."""
        while True:
            ready = _readable([self._ending, link.raw.fileno()], None)
            if self._ending in ready:
                return True
            for notification in link.raw.notifies(timeout=0):
                if notification.pid != self._own():
                    self.bump()

    def _again(self) -> PostgresLink:
        link = connect(self._url)
        # Mostly it is free again. If not, the server has not yet noticed that the old connection
        # is gone: a number comes round to another process only after a thousand more starts.
        link.execute("SELECT pg_try_advisory_lock(?::int, ?::int)", (_NODES, self.node))
        self._listen(link)
        return link

    def _listen(self, link: PostgresLink) -> None:
        link.script(f"LISTEN {_CHANNEL}")


def _take_node(link: PostgresLink) -> int:
    for _ in range(_MAX_NODE):
        node, is_taken = link.execute(
            "SELECT node, pg_try_advisory_lock(?::int, node::int)"
            " FROM (SELECT nextval('nodes') AS node) AS next",
            (_NODES,),
        ).fetchone()
        if is_taken:
            return int(node)
    raise psycopg.OperationalError(f"{_MAX_NODE} processes use the database already")


def _readable(descriptors: list[int], timeout: float | None) -> list[int]:
    return select.select(descriptors, [], [], timeout)[0]
