"""Tunnels through HTTP proxies: CONNECT (RFC 9110, 9.3.6), for http targets as well as https.

One way for both means that a proxy sees neither payloads nor headers of ours, and that its own
answers cannot be taken for a target's: what comes before the tunnel is open is the proxy's, what
comes after is the target's.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from typing import cast

from outrider.adapters.http.connect.errors import unreachable
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.tls import handshake_failure
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.net.endpoint import Endpoint
from outrider.domain.net.proxy import Proxy

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?:[ \r]|$)")
_HEAD_END = b"\r\n\r\n"
_FIRST_FINAL, _FIRST_BEYOND_SUCCESS = 200, 300


class ProxyConnect(asyncio.Protocol):
    """The conversation with the proxy, until the tunnel is open; then `transport` leads there.

    `opened` raises `RequestError` in PROXY.
    """

    def __init__(self, max_head_bytes: int) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._max_head_bytes = max_head_bytes
        self._head = bytearray()
        self._received = 0

    def ask(self, request: bytes) -> None:
        """Send the CONNECT request."""
        if self.transport is None:
            self._fail("connection closed")
        else:
            self.transport.write(request)

    def abort(self) -> None:
        """Close at once, whatever the state."""
        if not self.opened.done():
            self.opened.cancel()
        if self.transport is not None:
            self.transport.abort()

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open, and for an https proxy the handshake is done."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of the proxy's answer, or of several: interim ones come first."""
        if self.opened.done():
            self._fail("bytes after its answer")
            return
        seen = max(0, len(self._head) - len(_HEAD_END) + 1)
        self._head += data
        self._received += len(data)
        end = self._head.find(_HEAD_END, seen)
        while end >= 0 and not self.opened.done():
            head = bytes(self._head[: end + 2])
            del self._head[: end + len(_HEAD_END)]
            self._judge(head)
            end = self._head.find(_HEAD_END)
        if self._received > self._max_head_bytes:
            self._fail(f"its answer is larger than {self._max_head_bytes // 1024} KiB")

    def eof_received(self) -> None:
        """The proxy said its last byte."""
        self._fail("connection closed before it answered")

    def connection_lost(self, _failure: Exception | None) -> None:
        """Closed by the proxy, by the network or by us."""
        self._fail("connection closed before it answered")

    def _judge(self, head: bytes) -> None:
        status = _STATUS.match(head)
        if status is None:
            self._fail("its answer is not HTTP")
        elif int(status[1]) >= _FIRST_BEYOND_SUCCESS:
            self._fail(f"it answered {int(status[1])} to CONNECT")
        elif int(status[1]) >= _FIRST_FINAL:
            if self._head:
                # Nobody has said a word to the target yet, so these are not the target's.
                self._fail("bytes after its answer")
            elif not self.opened.done():
                self.opened.set_result(None)

    def _fail(self, reason: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(proxy_failed(reason))
        if self.transport is not None:
            self.transport.abort()


def proxy_failed(reason: str) -> RequestError:
    """A call that a proxy brought to an end: no fault of the target."""
    return unreachable(Stage.PROXY, f"proxy: {reason}")


async def open_tunnel(
    sock: socket.socket,
    proxy: Proxy,
    endpoint: Endpoint,
    context: ssl.SSLContext,
    limits: ClientLimits,
) -> asyncio.Transport:
    """Give a transport that leads to the endpoint. Raise `RequestError` in PROXY.

    `sock` leads to the proxy. The caller gives the transport its protocol before the next await.
    """
    tunnel = ProxyConnect(limits.max_head_bytes)
    try:
        await _reach(tunnel, sock, proxy.endpoint, context, limits.handshake)
        tunnel.ask(connect_request(proxy, endpoint))
        async with asyncio.timeout(limits.tunnel):
            await tunnel.opened
    except BaseException as failure:
        tunnel.abort()
        if not isinstance(failure, TimeoutError):
            raise
        raise proxy_failed(f"no answer to CONNECT within {limits.tunnel:g} s") from None
    if tunnel.transport is None or tunnel.transport.is_closing():
        raise proxy_failed("connection closed after its answer")
    return tunnel.transport


async def _reach(
    tunnel: ProxyConnect,
    sock: socket.socket,
    where: Endpoint,
    context: ssl.SSLContext,
    seconds: float,
) -> None:
    is_secure = where.scheme == "https"
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            await asyncio.get_running_loop().create_connection(
                lambda: tunnel,
                sock=sock,
                ssl=context if is_secure else None,
                server_hostname=where.host if is_secure else None,
            )
    except OSError as failure:
        if timer.expired():
            raise proxy_failed(f"no TLS handshake within {seconds:g} s") from None
        raise proxy_failed(handshake_failure(failure)) from None


def connect_request(proxy: Proxy, endpoint: Endpoint) -> bytes:
    """Give the bytes of the CONNECT request: the authority, and who we are to the proxy."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    authority = f"{host}:{endpoint.port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.user is not None:
        credentials = b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
