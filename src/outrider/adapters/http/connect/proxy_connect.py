"""Tunnels through HTTP proxies: CONNECT (RFC 9110, 9.3.6), for http targets as well as https.

The same for both means that a proxy sees neither payloads nor headers of ours, and that its own
responses cannot be taken for a target's: what comes before the tunnel is open is the proxy's,
what comes after is the target's.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from typing import cast

from outrider.adapters.http.connect.errors import proxy_error
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.tls import handshake_failure
from outrider.domain.net.endpoint import Endpoint
from outrider.domain.net.proxy import Proxy

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?:[ \r]|$)")
_HEAD_END = b"\r\n\r\n"
_FIRST_FINAL, _FIRST_BEYOND_SUCCESS = 200, 300


async def open_tunnel(
    sock: socket.socket,
    proxy: Proxy,
    endpoint: Endpoint,
    context: ssl.SSLContext,
    limits: ClientLimits,
) -> asyncio.Transport:
    """Give a socket transport that leads to the endpoint. Raise `RequestError` in PROXY.

    `sock` leads to the proxy. The caller sets the transport's protocol before the next await.
    """
    exchange = ProxyConnect(limits.max_head_bytes)
    try:
        await _attach(exchange, sock, proxy.endpoint, context, limits.handshake)
        exchange.send(connect_request(proxy, endpoint))
        async with asyncio.timeout(limits.tunnel):
            await exchange.opened
    except BaseException as failure:
        exchange.abort()
        if not isinstance(failure, TimeoutError):
            raise
        raise proxy_error(f"no answer to CONNECT within {limits.tunnel:g} s") from None
    socket_transport = exchange.socket_transport
    if socket_transport is None or socket_transport.is_closing():
        raise proxy_error("connection closed after its answer")
    return socket_transport


def connect_request(proxy: Proxy, endpoint: Endpoint) -> bytes:
    """Give the bytes of the CONNECT request: the authority, and who we are to the proxy."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    authority = f"{host}:{endpoint.port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.user is not None:
        credentials = b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


class ProxyConnect(asyncio.Protocol):
    """The CONNECT exchange with a proxy; once it is over, `socket_transport` leads to the target.

    `opened` raises `RequestError` in PROXY.
    """

    def __init__(self, max_head_bytes: int) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.socket_transport: asyncio.Transport | None = None
        self._max_head_bytes = max_head_bytes
        self._head = bytearray()
        self._received_bytes = 0

    def send(self, request: bytes) -> None:
        """Send the CONNECT request."""
        if self.socket_transport is None:
            self._fail("connection closed")
        else:
            self.socket_transport.write(request)

    def abort(self) -> None:
        """Close immediately, in any state."""
        if not self.opened.done():
            self.opened.cancel()
        if self.socket_transport is not None:
            self.socket_transport.abort()

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open, and for an https proxy the handshake is done."""
        self.socket_transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of the proxy's response, or of several: interim ones come first."""
        if self.opened.done():
            self._fail("bytes after its answer")
            return
        seen = max(0, len(self._head) - len(_HEAD_END) + 1)
        self._head += data
        self._received_bytes += len(data)
        end = self._head.find(_HEAD_END, seen)
        while end >= 0 and not self.opened.done():
            head = bytes(self._head[: end + 2])
            del self._head[: end + len(_HEAD_END)]
            self._read_head(head)
            end = self._head.find(_HEAD_END)
        if self._received_bytes > self._max_head_bytes:
            self._fail(f"its answer is larger than {self._max_head_bytes // 1024} KiB")

    def eof_received(self) -> None:
        """The proxy has sent its last byte."""
        self._fail("connection closed before it answered")

    def connection_lost(self, _failure: Exception | None) -> None:
        """Closed by the proxy, by the network or by us."""
        self._fail("connection closed before it answered")

    def _read_head(self, head: bytes) -> None:
        status = _STATUS.match(head)
        if status is None:
            self._fail("its answer is not HTTP")
        elif int(status[1]) >= _FIRST_BEYOND_SUCCESS:
            self._fail(f"it answered {int(status[1])} to CONNECT")
        elif int(status[1]) >= _FIRST_FINAL:
            if self._head:
                # Nothing has been sent to the target yet, so these are not the target's.
                self._fail("bytes after its answer")
            elif not self.opened.done():
                self.opened.set_result(None)

    def _fail(self, reason: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(proxy_error(reason))
        if self.socket_transport is not None:
            self.socket_transport.abort()


async def _attach(
    exchange: ProxyConnect,
    sock: socket.socket,
    endpoint: Endpoint,
    context: ssl.SSLContext,
    seconds: float,
) -> None:
    """Make the exchange speak on the socket, for an https proxy inside of TLS."""
    is_secure = endpoint.scheme == "https"
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            await asyncio.get_running_loop().create_connection(
                lambda: exchange,
                sock=sock,
                ssl=context if is_secure else None,
                server_hostname=endpoint.host if is_secure else None,
            )
    except OSError as failure:
        if timer.expired():
            raise proxy_error(f"no TLS handshake within {seconds:g} s") from None
        raise proxy_error(handshake_failure(failure)) from None
