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

from outrider.adapters.sql.postgres.connection import Database, PostgresConnection
from outrider.adapters.sql.schema.dialect import OF_SCHEMA

# Channels are a database's, and each schema in it may be a store.
_CHANNEL = f"'outrider_' || {OF_SCHEMA}"
NOTIFY = f"SELECT pg_notify({_CHANNEL}, '')"
_LISTEN = f"SELECT 'LISTEN ' || quote_ident({_CHANNEL})"
_NODES = 0x6F757472  # "outr": the space of our advisory locks that number processes
_MAX_NODE = 1023  # what `runtime.IdGenerator` takes; 0 is a store that has one process
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_END, _RENEW = b".", b"+"


class PostgresNotifier:
    """Listens in a thread of its own, on a connection of its own.

    The connection also holds the number by which this process makes identifiers unlike those of
    all others. `own_process` returns the server's process whose notifications are this one's own.
    """

    def __init__(self, database: Database, own_process: Callable[[], int | None]) -> None:
        self.count = 0
        self.listeners: list[Callable[[], None]] = []
        self._database = database
        self._own_process = own_process
        self._connection: PostgresConnection | None = database.connect()
        try:
            self.node = _take_node(self._connection)
            self._listen(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self._commands, self._command = os.pipe()
        self._thread = threading.Thread(
            target=self._run, name="postgres-notifications", daemon=True
        )
        self._thread.start()

    def call_listeners(self) -> None:
        """Count a change, and call all listeners."""
        self.count += 1
        for on_notification in self.listeners:
            on_notification()

    def renew(self) -> None:
        """Listen on a new connection: the old one may lead to a server that is no primary any more."""
        os.write(self._command, _RENEW)

    def close(self) -> None:
        """Stop listening."""
        os.write(self._command, _END)
        self._thread.join()
        os.close(self._command)
        os.close(self._commands)
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
                if _readable([self._commands], pause) and self._ends():
                    return
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _wait(self, connection: PostgresConnection) -> bool:
        """Return True at the end, when `close` is called. Raise when another connection is needed."""
        while True:
            ready = _readable([self._commands, connection.raw.fileno()], None)
            if self._commands in ready:
                if self._ends():
                    return True
                raise psycopg.OperationalError("the server may be another one now")
            for notification in connection.raw.notifies(timeout=0):
                if notification.pid != self._own_process():
                    self.call_listeners()

    def _ends(self) -> bool:
        return os.read(self._commands, 1) == _END

    def _reconnect(self) -> PostgresConnection:
        connection = self._database.connect()
        try:
            # Mostly the number is free again. If not, the server has not yet noticed that the old
            # connection is gone: another process gets this number only after a thousand more starts.
            connection.execute("SELECT pg_try_advisory_lock(?::int, ?::int)", (_NODES, self.node))
            self._listen(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _listen(self, connection: PostgresConnection) -> None:
        connection.script(connection.execute(_LISTEN).fetchone()[0])


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
