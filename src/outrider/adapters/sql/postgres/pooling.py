"""Poolers between outrider and PostgreSQL, such as pgbouncer: one that keeps sessions is fine.

One that pools transactions hands a client another session for each of them. What outrider keeps in
a session is then lost or another client's: LISTEN, advisory locks, settings, prepared statements.
"""

from __future__ import annotations

from outrider.adapters.sql.postgres.connection import PostgresConnection, connect

_SERVER_PROCESS = "SELECT pg_backend_pid()"
# A pooler that gives out idle sessions in turn shows itself after as many as it has at most.
_TRIES = 20


def pools_transactions(connection: PostgresConnection, url: str) -> bool:
    """Return whether two statements of one connection may run in different sessions of the server.

    A server names its process when a client connects, and a pooler makes that number up. Only where
    they differ is a second connection made: with separate sessions, neither ever has a process
    that the other one had.
    """
    first = _server_process(connection)
    if first == connection.process:
        return False
    second = connect(url)
    try:
        ours, theirs = {first}, set[int]()
        for _ in range(_TRIES):
            theirs.add(_server_process(second))
            ours.add(_server_process(connection))
            if len(ours) > 1 or len(theirs) > 1 or ours & theirs:
                return True
    finally:
        second.close()
    return False


def _server_process(connection: PostgresConnection) -> int:
    return int(connection.execute(_SERVER_PROCESS).fetchone()[0])
