"""Open a connection: resolve, check the address, connect, do the TLS handshake."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence

from outrider.adapters.http.connect.address_guard import AddressGuard
from outrider.adapters.http.connect.connection import Connection
from outrider.adapters.http.connect.errors import as_proxy_error, timed_out, unreachable
from outrider.adapters.http.connect.happy_eyeballs import connect_first, describe_failure
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.pool import Pool
from outrider.adapters.http.connect.proxy_connect import open_tunnel
from outrider.adapters.http.connect.tls import target_handshake_failure
from outrider.adapters.http.connect.transports import Destination
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.net.endpoint import Address, Endpoint
from outrider.domain.net.proxy import Proxy


class Dialer:
    """Opens connections that go to checked addresses and belong to the pool.

    `ssl_context` is for proxies; the one for a target is its transport's.
    """

    def __init__(
        self,
        address_guard: AddressGuard,
        pool: Pool,
        limits: ClientLimits,
        ssl_context: ssl.SSLContext,
    ) -> None:
        self._address_guard = address_guard
        self._pool = pool
        self._limits = limits
        self._ssl_context = ssl_context

    async def dial(self, destination: Destination, deadline: float, seconds: float) -> Connection:
        """Give a fresh connection, busy from the start. Raise `RequestError`.

        `deadline` is the loop's time at which `seconds`, the whole call's time, are over.
        """
        proxy = destination.transport.proxy
        if proxy is not None:
            return await self._dial_through(proxy, destination, deadline, seconds)
        endpoint = destination.endpoint
        stage = Stage.RESOLVE
        try:
            async with asyncio.timeout_at(deadline):
                context = await _context(destination)
                addresses = await self._address_guard.addresses(endpoint)
                stage = Stage.CONNECT
                sock = await self._connect(endpoint, addresses)
                stage = Stage.TLS
                return await self._open(endpoint, sock, context)
        except TimeoutError:
            raise timed_out(stage, seconds) from None

    async def _dial_through(
        self, proxy: Proxy, destination: Destination, deadline: float, seconds: float
    ) -> Connection:
        stage = Stage.RESOLVE
        try:
            async with asyncio.timeout_at(deadline):
                context = await _context(destination)
                await self._address_guard.check_beyond_proxy(destination.endpoint)
                stage = Stage.PROXY
                tunnel = await self._open_tunnel(proxy, destination)
                stage = Stage.TLS
                return await self._open(destination.endpoint, tunnel, context)
        except TimeoutError:
            raise timed_out(stage, seconds) from None

    async def _open_tunnel(self, proxy: Proxy, destination: Destination) -> asyncio.Transport:
        endpoint = proxy.endpoint
        is_trusted = destination.transport.is_proxy_trusted
        try:
            addresses = await self._address_guard.addresses(endpoint, is_trusted=is_trusted)
            sock = await self._connect(endpoint, addresses)
        except RequestError as error:
            raise as_proxy_error(error) from None
        return await open_tunnel(sock, proxy, destination.endpoint, self._ssl_context, self._limits)

    async def _connect(self, endpoint: Endpoint, addresses: Sequence[Address]) -> socket.socket:
        dial = self._limits.dial
        where = f"{endpoint.host} port {endpoint.port}"
        timer = asyncio.timeout(dial)
        try:
            async with timer:
                return await connect_first(addresses, endpoint.port, self._limits.next_address)
        except OSError as failure:  # TimeoutError, ours and the kernel's, is one too
            if timer.expired():
                reason = f"no connection to {where} within {dial:g} s"
            else:
                reason = f"cannot connect to {where}: {describe_failure(failure)}"
            raise unreachable(Stage.CONNECT, reason) from None

    async def _open(
        self,
        endpoint: Endpoint,
        stream: socket.socket | asyncio.Transport,
        context: ssl.SSLContext | None,
    ) -> Connection:
        connection = Connection(endpoint, self._limits, self._pool.opened, self._pool.closed)
        timer = asyncio.timeout(self._limits.handshake)
        try:
            async with timer:
                await _attach(connection, stream, context)
        except BaseException as failure:
            # Cancelled after `connection_made`, uvloop closes the socket without a callback.
            connection.abort()
            self._pool.closed(connection)
            if not isinstance(stream, socket.socket):
                stream.abort()
            if not isinstance(failure, OSError):
                raise
            if timer.expired():
                reason = f"no TLS handshake within {self._limits.handshake:g} s"
            else:
                reason = target_handshake_failure(failure)
            raise unreachable(Stage.TLS, reason) from None
        return connection


async def _context(destination: Destination) -> ssl.SSLContext | None:
    if destination.endpoint.scheme == "https":
        return await destination.transport.tls_context()
    return None


async def _attach(
    connection: Connection,
    stream: socket.socket | asyncio.Transport,
    context: ssl.SSLContext | None,
) -> None:
    """Make the connection speak on a socket, or inside a tunnel."""
    loop = asyncio.get_running_loop()
    name = connection.endpoint.host if context else None
    if isinstance(stream, socket.socket):
        await loop.create_connection(
            lambda: connection, sock=stream, ssl=context, server_hostname=name
        )
        return
    inner: asyncio.Transport | None = stream
    if context is None:
        stream.set_protocol(connection)
    else:
        inner = await _start_tls(stream, connection, context, name)
    if inner is None:
        raise ConnectionResetError
    connection.connection_made(inner)


async def _start_tls(
    tunnel: asyncio.Transport, connection: Connection, context: ssl.SSLContext, name: str | None
) -> asyncio.Transport | None:
    loop = asyncio.get_running_loop()
    try:
        return await loop.start_tls(tunnel, connection, context, server_hostname=name)
    except TypeError as broken:
        # Up to 3.11.7 and 3.12.1, asyncio trips over a handshake that fails inside of TLS
        # (cpython, gh-113214).
        if isinstance(broken.__context__, OSError):
            raise broken.__context__ from None
        raise
