"""Steps around every call: log line, authentication, permission, validation.

The order: authenticate the caller and check its permission before the body is read; decode and
validate the message; run the handler. Every failure passes through `ErrorMapper` once, at the
outermost layer.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from connectrpc.errors import ConnectError
from connectrpc.interceptor import Interceptor, MetadataInterceptor
from connectrpc.method import MethodInfo
from connectrpc.request import RequestContext
from protobuf import DescMethod, DescService, Message

from outrider.api.asgi.request_log import mark_logged
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.rpc.telemetry import NO_TELEMETRY, HeaderValues, Telemetry, trace_of
from outrider.api.validation.validation import validate
from outrider.domain.access.permission import Actor, require
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.tracing import Span, continue_trace
from outrider_api.outrider.options.v1 import options_pb

PUBLIC = "public"
"""The permission of calls without a token: a token that comes with them is not read."""

Context = RequestContext[Any, Any]
Request = TypeVar("Request")
Response = TypeVar("Response")

Authenticate = Callable[[str, str | None], Awaitable[Actor]]
"""From a host name and an Authorization header to the caller: `usecases.access.authenticate`."""


def permission_of(method: DescMethod) -> str:
    """The permission that the proto file declares.

    Raises:
        LookupError: the method declares none; it must not be served.
    """
    options = method.proto.options
    permission = options[options_pb.ext_permission] if options is not None else ""
    if not permission:
        raise LookupError(f"{procedure_of(method)} declares no permission")
    return permission


def procedure_of(method: DescMethod) -> str:
    """`/package.Service/Method`."""
    return f"/{method.parent.type_name}/{method.name}"


def procedure_called(method: MethodInfo[Any, Any]) -> str:
    """`/package.Service/Method` of a call."""
    return f"/{method.service_name}/{method.name}"


# A call's context must not be kept longer than the call lasts.
_actors: WeakKeyDictionary[Context, Actor] = WeakKeyDictionary()


def actor_of(ctx: Context) -> Actor:
    """Who makes this call. Handlers run for authenticated callers only, but for public calls."""
    return _actors[ctx]


@dataclass(frozen=True, slots=True)
class OngoingCall:
    """A call in progress: since when, and its span."""

    started_at: float
    span_block: AbstractContextManager[Span]
    span: Span


@dataclass(frozen=True, slots=True)
class CallReporter:
    """What is written about every call: one line in the log, metrics and a span."""

    log: Log
    errors: ErrorMapper
    telemetry: Telemetry = NO_TELEMETRY

    def begin(
        self, service: str, method: str, headers: HeaderValues, started_at: float
    ) -> OngoingCall:
        """Begin the span of a call: what is done in the call's name belongs to it."""
        attributes = {"rpc.service": service, "rpc.method": method}
        span_block = self.telemetry.tracing.span(
            f"{service}/{method}", "server", trace_of(headers), attributes
        )
        span = span_block.__enter__()  # left in `end`
        continue_trace(span.context)
        return OngoingCall(started_at, span_block, span)

    def end(
        self, call: OngoingCall, procedure: str, actor: Actor | None, error: Exception | None
    ) -> ConnectError | None:
        """Report how a call ended. Return what its caller may see instead of `error`."""
        connect_error = None if error is None else self.errors.to_connect_error(error, procedure)
        code = "ok" if connect_error is None else connect_error.code.value
        seconds = time.perf_counter() - call.started_at
        trace = call.span.context
        self.log.info(
            "rpc.answered",
            method=procedure,
            code=code,
            ms=round(seconds * 1000, 3),
            instance=None if actor is None else actor.instance_id,
            account=None if actor is None else actor.account_id,
            **({} if trace is None else {"trace": trace.trace_id, "span": trace.span_id}),
        )
        mark_logged()
        self.telemetry.metrics.answered(procedure, code, seconds)
        if connect_error is not None:
            call.span.fail(code)
        call.span_block.__exit__(None, None, None)
        return connect_error


class TelemetryInterceptor(MetadataInterceptor[OngoingCall]):
    """Reports every call, and translates its error; outermost."""

    def __init__(self, log: Log, errors: ErrorMapper, telemetry: Telemetry = NO_TELEMETRY) -> None:
        self._reporter = CallReporter(log, errors, telemetry)

    async def on_start(self, ctx: Context) -> OngoingCall:
        """What is done in the call's name belongs to its span."""
        method = ctx.method
        return self._reporter.begin(
            method.service_name, method.name, ctx.request_headers, time.perf_counter()
        )

    async def on_end(self, call: OngoingCall, ctx: Context, error: Exception | None, /) -> None:
        """Raises what the caller may see instead of `error`."""
        procedure = procedure_called(ctx.method)
        connect_error = self._reporter.end(call, procedure, _actors.get(ctx), error)
        if connect_error is not None:
            raise connect_error from error


async def authenticate_caller(authenticate: Authenticate, ctx: Context) -> Actor:
    """Who makes a call, as of now: a token may have ended while its call goes on.

    Raises:
        Unauthenticated: the caller is not known.
    """
    headers = ctx.request_headers
    host = headers.get("host") or headers.get(":authority") or ""
    return await authenticate(host, headers.get("authorization"))


class AuthInterceptor(MetadataInterceptor[None]):
    """Lets known callers with the right permission pass, before the body is read."""

    def __init__(self, authenticate: Authenticate, *services: DescService) -> None:
        self._authenticate = authenticate
        self._permissions = {
            procedure_of(method): permission_of(method)
            for service in services
            for method in service.methods
        }

    async def on_start(self, ctx: Context) -> None:
        """Raises an `OutriderError` when the caller may not call."""
        permission = self._permissions[procedure_called(ctx.method)]
        if permission == PUBLIC:
            return
        actor = await authenticate_caller(self._authenticate, ctx)
        _actors[ctx] = actor
        require(actor, permission)

    async def on_end(self, token: None, ctx: Context, error: Exception | None, /) -> None:
        """Nothing is left to do."""


class ValidationInterceptor:
    """Refuses requests that break the rules of the proto files."""

    async def intercept_unary(
        self,
        call_next: Callable[[Request, Context], Awaitable[Response]],
        request: Request,
        ctx: Context,
        /,
    ) -> Response:
        """Raises `InvalidRequest`, or answers what the handler answers."""
        validate(cast("Message", request))
        return await call_next(request, ctx)


def interceptors(
    authenticate: Authenticate,
    log: Log,
    errors: ErrorMapper,
    service: DescService,
    *,
    telemetry: Telemetry = NO_TELEMETRY,
) -> tuple[Interceptor, ...]:
    """Everything around the calls of one service, outermost first."""
    return (
        TelemetryInterceptor(log, errors, telemetry),
        AuthInterceptor(authenticate, service),
        ValidationInterceptor(),
    )
