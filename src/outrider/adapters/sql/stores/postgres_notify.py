"""Notifications that another process has committed: LISTEN/NOTIFY, and a number of this process.

A notification may be lost, and while the connection is down there are none. Nothing depends on
them: listeners also poll the store, only later.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

import psycopg

from outrider.adapters.sql.stores.postgres_connection import PostgresConnection, connect

_CHANNEL = "outrider"
NOTIFY = f"NOTIFY {_CHANNEL}"
_NODES = 0x6F757472  # "outr": the space of our advisory locks that number processes
_MAX_NODE = 1023  # what `runtime.IdGenerator` takes; 0 is a store that has one process
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


class PostgresNotifier:
    """Listens in a thread of its own, on a connection of its own.

    The connection also holds the number by which this process makes identifiers unlike those of
    all others. `own_process` returns the server's process whose notifications are this one's own.
    """

    def __init__(self, url: str, own_process: Callable[[], int | None]) -> None:
        self.count = 0
        self.listeners: list[Callable[[], None]] = []
        self._url = url
        self._own_process = own_process
        self._connection: PostgresConnection | None = connect(url)
        self.node = _take_node(self._connection)
        self._listen(self._connection)
        self._ending, self._end = os.pipe()
        self._thread = threading.Thread(
            target=self._run, name="postgres-notifications", daemon=True
        )
        self._thread.start()

    def call_listeners(self) -> None:
        """Count a change, and call all listeners."""
        self.count += 1
        for on_notification in self.listeners:
            on_notification()

    def close(self) -> None:
        """Stop listening."""
        os.write(self._end, b".")
        self._thread.join()
        os.close(self._end)
        os.close(self._ending)
        if self._connection is not None:
            self._connection.close()

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                if self._connection is None:
                    self._connection = self._reconnect()
                pause = _FIRST_PAUSE_S
                if self._wait(self._connection):
                    return
            except (psycopg.Error, OSError):
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                # What happens meanwhile is not notified: listeners should poll.
                self.call_listeners()
                if _readable([self._ending], pause):
                    return
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _wait(self, connection: PostgresConnection) -> bool:
        """Return True at the end, when `close` is called. Raise when the connection is lost."""
        while True:
            ready = _readable([self._ending, connection.raw.fileno()], None)
            if self._ending in ready:
                return True
            for notification in connection.raw.notifies(timeout=0):
                if notification.pid != self._own_process():
                    self.call_listeners()

    def _reconnect(self) -> PostgresConnection:
        connection = connect(self._url)
        # Mostly the number is free again. If not, the server has not yet noticed that the old
        # connection is gone: another process gets this number only after a thousand more starts.
        connection.execute("SELECT pg_try_advisory_lock(?::int, ?::int)", (_NODES, self.node))
        self._listen(connection)
        return connection

    def _listen(self, connection: PostgresConnection) -> None:
        connection.script(f"LISTEN {_CHANNEL}")


def _take_node(connection: PostgresConnection) -> int:
    for _ in range(_MAX_NODE):
        node, is_taken = connection.execute(
            "SELECT node, pg_try_advisory_lock(?::int, node::int)"
            " FROM (SELECT nextval('nodes') AS node) AS next",
            (_NODES,),
        ).fetchone()
        if is_taken:
            return int(node)
    raise psycopg.OperationalError(f"{_MAX_NODE} processes use the database already")


def _readable(descriptors: list[int], timeout: float | None) -> list[int]:
    return select.select(descriptors, [], [], timeout)[0]
