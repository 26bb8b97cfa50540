"""Connections kept for the next call to the same origin."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict

from outrider.adapters.http.connect.connection import Connection, Origin
from outrider.adapters.http.connect.limits import ClientLimits

CLOSING_SECONDS = 5.0  # closing takes one turn of the loop; a process must stop in any case


class Pool:
    """Every open connection of a caller. `repr` tells how many are busy and how many idle.

    A connection is in exactly one of three states: busy, idle (known to its origin and to
    `_by_age`), or closed and forgotten.
    """

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._open: set[Connection] = set()
        self._by_age: OrderedDict[Connection, None] = OrderedDict()
        self._is_closed = False
        self._emptied = asyncio.Event()

    def __repr__(self) -> str:
        idle = len(self._by_age)
        return f"[busy {len(self._open) - idle} | idle {idle}]"

    @property
    def counts(self) -> tuple[int, int]:
        """How many connections are busy and how many idle."""
        idle = len(self._by_age)
        return len(self._open) - idle, idle

    def take(self, origin: Origin) -> Connection | None:
        """Give an idle connection, the one used last: it is the least likely to be stale."""
        if not origin.idle:
            return None
        connection = origin.idle.pop()
        del self._by_age[connection]
        return connection

    def give(self, connection: Connection) -> None:
        """Take back a connection after its exchange; close what cannot be kept."""
        idle, limits = connection.origin.idle, self._limits
        if not connection.reusable or len(idle) >= limits.max_idle_per_origin:
            connection.abort()
            return
        idle.append(connection)
        self._by_age[connection] = None
        connection.rest(limits.idle)
        if len(self._by_age) > limits.max_idle:
            self._retire(next(iter(self._by_age)))

    def made(self, connection: Connection) -> None:
        """A connection is open, and busy."""
        self._open.add(connection)
        if self._is_closed:
            connection.abort()

    def lost(self, connection: Connection) -> None:
        """A connection is closed."""
        self._open.discard(connection)
        self._forget(connection)
        if self._is_closed and not self._open:
            self._emptied.set()

    async def aclose(self) -> None:
        """Close every connection, busy ones too, and wait until they are gone."""
        self._is_closed = True
        for connection in tuple(self._open):
            self._forget(connection)
            connection.give_up("the caller was closed")
        if self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_SECONDS):
                    await self._emptied.wait()

    def _retire(self, connection: Connection) -> None:
        self._forget(connection)
        connection.abort()

    def _forget(self, connection: Connection) -> None:
        if connection in self._by_age:
            del self._by_age[connection]
            connection.origin.idle.remove(connection)
