"""Opening a connection: resolve and judge, connect to what was judged, shake hands."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Sequence

from outrider.adapters.egress.connection import Connection, Origin
from outrider.adapters.egress.failures import timed_out, unreachable
from outrider.adapters.egress.guard import Guard
from outrider.adapters.egress.limits import CallerLimits
from outrider.adapters.egress.pool import Pool
from outrider.adapters.egress.tls import handshake_failure
from outrider.domain.call import Stage
from outrider.domain.endpoint import Address, Endpoint


class Dialer:
    """Opens connections that go to judged addresses and belong to the pool."""

    def __init__(
        self, guard: Guard, pool: Pool, limits: CallerLimits, ssl_context: ssl.SSLContext
    ) -> None:
        self._guard = guard
        self._pool = pool
        self._limits = limits
        self._ssl_context = ssl_context

    async def dial(self, origin: Origin, deadline: float, seconds: float) -> Connection:
        """Give a fresh connection, busy from the start. Raise `CallFailed`.

        `deadline` is the loop's time at which `seconds`, the whole call's time, are over.
        """
        endpoint = origin.endpoint
        stage = Stage.RESOLVE
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await self._guard.addresses(endpoint)
                stage = Stage.CONNECT
                sock = await self._connect(endpoint, addresses)
                stage = Stage.TLS
                return await self._open(origin, sock)
        except TimeoutError:
            raise timed_out(stage, seconds) from None

    async def _connect(self, endpoint: Endpoint, addresses: Sequence[Address]) -> socket.socket:
        dial = self._limits.dial
        where = f"{endpoint.host} port {endpoint.port}"
        timer = asyncio.timeout(dial)
        try:
            async with timer:
                return await _first_connected(addresses, endpoint.port, self._limits.next_address)
        except OSError as failure:  # TimeoutError, ours and the kernel's, is one too
            if timer.expired():
                reason = f"no connection to {where} within {dial:g} s"
            else:
                reason = f"cannot connect to {where}: {_plainly(failure)}"
            raise unreachable(Stage.CONNECT, reason) from None

    async def _open(self, origin: Origin, sock: socket.socket) -> Connection:
        connection = Connection(origin, self._limits, self._pool.made, self._pool.lost)
        timer = asyncio.timeout(self._limits.handshake)
        try:
            async with timer:
                await self._attach(connection, sock)
        except BaseException as failure:
            # Cancelled after `connection_made`, uvloop closes the socket and tells nobody.
            connection.abort()
            self._pool.lost(connection)
            if not isinstance(failure, OSError):
                raise
            if timer.expired():
                reason = f"no TLS handshake within {self._limits.handshake:g} s"
            else:
                reason = handshake_failure(failure)
            raise unreachable(Stage.TLS, reason) from None
        return connection

    async def _attach(self, connection: Connection, sock: socket.socket) -> None:
        endpoint = connection.origin.endpoint
        is_secure = endpoint.scheme == "https"
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            sock=sock,
            ssl=self._ssl_context if is_secure else None,
            server_hostname=endpoint.host if is_secure else None,
        )


async def _first_connected(
    addresses: Sequence[Address], port: int, next_after: float
) -> socket.socket:
    """Give the first socket that connects; an address that dawdles lets the next one try too."""
    if len(addresses) == 1:
        return await _connected(addresses[0], port)
    tries: list[asyncio.Task[socket.socket]] = []
    try:
        return await _race(tries, addresses, port, next_after)
    finally:
        for attempt in tries:
            _drop(attempt)


async def _race(
    tries: list[asyncio.Task[socket.socket]],
    addresses: Sequence[Address],
    port: int,
    next_after: float,
) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: BaseException | None = None
    waiting = list(addresses)
    while waiting or tries:
        if waiting:
            tries.append(loop.create_task(_connected(waiting.pop(0), port)))
        done, _ = await asyncio.wait(
            tries,
            timeout=next_after if waiting else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for attempt in done:
            tries.remove(attempt)
            failure = failure or attempt.exception()
            if attempt.exception() is None:
                return attempt.result()
    raise failure or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


def _drop(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancel() and attempt.exception() is None:
        attempt.result().close()


async def _connected(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


def _plainly(failure: OSError) -> str:
    """The system's own words; what event loops add to them repeats the address."""
    return os.strerror(failure.errno).lower() if failure.errno else "connection failed"
