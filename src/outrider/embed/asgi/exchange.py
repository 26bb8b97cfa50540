"""One HTTP request and its response, on their way through targets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeVar

from outrider.domain.interception.message import JsonObject
from outrider.embed.asgi.bodies import (
    Header,
    Message,
    Receive,
    Received,
    drained,
    header,
    is_json,
    json_bytes,
    json_object,
    received,
    with_length,
)
from outrider.embed.engine import Engine
from outrider.errors import InvalidRequest, OutriderError

T = TypeVar("T")

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON = (b"content-type", b"application/json")
_WITHOUT_BODY = {204, 205, 304}
_FIRST_ERROR = 300
_TOO_LONG, _NOT_JSON = 413, 415


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who calls, as targets are told."""

    org_id: str = ""
    project_id: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a middleware does with every call."""

    engine: Engine
    identify: Callable[[Scope], Identity]
    deadline: Callable[[Scope], float | None]
    max_body_bytes: int
    refuse_others: bool
    render: Callable[[OutriderError], tuple[int, bytes]]


class ClientDisconnected(Exception):
    """The client has left: nobody waits for an answer."""


class InterceptedExchange:
    """One call of the application. `run` is called once."""

    def __init__(
        self, rules: Rules, full_method: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._rules = rules
        self._full_method = full_method
        self._scope = scope
        self._receive = DisconnectWatcher(receive)
        self._send = send
        self._request: JsonObject = {}

    async def run(self, app: App, *, on_request: bool, on_response: bool) -> None:
        """Call the application with the request as the targets left it, and hold its response."""
        try:
            await self._run(app, on_request=on_request, on_response=on_response)
        finally:
            self._receive.close()

    async def _run(self, app: App, *, on_request: bool, on_response: bool) -> None:
        came = await received(self._receive, self._rules.max_body_bytes)
        scope, messages = self._scope, list(came.messages)
        message = self._message(came)
        if message is not None:
            self._request = message
        try:
            if on_request and message is not None:
                scope, messages = await self._intercepted(message, messages)
            elif on_request and self._rules.refuse_others and not came.is_cut:
                await self._refuse_body(came)
                return
        except OutriderError as error:
            await self.refuse(error)
            return
        except ClientDisconnected:
            return
        send: Send = (
            BufferedSend(self, self._send) if on_response and self._may_answer else self._send
        )
        await app(scope, _replayed(messages, self._receive), send)

    async def refuse(self, error: OutriderError) -> None:
        """Answer with the error instead of the application."""
        status, body = self._rules.render(error)
        await self._answer(status, body)

    async def response(self, message: JsonObject) -> JsonObject:
        """Run a response through its targets. Raise `ClientDisconnected` or what a target that interrupts says."""
        done = await self._receive.or_gone(
            self._rules.engine.intercept_response(
                self._full_method, message, request=self._request, **self._about()
            )
        )
        left: JsonObject = done.message
        return left

    @property
    def max_body_bytes(self) -> int:
        """The longest body that is held."""
        return self._rules.max_body_bytes

    @property
    def _may_answer(self) -> bool:
        return bool(self._scope["method"] != "HEAD")

    def _message(self, came: Received) -> JsonObject | None:
        """The request's message; None when it has none that targets can be shown."""
        if came.body is None:
            return None
        if not came.body:
            return {}
        headers: list[Header] = self._scope["headers"]
        # Some frameworks take JSON without a type.
        if is_json(headers) or not header(headers, b"content-type"):
            return json_object(came.body)
        return None

    async def _intercepted(
        self, message: JsonObject, messages: list[Message]
    ) -> tuple[Scope, list[Message]]:
        done = await self._receive.or_gone(
            self._rules.engine.intercept_request(self._full_method, message, **self._about())
        )
        if done.message is message:
            return self._scope, messages
        self._request = done.message
        body = json_bytes(done.message)
        headers = with_length(self._scope["headers"], len(body))
        if not header(headers, b"content-type"):
            headers.append(_JSON)
        headers = [each for each in headers if each[0].lower() != b"transfer-encoding"]
        scope = {**self._scope, "headers": headers}
        return scope, [{"type": "http.request", "body": body, "more_body": False}]

    def _about(self) -> dict[str, Any]:
        who = self._rules.identify(self._scope)
        headers: dict[str, list[str]] = {}
        for name, value in self._scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        return {
            "org_id": who.org_id,
            "project_id": who.project_id,
            "user_id": who.user_id,
            "headers": headers,
            "timeout": self._rules.deadline(self._scope),
        }

    async def _refuse_body(self, came: Received) -> None:
        is_long = came.body is None
        if is_long:
            await drained(self._receive, came)
        limit = self._rules.max_body_bytes
        reason = f"be at most {limit} bytes long" if is_long else "be a JSON object"
        _, body = self._rules.render(InvalidRequest(f"the body must {reason}"))
        await self._answer(_TOO_LONG if is_long else _NOT_JSON, body)

    async def _answer(self, status: int, body: bytes) -> None:
        headers = [_JSON, (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


class BufferedSend:
    """A `send` that holds a response back while it may be one that targets can be shown."""

    def __init__(self, exchange: InterceptedExchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send
        self._start: Message | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_over = False

    async def __call__(self, message: Message) -> None:
        """Take one message of the application."""
        if self._is_over:
            # The application goes on with a response that nobody gets.
            return
        kind = message["type"]
        if kind == "http.response.start" and _is_held(message, self._exchange.max_body_bytes):
            self._start = message
        elif self._start is None:
            await self._send(message)
        elif kind == "http.response.body":
            await self._take(self._start, message)
        else:
            await self._promote(self._start)
            await self._send(message)

    async def _take(self, start: Message, message: Message) -> None:
        self._chunks.append(message.get("body", b""))
        self._size += len(self._chunks[-1])
        more = message.get("more_body", False)
        if self._size > self._exchange.max_body_bytes:
            await self._promote(start, more=more)
        elif not more:
            await self._finish(start, b"".join(self._chunks))

    async def _promote(self, start: Message, *, more: bool = True) -> None:
        self._start = None
        await self._send(start)
        if self._chunks:
            body = b"".join(self._chunks)
            await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _finish(self, start: Message, body: bytes) -> None:
        message = json_object(body)
        if message is not None:
            try:
                changed = await self._exchange.response(message)
            except OutriderError as error:
                self._is_over = True
                await self._exchange.refuse(error)
                return
            except ClientDisconnected:
                self._is_over = True
                return
            if changed is not message:
                body = json_bytes(changed)
                start = {**start, "headers": with_length(start.get("headers", ()), len(body))}
        self._start = None
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


class DisconnectWatcher:
    """A `receive` that can also be watched for the client's leaving. No message is lost."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._next: asyncio.Future[Message] | None = None

    async def __call__(self) -> Message:
        """The next message; several may wait for the same one."""
        if self._next is None:
            return await self._receive()
        message = await asyncio.shield(self._next)
        if message["type"] != "http.disconnect":
            self._next = None
        return message

    async def or_gone(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns. Raise `ClientDisconnected`, the work cancelled, when the client leaves."""
        working = asyncio.ensure_future(work)
        if self._next is None:
            self._next = asyncio.ensure_future(self._receive())
        try:
            either: set[asyncio.Future[Any]] = {working, self._next}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and not _has_left(self._next):
                # Some servers say the end of the body again and again: then nobody can tell.
                await asyncio.wait({working})
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait({working})
        if working.cancelled():
            raise ClientDisconnected
        return working.result()

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._next is not None and not self._next.cancel():
            # A server that fails here says so to the application, or to nobody.
            self._next.cancelled() or self._next.exception()


def _has_left(following: asyncio.Future[Message]) -> bool:
    failed = following.cancelled() or following.exception() is not None
    return failed or following.result()["type"] == "http.disconnect"


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    """A `receive` that gives these messages first."""
    waiting = iter(messages)

    async def replayed() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return replayed


def _is_held(start: Message, limit: int) -> bool:
    status, headers = start["status"], list(start.get("headers", ()))
    if not 200 <= status < _FIRST_ERROR or status in _WITHOUT_BODY or start.get("trailers"):  # noqa: PLR2004 - the first code of success
        return False
    length = header(headers, b"content-length")
    return is_json(headers) and not (length.isdigit() and int(length) > limit)
