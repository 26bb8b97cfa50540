"""Opening a connection: resolve and judge, connect to what was judged, shake hands."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence

from outrider.adapters.http.connect.address_guard import AddressGuard
from outrider.adapters.http.connect.connection import Connection, Origin
from outrider.adapters.http.connect.errors import of_proxy, timed_out, unreachable
from outrider.adapters.http.connect.happy_eyeballs import first_connected, plainly
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.pool import Pool
from outrider.adapters.http.connect.proxy_connect import open_tunnel
from outrider.adapters.http.connect.tls import handshake_failure
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.net.endpoint import Address, Endpoint
from outrider.domain.net.proxy import Proxy


class Dialer:
    """Opens connections that go to judged addresses and belong to the pool.

    `ssl_context` is for proxies; the one for a target is its passage's.
    """

    def __init__(
        self, guard: AddressGuard, pool: Pool, limits: ClientLimits, ssl_context: ssl.SSLContext
    ) -> None:
        self._guard = guard
        self._pool = pool
        self._limits = limits
        self._ssl_context = ssl_context

    async def dial(self, origin: Origin, deadline: float, seconds: float) -> Connection:
        """Give a fresh connection, busy from the start. Raise `RequestError`.

        `deadline` is the loop's time at which `seconds`, the whole call's time, are over.
        """
        proxy = origin.passage.proxy
        if proxy is not None:
            return await self._dial_through(proxy, origin, deadline, seconds)
        endpoint = origin.endpoint
        stage = Stage.RESOLVE
        try:
            async with asyncio.timeout_at(deadline):
                context = await _context(origin)
                addresses = await self._guard.addresses(endpoint)
                stage = Stage.CONNECT
                sock = await self._connect(endpoint, addresses)
                stage = Stage.TLS
                return await self._open(origin, sock, context)
        except TimeoutError:
            raise timed_out(stage, seconds) from None

    async def _dial_through(
        self, proxy: Proxy, origin: Origin, deadline: float, seconds: float
    ) -> Connection:
        stage = Stage.RESOLVE
        try:
            async with asyncio.timeout_at(deadline):
                context = await _context(origin)
                await self._guard.check_beyond_proxy(origin.endpoint)
                stage = Stage.PROXY
                transport = await self._tunnel(proxy, origin)
                stage = Stage.TLS
                return await self._open(origin, transport, context)
        except TimeoutError:
            raise timed_out(stage, seconds) from None

    async def _tunnel(self, proxy: Proxy, origin: Origin) -> asyncio.Transport:
        is_trusted = origin.passage.is_proxy_trusted
        try:
            addresses = await self._guard.addresses(proxy.endpoint, is_trusted=is_trusted)
            sock = await self._connect(proxy.endpoint, addresses)
        except RequestError as failed:
            raise of_proxy(failed) from None
        return await open_tunnel(sock, proxy, origin.endpoint, self._ssl_context, self._limits)

    async def _connect(self, endpoint: Endpoint, addresses: Sequence[Address]) -> socket.socket:
        dial = self._limits.dial
        where = f"{endpoint.host} port {endpoint.port}"
        timer = asyncio.timeout(dial)
        try:
            async with timer:
                return await first_connected(addresses, endpoint.port, self._limits.next_address)
        except OSError as failure:  # TimeoutError, ours and the kernel's, is one too
            if timer.expired():
                reason = f"no connection to {where} within {dial:g} s"
            else:
                reason = f"cannot connect to {where}: {plainly(failure)}"
            raise unreachable(Stage.CONNECT, reason) from None

    async def _open(
        self,
        origin: Origin,
        way: socket.socket | asyncio.Transport,
        context: ssl.SSLContext | None,
    ) -> Connection:
        connection = Connection(origin, self._limits, self._pool.made, self._pool.lost)
        timer = asyncio.timeout(self._limits.handshake)
        try:
            async with timer:
                await _attach(connection, way, context)
        except BaseException as failure:
            # Cancelled after `connection_made`, uvloop closes the socket and tells nobody.
            connection.abort()
            self._pool.lost(connection)
            if not isinstance(way, socket.socket):
                way.abort()
            if not isinstance(failure, OSError):
                raise
            if timer.expired():
                reason = f"no TLS handshake within {self._limits.handshake:g} s"
            else:
                reason = handshake_failure(failure)
            raise unreachable(Stage.TLS, reason) from None
        return connection


async def _context(origin: Origin) -> ssl.SSLContext | None:
    return await origin.passage.context() if origin.endpoint.scheme == "https" else None


async def _secured(
    way: asyncio.Transport, connection: Connection, context: ssl.SSLContext, name: str | None
) -> asyncio.Transport | None:
    loop = asyncio.get_running_loop()
    try:
        return await loop.start_tls(way, connection, context, server_hostname=name)
    except TypeError as broken:
        # Up to 3.11.7 and 3.12.1, asyncio trips over a handshake that fails inside of TLS
        # (cpython, gh-113214).
        if isinstance(broken.__context__, OSError):
            raise broken.__context__ from None
        raise


async def _attach(
    connection: Connection,
    way: socket.socket | asyncio.Transport,
    context: ssl.SSLContext | None,
) -> None:
    """Make the connection speak on a socket, or inside a tunnel."""
    loop = asyncio.get_running_loop()
    name = connection.origin.endpoint.host if context else None
    if isinstance(way, socket.socket):
        await loop.create_connection(
            lambda: connection, sock=way, ssl=context, server_hostname=name
        )
        return
    inner: asyncio.Transport | None = way
    if context is None:
        way.set_protocol(connection)
    else:
        inner = await _secured(way, connection, context, name)
    if inner is None:
        raise ConnectionResetError
    connection.connection_made(inner)
