"""What happens around every call: one line in the log, authentication, permission, validation.

In this order: the caller is authenticated and its permission is checked before a byte of the body
is read; then the message is decoded and validated; then the handler runs. Whatever fails on the
way passes through `ErrorMapper` once, at the outermost layer.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from connectrpc.interceptor import Interceptor, MetadataInterceptor
from connectrpc.method import MethodInfo
from connectrpc.request import RequestContext
from protobuf import DescMethod, DescService, Message

from outrider.api.asgi.request_log import is_logged
from outrider.api.rpc.error_mapping import ErrorMapper, Log
from outrider.api.rpc.telemetry import SILENT, Telemetry, trace_of
from outrider.api.validation.validation import validate
from outrider.usecases.ports.tracing import Span, continue_trace
from outrider_api.outrider.options.v1 import options_pb

AUTHENTICATED = "authenticated"
"""The permission that every valid token has."""

PUBLIC = "public"
"""The permission of those who show no token as well: whatever they show is not looked at."""

Context = RequestContext[Any, Any]
Request = TypeVar("Request")
Response = TypeVar("Response")


class Actor(Protocol):
    """Who calls."""

    @property
    def account_id(self) -> str:
        """Id of the account, for the log."""


A = TypeVar("A", bound=Actor)


class Authenticator(Protocol[A]):
    """Knows callers and what they may do."""

    async def authenticate(self, authorization: str | None, authority: str) -> A:
        """Who sent this Authorization header; None: there was none.

        `authority` is the host name that it was sent to, with its port if any; "" when the caller
        named none. It chooses where the caller is known.

        Raises:
            OutriderError: unauthenticated.
        """
        ...

    def require(self, actor: A, permission: str) -> None:
        """Returns when the actor has the permission; never asked about "authenticated".

        Raises:
            OutriderError: permission_denied or not_found.
        """
        ...


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


# A call's context is ours to hold on to only while the call lasts.
_actors: WeakKeyDictionary[Context, Any] = WeakKeyDictionary()


def actor_of(ctx: Context) -> Any:
    """Who makes this call. Handlers run for authenticated callers only, but for public calls."""
    return _actors[ctx]


def account_of(ctx: Context) -> str | None:
    """The caller's account for the log; None when the caller is not known."""
    actor = _actors.get(ctx)
    return None if actor is None else actor.account_id


def instance_of(ctx: Context) -> str | None:
    """The caller's instance for the log; None when the caller is not known."""
    return getattr(_actors.get(ctx), "instance_id", None)


@dataclass(frozen=True, slots=True)
class Started:
    """A call under way: since when, and its span."""

    at: float
    block: AbstractContextManager[Span]
    span: Span


class TelemetryInterceptor(MetadataInterceptor[Started]):
    """Writes one line for each call, counts and traces it, and translates its error; outermost."""

    def __init__(self, log: Log, faults: ErrorMapper, telemetry: Telemetry = SILENT) -> None:
        self._log = log
        self._faults = faults
        self._telemetry = telemetry

    async def on_start(self, ctx: Context) -> Started:
        """What is done in the call's name belongs to its span."""
        at = time.perf_counter()
        parent = trace_of(ctx.request_headers)
        attributes = {"rpc.service": ctx.method.service_name, "rpc.method": ctx.method.name}
        name = procedure_called(ctx.method)[1:]
        block = self._telemetry.tracing.span(name, "server", parent, attributes)
        span = block.__enter__()  # left in `on_end`
        continue_trace(span.context)
        return Started(at, block, span)

    async def on_end(self, started: Started, ctx: Context, error: Exception | None, /) -> None:
        """Logs, and raises what the caller may see instead of `error`."""
        method = procedure_called(ctx.method)
        shown = None if error is None else self._faults.shown(error, method)
        code = "ok" if shown is None else shown.code.value
        seconds = time.perf_counter() - started.at
        trace = started.span.context
        self._log.info(
            "rpc.answered",
            method=method,
            code=code,
            ms=round(seconds * 1000, 3),
            instance=instance_of(ctx),
            account=account_of(ctx),
            **({} if trace is None else {"trace": trace.trace_id, "span": trace.span_id}),
        )
        is_logged()
        self._telemetry.metrics.answered(method, code, seconds)
        if shown is not None:
            started.span.fail(code)
        started.block.__exit__(None, None, None)
        if shown is not None:
            raise shown from error


async def authenticated(authenticator: Authenticator[A], ctx: Context) -> A:
    """Who makes a call, as of now: a token may have ended while its call goes on.

    Raises:
        OutriderError: unauthenticated.
    """
    headers = ctx.request_headers
    authority = headers.get("host") or headers.get(":authority") or ""
    return await authenticator.authenticate(headers.get("authorization"), authority)


class AuthInterceptor(MetadataInterceptor[None], Generic[A]):
    """Lets known callers with the right permission pass, before the body is read."""

    def __init__(self, authenticator: Authenticator[A], *services: DescService) -> None:
        self._authenticator = authenticator
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
        actor = await authenticated(self._authenticator, ctx)
        _actors[ctx] = actor
        if permission != AUTHENTICATED:
            self._authenticator.require(actor, permission)

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
    authenticator: Authenticator[Any],
    log: Log,
    faults: ErrorMapper,
    service: DescService,
    *,
    telemetry: Telemetry = SILENT,
) -> tuple[Interceptor, ...]:
    """Everything around the calls of one service, outermost first."""
    return (
        TelemetryInterceptor(log, faults, telemetry),
        AuthInterceptor(authenticator, service),
        ValidationInterceptor(),
    )
