"""A receiver whose connections end at a chosen point, over TCP or TLS. It counts what it saw.

Its application sees a request when the last byte of the body has come, as with every real server.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Self

from adapters.http.hostile import RESET_ON_CLOSE, answer

Plan = Callable[["Dying", "DyingConnection"], None]


class DyingConnection(asyncio.Protocol):
    """One connection. `requests` counts those that began, `unread` are the bytes of the last one."""

    def __init__(self, server: Dying) -> None:
        self.server = server
        self.requests = 0
        self.unread = b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.server.connections.append(self)
        self.server.on_open(self.server, self)

    def data_received(self, data: bytes) -> None:
        self.unread += data
        self.server.on_data(self.server, self)
        while not self.transport.is_closing() and (body := self.whole_request()) is not None:
            self.requests += 1
            self.server.seen[body] += 1
            self.server.on_request(self.server, self)

    def connection_lost(self, _failure) -> None:
        self.server.lost.set()

    def whole_request(self) -> bytes | None:
        head, end, rest = self.unread.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]) if end else 0
        if not end or len(rest) < length:
            return None
        self.unread = rest[length:]
        return rest[:length]

    def answer(self) -> None:
        self.transport.write(answer(200, b"seen"))

    def close(self) -> None:
        """An orderly end; over TLS with its close_notify."""
        self.transport.close()

    def reset(self) -> None:
        self.on_socket(
            lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        )
        self.transport.abort()

    def shut_now(self) -> None:
        """End what we send before this returns: the client's system knows, its loop does not."""
        self.on_socket(lambda sock: sock.shutdown(socket.SHUT_RDWR))

    def on_socket(self, act: Callable[[socket.socket], None]) -> None:
        with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as sock:
            act(sock)


def nothing(_server: Dying, _connection: DyingConnection) -> None:
    pass


def answers(_server: Dying, connection: DyingConnection) -> None:
    connection.answer()


class Dying:
    """`seen` counts the bodies of whole requests. The three plans say what happens when."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        on_open: Plan = nothing,
        on_data: Plan = nothing,
        on_request: Plan = answers,
    ) -> None:
        self.context = context
        self.on_open = on_open
        self.on_data = on_data
        self.on_request = on_request
        self.seen: Counter[bytes] = Counter()
        self.connections: list[DyingConnection] = []
        self.lost = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http{'' if self.context is None else 's'}://127.0.0.1:{self.port}/hook"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            lambda: DyingConnection(self), "127.0.0.1", 0, ssl=self.context
        )
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for connection in self.connections:
            connection.transport.abort()
        await self.server.wait_closed()
