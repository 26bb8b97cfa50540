"""One HTTP request and its response, on their way through targets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from outrider.domain.interception.message import JSON_TEXTS
from outrider.embed.asgi.bodies import (
    Header,
    Message,
    Receive,
    RequestBody,
    drain_body,
    header,
    is_json,
    json_text,
    read_body,
    with_length,
)
from outrider.embed.asgi.disconnect import ClientDisconnected, DisconnectWatcher
from outrider.embed.engine import Engine
from outrider.errors import InvalidRequest, OutriderError

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_NO_MEMBERS = "{}"
_JSON = (b"content-type", b"application/json")
_WITHOUT_BODY = {204, 205, 304}
_FIRST_ERROR = 300
_TOO_LONG, _NOT_JSON = 413, 415


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The caller's identity, as targets receive it."""

    org_id: str = ""
    project_id: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddlewareOptions:
    """The options of a middleware."""

    engine: Engine
    identify: Callable[[Scope], Identity]
    deadline: Callable[[Scope], float | None]
    max_body_bytes: int
    refuse_others: bool
    render: Callable[[OutriderError], tuple[int, bytes]]


class InterceptedExchange:
    """One call of the application. `run` is called once."""

    def __init__(
        self,
        options: MiddlewareOptions,
        full_method: str,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._options = options
        self._full_method = full_method
        self._scope = scope
        self._receive = DisconnectWatcher(receive)
        self._send = send
        self._request = _NO_MEMBERS

    async def run(self, app: App, *, on_request: bool, on_response: bool) -> None:
        """Call the application with the request as the targets left it, and buffer its response."""
        try:
            await self._run(app, on_request=on_request, on_response=on_response)
        finally:
            self._receive.close()

    async def _run(self, app: App, *, on_request: bool, on_response: bool) -> None:
        request = await read_body(self._receive, self._options.max_body_bytes)
        scope, messages = self._scope, list(request.messages)
        message = self._message(request)
        if message is not None:
            self._request = message
        try:
            if on_request and message is not None:
                scope, messages = await self._intercept(message, messages)
            elif on_request and self._options.refuse_others and not request.is_cut:
                await self._reject_body(request)
                return
        except OutriderError as error:
            await self.send_error(error)
            return
        except ClientDisconnected:
            return
        send: Send = (
            BufferedSend(self, self._send)
            if on_response and self._has_response_body
            else self._send
        )
        await app(scope, _replay(messages, self._receive), send)

    async def send_error(self, error: OutriderError) -> None:
        """Answer with the error instead of the application."""
        status, body = self._options.render(error)
        found = error.interception_id
        await self._respond(
            status, body, [(b"outrider-interception-id", found.encode())] if found else []
        )

    async def response(self, message: str) -> str:
        """Run a response through its targets. Raise `ClientDisconnected` or what a target that interrupts says."""
        result = await self._receive.run_until_disconnect(
            self._options.engine.intercept_response(
                self._full_method, message, request=self._request, **self._call_details()
            )
        )
        changed: str = result.message
        return changed

    @property
    def max_body_bytes(self) -> int:
        """The longest body that is buffered."""
        return self._options.max_body_bytes

    @property
    def _has_response_body(self) -> bool:
        return bool(self._scope["method"] != "HEAD")

    def _message(self, request: RequestBody) -> str | None:
        """The request's message; None when it has none that targets can be shown."""
        if request.body is None:
            return None
        if not request.body:
            return _NO_MEMBERS
        headers: list[Header] = self._scope["headers"]
        # Some frameworks take JSON without a type.
        if is_json(headers) or not header(headers, b"content-type"):
            return json_text(request.body)
        return None

    async def _intercept(
        self, message: str, messages: list[Message]
    ) -> tuple[Scope, list[Message]]:
        result = await self._receive.run_until_disconnect(
            self._options.engine.intercept_request(
                self._full_method, message, **self._call_details()
            )
        )
        if result.message is message:
            return self._scope, messages
        self._request = result.message
        body = result.message.encode()
        headers = with_length(self._scope["headers"], len(body))
        if not header(headers, b"content-type"):
            headers.append(_JSON)
        headers = [pair for pair in headers if pair[0].lower() != b"transfer-encoding"]
        scope = {**self._scope, "headers": headers}
        return scope, [{"type": "http.request", "body": body, "more_body": False}]

    def _call_details(self) -> dict[str, Any]:
        identity = self._options.identify(self._scope)
        headers: dict[str, list[str]] = {}
        for name, value in self._scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        return {
            "org_id": identity.org_id,
            "project_id": identity.project_id,
            "user_id": identity.user_id,
            "headers": headers,
            "timeout": self._options.deadline(self._scope),
            "message_type": JSON_TEXTS,
        }

    async def _reject_body(self, request: RequestBody) -> None:
        is_long = request.body is None
        if is_long:
            await drain_body(self._receive, request)
        limit = self._options.max_body_bytes
        reason = f"be at most {limit} bytes long" if is_long else "be a JSON object"
        _, body = self._options.render(InvalidRequest(f"the body must {reason}"))
        await self._respond(_TOO_LONG if is_long else _NOT_JSON, body)

    async def _respond(self, status: int, body: bytes, more: Sequence[Header] = ()) -> None:
        headers = [_JSON, (b"content-length", str(len(body)).encode()), *more]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


class BufferedSend:
    """A `send` that buffers a response while it may be one that targets can be shown."""

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
            # The application continues to send a response that has been replaced.
            return
        kind = message["type"]
        if kind == "http.response.start" and _is_buffered(message, self._exchange.max_body_bytes):
            self._start = message
        elif self._start is None:
            await self._send(message)
        elif kind == "http.response.body":
            await self._add(self._start, message)
        else:
            await self._flush(self._start)
            await self._send(message)

    async def _add(self, start: Message, message: Message) -> None:
        self._chunks.append(message.get("body", b""))
        self._size += len(self._chunks[-1])
        more = message.get("more_body", False)
        if self._size > self._exchange.max_body_bytes:
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
        message = json_text(body)
        if message is not None:
            try:
                changed = await self._exchange.response(message)
            except OutriderError as error:
                self._is_over = True
                await self._exchange.send_error(error)
                return
            except ClientDisconnected:
                self._is_over = True
                return
            if changed is not message:
                body = changed.encode()
                start = {**start, "headers": with_length(start.get("headers", ()), len(body))}
        self._start = None
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _replay(messages: list[Message], receive: Receive) -> Receive:
    """A `receive` that gives these messages first."""
    remaining = iter(messages)

    async def receive_next() -> Message:
        message = next(remaining, None)
        return await receive() if message is None else message

    return receive_next


def _is_buffered(start: Message, limit: int) -> bool:
    status, headers = start["status"], list(start.get("headers", ()))
    if not 200 <= status < _FIRST_ERROR or status in _WITHOUT_BODY or start.get("trailers"):  # noqa: PLR2004 - the first code of success
        return False
    length = header(headers, b"content-length")
    return is_json(headers) and not (length.isdigit() and int(length) > limit)
