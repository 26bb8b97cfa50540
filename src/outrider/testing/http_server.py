"""A small HTTP/1.1 server on asyncio and httptools: for tests, and for a developer's machine."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from typing import Any, NamedTuple

import httptools

Headers = tuple[tuple[str, str], ...]

# A listening socket's queue: tests open hundreds of connections at the same time.
_BACKLOG = 4096
# SO_LINGER on, zero seconds: closing sends a reset instead of an orderly end.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_KEEP_ALIVE = (("Connection", "keep-alive"),)
CLOSE = (("Connection", "close"),)
WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class Request(NamedTuple):
    """One request as it came. `connection` counts the connections of the server from 1."""

    connection: int
    method: str
    target: str
    """Path and query."""
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Say what the receiver does with one call.

    `delay` is in seconds. With `cut_at` the connection ends after that number of bytes of the body, with
    `reset` before any. `raw` is sent as it is, and the connection ends.
    """

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    headers: Headers = ()
    delay: float = 0.0
    hang_until: asyncio.Event | None = None
    cut_at: int | None = None
    reset: bool = False
    raw: bytes | None = None

    @property
    def is_immediate(self) -> bool:
        """Return whether it is sent without a wait."""
        return not self.delay and self.hang_until is None

    @property
    def ends_connection(self) -> bool:
        """Return whether the connection is closed after it."""
        return self.reset or self.cut_at is not None or self.raw is not None

    def rendered(self, *more: tuple[str, str]) -> bytes:
        """The bytes of the answer; all of the body is announced even when it will be cut."""
        if self.raw is not None:
            return self.raw
        headers = "".join(f"{name}: {value}\r\n" for name, value in (*self.headers, *more))
        if self.status not in WITHOUT_BODY:
            headers += f"Content-Length: {len(self.body)}\r\n"
        head = f"HTTP/1.1 {self.status} {reason_of(self.status)}\r\n{headers}\r\n"
        return head.encode("latin-1") + self.body[: self.cut_at]


class HttpServer(ABC):
    """Answer every connection as a subclass says, from `listen` until it is closed."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._numbers = count(1)

    @abstractmethod
    def answer_to(self, request: Request) -> Answer:
        """Return the answer to this request."""

    @abstractmethod
    def refuse(self, connection: Connection, problem: str) -> None:
        """Deal with a connection whose bytes are no request."""

    def new_connection(self, number: int) -> Connection:
        """Return the protocol that reads the next connection."""
        return Connection(self, number)

    async def listen(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        """Answer from now on. Port 0 takes any free one. Raise `OSError` when it is taken."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: self.new_connection(next(self._numbers)),
            host,
            port,
            ssl=tls,
            backlog=_BACKLOG,
        )

    @property
    def running_server(self) -> asyncio.Server:
        """The server that `listen` made. Raise `RuntimeError` before that."""
        if self._server is None:
            raise RuntimeError("start the server first")
        return self._server

    @property
    def port(self) -> int:
        """The port on which it listens."""
        address: tuple[str, int] = self.running_server.sockets[0].getsockname()
        return address[1]


class Connection(asyncio.Protocol):
    """One connection. Calls that arrive together are answered in their order."""

    last_words: Headers = ()
    """Headers of an answer after which the connection ends."""

    def __init__(self, server: HttpServer, number: int) -> None:
        self._server = server
        self._number = number
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._pending: deque[Answer] = deque()
        self._delayed_answer: asyncio.Task[None] | None = None
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A server's connections are streams.
        self._transport = transport  # type: ignore[assignment]
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's shape
        if self._delayed_answer is not None:
            self._delayed_answer.cancel()
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as failure:
            self._server.refuse(self, str(failure))

    def close(self) -> None:
        """End the connection in order, what was written still goes out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection with a reset."""
        if self._transport is not None and not self._transport.is_closing():
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body = b"", [], []

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        answer = self._server.answer_to(
            Request(
                self._number,
                self._parser.get_method().decode("ascii"),
                self._url.decode("latin-1"),
                tuple(self._headers),
                b"".join(self._body),
            )
        )
        self._pending.append(answer)
        if self._delayed_answer is None:
            self._answer_pending()

    def _answer_pending(self) -> None:
        while self._pending:
            answer = self._pending.popleft()
            if not answer.is_immediate:
                self._delayed_answer = asyncio.ensure_future(self._answer_later(answer))
                return
            self._send(answer)

    async def _answer_later(self, answer: Answer) -> None:
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.hang_until is not None:
            await answer.hang_until.wait()
        self._delayed_answer = None
        self._send(answer)
        self._answer_pending()

    def _send(self, answer: Answer) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if answer.reset:
            self.abort()
            return
        stays = self._parser.should_keep_alive() and not answer.ends_connection
        # A caller of HTTP/1.0 that is not told takes the connection's end for the answer's.
        told = _KEEP_ALIVE if stays and self._parser.get_http_version() == "1.0" else ()
        self._transport.write(answer.rendered(*(told if stays else self.last_words)))
        if not stays:
            self._transport.close()


def reason_of(status: int) -> str:
    """The reason phrase of a status; `Unusual` for a status without one."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unusual"
