"""One HTTP request and its response, on their way through targets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from outrider.domain.interception.rest_message import (
    RestRequests,
    RestResponses,
    body_of,
    query_string_of,
    request_message,
    response_message,
)
from outrider.domain.routing.condition import ConditionKind
from outrider.embed.asgi.bodies import (
    Header,
    Message,
    Receive,
    RequestBody,
    drain_body,
    has_json,
    header,
    json_text,
    read_body,
    with_length,
)
from outrider.embed.asgi.disconnect import ClientDisconnected, DisconnectWatcher
from outrider.embed.asgi.responses import BufferedSend, ResponseRefused, Send
from outrider.embed.asgi.routes import RoutedMethod
from outrider.embed.engine import Engine
from outrider.errors import Internal, InvalidRequest, OutriderError

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OnUnreadable = Literal["refuse", "pass"]
"""What becomes of calls that targets which may interrupt cannot be shown."""

_JSON = (b"content-type", b"application/json")
_ABOUT_BODIES = frozenset({b"content-type", b"content-length", b"transfer-encoding"})
_TOO_LONG, _NOT_JSON, _FAILED = 413, 415, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who calls, as targets are told."""

    org_id: str = ""
    project_id: str = ""
    user_id: str = ""


def refuses(on_unreadable: str) -> bool:
    """Whether it says to refuse. Raise `ValueError` for what it cannot say."""
    if on_unreadable not in {"refuse", "pass"}:
        raise ValueError(f'on_unreadable is "refuse" or "pass", not {on_unreadable!r}')
    return on_unreadable == "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddlewareOptions:
    """What a middleware does with every call."""

    engine: Engine
    identify: Callable[[Scope], Identity]
    deadline: Callable[[Scope], float | None]
    max_body_bytes: int
    refuses_unreadable: bool
    render: Callable[[OutriderError], tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class _Readable:
    """What a request's body is as JSON; `text` is None when there is none."""

    text: str | None


class InterceptedExchange:
    """One call of the application. `run` is called once."""

    def __init__(
        self,
        options: MiddlewareOptions,
        method: RoutedMethod,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._options = options
        self._method = method
        self._scope = scope
        # Most calls match no execution: what is made of them waits for `run`.
        self._query = ""
        self._request = ""
        self._receive = DisconnectWatcher(receive)
        self._send = send

    async def run(self, app: App, *, on_request: bool, on_response: bool) -> None:
        """Call the application with the request as the targets left it, and buffer its response."""
        try:
            await self._run(app, on_request=on_request, on_response=on_response)
        finally:
            self._receive.close()

    async def _run(self, app: App, *, on_request: bool, on_response: bool) -> None:
        request = await read_body(self._receive, self._options.max_body_bytes)
        scope, messages = self._scope, list(request.messages)
        body = self._readable(request)
        self._query = scope.get("query_string", b"").decode("latin-1")
        text = None if body is None else body.text
        self._request = request_message(self._method.path, self._query, text)
        try:
            if on_request and request.is_cut:
                # No target has seen the request, and the client is gone.
                return
            if on_request and body is not None:
                scope, messages = await self._intercept(body, messages)
            elif on_request and await self._refuses(ConditionKind.REQUEST):
                await self._reject_body(request)
                return
        except OutriderError as error:
            await self.send_error(error)
            return
        except ClientDisconnected:
            return
        send: Send = (
            BufferedSend(self, self._send)
            if on_response and self._scope["method"] != "HEAD"
            else self._send
        )
        try:
            await app(scope, _replay(messages, self._receive), send)
        except Exception:
            # A stream that was refused ends by an exception, as of a client that has left.
            if not (isinstance(send, BufferedSend) and send.has_stopped):
                raise

    async def send_error(self, error: OutriderError) -> None:
        """Answer with the error instead of the application."""
        await send_error(self._send, self._options.render, error)

    async def response(self, body: str) -> str:
        """Run a response's body through its targets.

        Raise `ClientDisconnected` or what a target that interrupts says.
        """
        message = response_message(body)
        result = await self._receive.run_until_disconnect(
            self._options.engine.intercept_response(
                self._method.full_method,
                message,
                request=self._request,
                message_type=RestResponses(),
                **self._call_details(),
            )
        )
        changed = None if result.message is message else body_of(result.message)
        return body if changed is None else changed

    async def check_unreadable(self, what: str) -> None:
        """Raise `ResponseRefused` when the response, which is `what`, must not pass its targets by."""
        if await self._refuses(ConditionKind.RESPONSE):
            raise ResponseRefused(what)

    async def reject_response(self, refused: ResponseRefused) -> None:
        """Answer instead of a response that must not pass its targets by."""
        _, body = self._options.render(
            Internal(
                f"the response of {self._method.full_method} cannot be shown to the targets that"
                f" guard it: it {refused.what}"
            )
        )
        await _respond(self._send, _FAILED, body)

    @property
    def max_body_bytes(self) -> int:
        """The longest body that is buffered."""
        return self._options.max_body_bytes

    async def _refuses(self, kind: ConditionKind) -> bool:
        is_strict = self._options.refuses_unreadable
        return is_strict and await self._options.engine.is_guarded(kind, self._method.full_method)

    def _readable(self, request: RequestBody) -> _Readable | None:
        """What targets can be shown of the request's body; None when that is nothing."""
        if request.body is None:
            return None
        if not request.body:
            return _Readable(None)
        # Some frameworks take JSON without a type.
        if not has_json(self._scope["headers"], or_no_type=True):
            return None
        text = json_text(request.body)
        return None if text is None else _Readable(text)

    async def _intercept(
        self, body: _Readable, messages: list[Message]
    ) -> tuple[Scope, list[Message]]:
        result = await self._receive.run_until_disconnect(
            self._options.engine.intercept_request(
                self._method.full_method,
                self._request,
                message_type=RestRequests(self._method.path),
                **self._call_details(),
            )
        )
        if result.message is self._request:
            return self._scope, messages
        self._request = result.message
        query = query_string_of(result.message, self._query)
        scope = {**self._scope, "query_string": query.encode("latin-1", "replace")}
        text = body_of(result.message)
        if text == body.text:
            return scope, messages
        changed = b"" if text is None else text.encode()
        scope["headers"] = _with_body(self._scope["headers"], changed)
        return scope, [{"type": "http.request", "body": changed, "more_body": False}]

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
        }

    async def _reject_body(self, request: RequestBody) -> None:
        is_long = request.body is None
        if is_long:
            await drain_body(self._receive, request)
        limit = self._options.max_body_bytes
        reason = (
            f"have at most {limit} bytes"
            if is_long
            else "be JSON, with the content type application/json and not compressed"
        )
        _, body = self._options.render(
            InvalidRequest(
                f"the body must {reason}: else the targets that guard"
                f" {self._method.full_method} cannot see it"
            )
        )
        await _respond(self._send, _TOO_LONG if is_long else _NOT_JSON, body)


async def send_error(
    send: Send, render: Callable[[OutriderError], tuple[int, bytes]], error: OutriderError
) -> None:
    """Answer with an error of outrider."""
    status, body = render(error)
    found = error.interception_id
    more = [(b"outrider-interception-id", found.encode())] if found else []
    await _respond(send, status, body, more)


async def _respond(send: Send, status: int, body: bytes, more: Sequence[Header] = ()) -> None:
    headers = [_JSON, (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_body(headers: Sequence[Header], body: bytes) -> list[Header]:
    """The headers of a request with a body that a target has made."""
    if not body:
        return [pair for pair in headers if pair[0].lower() not in _ABOUT_BODIES]
    kept = [pair for pair in headers if pair[0].lower() != b"transfer-encoding"]
    changed = with_length(kept, len(body))
    return changed if header(changed, b"content-type") else [*changed, _JSON]


def _replay(messages: list[Message], receive: Receive) -> Receive:
    """A `receive` that gives these messages first."""
    remaining = iter(messages)

    async def receive_next() -> Message:
        message = next(remaining, None)
        return await receive() if message is None else message

    return receive_next
