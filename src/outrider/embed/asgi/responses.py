"""Responses of an application, buffered while targets are to see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from outrider.embed.asgi.bodies import Message, has_json, header, json_text, with_length
from outrider.embed.asgi.disconnect import ClientDisconnected
from outrider.errors import OutriderError

Send = Callable[[Message], Awaitable[None]]

_WITHOUT_BODY = frozenset({204, 205, 304})
_FIRST_SUCCESS, _FIRST_OTHER = 200, 300


class ResponseRefused(Exception):
    """A response must not pass the targets by; `what` goes on the sentence "it …"."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class StreamStopped(OSError):
    """What `send` raises of a stream that was refused: frameworks end it, as when a client leaves."""


class ResponseExchange(Protocol):
    """What a response belongs to."""

    @property
    def max_body_bytes(self) -> int:
        """The longest body that is buffered."""
        ...

    async def response(self, body: str) -> str:
        """Run the body through its targets; raise what one that interrupts says."""
        ...

    async def check_unreadable(self, what: str) -> None:
        """Raise `ResponseRefused` when the response, which is `what`, must not pass them by."""
        ...

    async def reject_response(self, refused: ResponseRefused) -> None:
        """Answer instead of the response."""
        ...

    async def send_error(self, error: OutriderError) -> None:
        """Answer with the error instead of the response."""
        ...


class BufferedSend:
    """A `send` that buffers a response while it may be one that targets can be shown."""

    def __init__(self, exchange: ResponseExchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send
        self._start: Message | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_replaced = False
        self.has_stopped = False
        """Whether the application was told to end a stream."""

    async def __call__(self, message: Message) -> None:
        """Take one message of the application."""
        if self._is_replaced:
            # The application goes on with a response that has been replaced.
            if message.get("more_body"):
                self.has_stopped = True
                raise StreamStopped("the response was replaced")
            return
        try:
            await self._take(message)
        except ResponseRefused as refused:
            self._is_replaced = True
            await self._exchange.reject_response(refused)
        except OutriderError as error:
            self._is_replaced = True
            await self._exchange.send_error(error)
        except ClientDisconnected:
            self._is_replaced = True

    async def _take(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            await self._begin(message)
        elif self._start is None:
            await self._send(message)
        elif kind == "http.response.body":
            await self._add(self._start, message)
        else:
            await self._exchange.check_unreadable("is a file that the server sends itself")
            await self._flush(self._start)
            await self._send(message)

    async def _begin(self, start: Message) -> None:
        status = start["status"]
        if not _FIRST_SUCCESS <= status < _FIRST_OTHER or status in _WITHOUT_BODY:
            await self._send(start)
            return
        what = _unreadable(start, self._exchange.max_body_bytes)
        if what is None:
            self._start = start
            return
        await self._exchange.check_unreadable(what)
        await self._send(start)

    async def _add(self, start: Message, message: Message) -> None:
        self._chunks.append(message.get("body", b""))
        self._size += len(self._chunks[-1])
        more = message.get("more_body", False)
        if self._size > self._exchange.max_body_bytes:
            await self._exchange.check_unreadable(_too_long(self._exchange.max_body_bytes))
            await self._flush(start, more=more)
        elif not more:
            await self._finish(start, b"".join(self._chunks))

    async def _flush(self, start: Message, *, more: bool = True) -> None:
        self._start = None
        await self._send(start)
        if self._chunks:
            body = b"".join(self._chunks)
            await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _finish(self, start: Message, body: bytes) -> None:
        text = json_text(body)
        if text is not None:
            changed = await self._exchange.response(text)
            if changed is not text:
                body = changed.encode()
                start = {**start, "headers": with_length(start.get("headers", ()), len(body))}
        elif body:
            await self._exchange.check_unreadable("is not JSON, though its content type says so")
        self._start = None
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _unreadable(start: Message, limit: int) -> str | None:
    """Why targets cannot be shown this response; None when they may be."""
    headers = list(start.get("headers", ()))
    length = header(headers, b"content-length")
    if length == b"0":
        return None
    if not has_json(headers):
        return "has another content type than JSON, or is compressed"
    if start.get("trailers"):
        return "has trailers"
    return _too_long(limit) if length.isdigit() and int(length) > limit else None


def _too_long(limit: int) -> str:
    return f"has more than {limit} bytes"
