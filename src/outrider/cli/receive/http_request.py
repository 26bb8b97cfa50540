"""HTTP/1.1 requests out of bytes, bounded, with httptools."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus

import httptools

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
# What a header costs beyond its letters, so that a million empty ones are not free.
HEADER_BYTES = 32

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BadRequest(Exception):
    """The bytes are no request that is answered. `status` says it to the caller."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(slots=True)
class Request:
    """The received parts of one request."""

    method: str = ""
    target: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    keep_alive: bool = False


class RequestReader:
    """Give it the bytes of one connection, take complete requests."""

    def __init__(self) -> None:
        self._callbacks = _Callbacks()
        self._parser = httptools.HttpRequestParser(self._callbacks)
        self._callbacks.parser = self._parser

    def feed(self, received: bytes) -> list[Request]:
        """The requests that these bytes complete, in order.

        Raises:
            BadRequest: it is not HTTP/1, or over the bounds. The connection is of no more use.
        """
        try:
            self._parser.feed_data(received)
        except httptools.HttpParserError:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise BadRequest(
                status if self._callbacks.too_large else HTTPStatus.BAD_REQUEST
            ) from None
        complete, self._callbacks.complete = self._callbacks.complete, []
        return complete

    def asks_to_continue(self) -> bool:
        """Return whether the caller waits for `CONTINUE` before it sends the body. True once."""
        asks, self._callbacks.expects_continue = self._callbacks.expects_continue, False
        return asks


class _Callbacks:
    """The callbacks of httptools, which replaces an exception in here by its own, without its type."""

    parser: httptools.HttpRequestParser

    def __init__(self) -> None:
        self.complete: list[Request] = []
        self.current = Request()
        self.size = 0
        self.too_large = False
        self.expects_continue = False

    def on_message_begin(self) -> None:
        self.current = Request()
        self.size = 0

    def on_url(self, part: bytes) -> None:
        self.current.target += part
        self._count(len(part), MAX_HEAD_BYTES)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.current.headers.append((name.decode("latin-1"), value.decode("latin-1")))
        self._count(len(name) + len(value) + HEADER_BYTES, MAX_HEAD_BYTES)

    def on_headers_complete(self) -> None:
        self.current.method = self.parser.get_method().decode("ascii")
        self.expects_continue = any(
            (name.lower(), value.lower()) == ("expect", "100-continue")
            for name, value in self.current.headers
        )

    def on_body(self, part: bytes) -> None:
        self.expects_continue = False
        self.current.body += part
        self._count(len(part), MAX_HEAD_BYTES + MAX_BODY_BYTES)

    def on_message_complete(self) -> None:
        self.expects_continue = False
        self.current.keep_alive = self.parser.should_keep_alive()
        self.complete.append(self.current)

    def _count(self, size: int, most: int) -> None:
        self.size += size
        if self.size > most:
            self.too_large = True
            raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def build_response(status: int, *, keep_alive: bool, body: bytes | None = None) -> bytes:
    """An answer. A body of None is a line with the status where that is an error.

    What accepts is empty then: to the target of a request any other body is a new message.
    """
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Answer"
    bodiless = status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
    if body is None:
        body = b"" if status < HTTPStatus.MULTIPLE_CHOICES else f"{status} {phrase}\n".encode()
    connection = "keep-alive" if keep_alive else "close"
    head = f"HTTP/1.1 {status} {phrase}\r\nconnection: {connection}\r\n"
    if not bodiless:
        head += f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + (b"" if bodiless else body)
