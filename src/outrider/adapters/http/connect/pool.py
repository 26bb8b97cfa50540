"""Idle connections, kept for the next call to the same origin."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict

from outrider.adapters.http.connect.connection import Connection
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.net.endpoint import Endpoint

CLOSING_SECONDS = 5.0  # the loop closes at its next iteration; a process must stop in any case


class Origin:
    """Scheme, host and port, as one transport reaches them, with the idle connections to it.

    A transport has exactly one object for an origin, so that they are compared by identity.
    """

    __slots__ = ("__weakref__", "endpoint", "idle")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.idle: list[Connection] = []

    def __repr__(self) -> str:
        return (
            f"<Origin {self.endpoint.scheme}://{self.endpoint.authority} [idle {len(self.idle)}]>"
        )


class Pool:
    """Every open connection of a client. `repr` tells how many are busy and how many idle.

    A connection is in exactly one of three states: busy, idle (listed by its origin and in
    `_idle`, the one unused for longest first), or closed and forgotten.
    """

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._open: set[Connection] = set()
        self._idle: OrderedDict[Connection, Origin] = OrderedDict()
        self._is_closed = False
        self._emptied = asyncio.Event()

    def __repr__(self) -> str:
        busy, idle = self.counts
        return f"[busy {busy} | idle {idle}]"

    @property
    def counts(self) -> tuple[int, int]:
        """How many connections are busy and how many idle."""
        idle = len(self._idle)
        return len(self._open) - idle, idle

    def acquire(self, origin: Origin) -> Connection | None:
        """Give an idle connection, the one used last: it is the least likely to be closed.

        None was closed by its peer, as far as this machine knows at this moment.
        """
        while origin.idle:
            connection = origin.idle.pop()
            del self._idle[connection]
            if connection.is_silent():
                return connection
            connection.abort()
        return None

    def release(self, origin: Origin, connection: Connection) -> None:
        """Take back a connection to `origin` after its exchange; close what cannot be kept."""
        idle, limits = origin.idle, self._limits
        if not connection.reusable or len(idle) >= limits.max_idle_per_origin:
            connection.abort()
            return
        idle.append(connection)
        self._idle[connection] = origin
        connection.set_idle(connection.idle_seconds)
        if len(self._idle) > limits.max_idle:
            oldest = next(iter(self._idle))
            self._forget(oldest)
            oldest.abort()

    def opened(self, connection: Connection) -> None:
        """A connection is open, and busy."""
        self._open.add(connection)
        if self._is_closed:
            connection.abort()

    def closed(self, connection: Connection) -> None:
        """A connection is closed, idle or busy."""
        self._open.discard(connection)
        self._forget(connection)
        if self._is_closed and not self._open:
            self._emptied.set()

    async def aclose(self) -> None:
        """Close every connection, busy ones too, and wait until they are gone."""
        self._is_closed = True
        for connection in tuple(self._open):
            self._forget(connection)
            connection.fail("the client was closed")
        if self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_SECONDS):
                    await self._emptied.wait()

    def _forget(self, connection: Connection) -> None:
        origin = self._idle.pop(connection, None)
        if origin is not None:
            origin.idle.remove(connection)
