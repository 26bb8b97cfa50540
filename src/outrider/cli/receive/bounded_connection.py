"""Connections of a developer's machine: bounded, and with an answer for what is no request."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from outrider.testing.http_server import (
    CLOSE,
    WITHOUT_BODY,
    Answer,
    Connection,
    HttpServer,
    reason_of,
)

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
# What a header costs beyond its letters, so that a million empty ones are not free.
HEADER_BYTES = 32
# A connection on which nothing comes for this long is closed.
IDLE_SECONDS = 300.0
# How long the rest of a bad request is thrown away.
LINGER_SECONDS = 2.0

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class TooLargeError(Exception):
    """The request is over the bounds; httptools makes another exception of it."""


class BoundedConnection(Connection):
    """One connection, each of whose requests is bounded."""

    last_words = CLOSE

    def __init__(self, server: HttpServer, number: int) -> None:
        super().__init__(server, number)
        self._size = 0
        self._expects_continue = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._close_after(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._close_after(IDLE_SECONDS)
        super().data_received(data)
        if self._expects_continue and self._transport is not None:
            self._expects_continue = False
            self._transport.write(CONTINUE)

    def refuse(self) -> None:
        """Answer a request that cannot be read any further, so that the answer arrives."""
        status = HTTPStatus.BAD_REQUEST
        if self._size > MAX_HEAD_BYTES:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        self._is_refused = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer_with(status).rendered(*self.last_words))
            self._transport.write_eof()
            # Closing a socket with unread bytes in it would destroy the answer on its way.
            self._close_after(LINGER_SECONDS)

    def _close_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.close)

    def on_message_begin(self) -> None:
        self._size = 0
        super().on_message_begin()

    def on_url(self, part: bytes) -> None:
        super().on_url(part)
        self._count(len(part), MAX_HEAD_BYTES)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value) + HEADER_BYTES, MAX_HEAD_BYTES)

    def on_headers_complete(self) -> None:
        """Return whether the caller waits for `CONTINUE` before it sends the body."""
        self._expects_continue = any(
            (name.lower(), value.lower()) == ("expect", "100-continue")
            for name, value in self._headers
        )

    def on_body(self, part: bytes) -> None:
        self._expects_continue = False
        super().on_body(part)
        self._count(len(part), MAX_HEAD_BYTES + MAX_BODY_BYTES)

    def on_message_complete(self) -> None:
        self._expects_continue = False
        super().on_message_complete()

    def _count(self, size: int, most: int) -> None:
        self._size += size
        if self._size > most:
            raise TooLargeError


def answer_with(status: int, body: bytes | None = None, delay: float = 0.0) -> Answer:
    """An answer. A body of None is a line with the status where that is an error.

    What accepts is empty then: to the target of a request any other body is a new message.
    """
    if status in WITHOUT_BODY:
        return Answer(status=status, delay=delay)
    if body is None:
        is_error = status >= HTTPStatus.MULTIPLE_CHOICES
        body = f"{status} {reason_of(status)}\n".encode() if is_error else b""
    headers = (("content-type", "text/plain; charset=utf-8"),)
    return Answer(status=status, body=body, headers=headers, delay=delay)
