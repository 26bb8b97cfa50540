"""The API as one ASGI application: every protocol of every service on one port.

lines: one in the log for each request that no service answers
guard: nothing that a caller sends ends in a traceback or a bare 500
  health                     /healthz, /readyz
  docs                       /openapi.json, /docs, /
  mounts                     whatever else is given, by prefix of the path
  cors
    gate                     /package.Service/Method: Connect, gRPC, gRPC-Web
    cloudevents              POST /v1/events with CloudEvents
    rest                     everything else
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from connectrpc.code import Code
from connectrpc.server import ConnectASGIApplication
from protobuf import DescService

from outrider.api.asgi.cors import cors
from outrider.api.asgi.limits import REQUEST_BYTES
from outrider.api.asgi.request_log import request_log
from outrider.api.asgi.types import (
    App,
    DisconnectedError,
    Message,
    Receive,
    Scope,
    Send,
    poll_disconnect,
    send_or_disconnect,
)
from outrider.api.endpoints.cloudevents import CloudEvents, covers, events_app
from outrider.api.endpoints.docs import docs
from outrider.api.endpoints.health import Ready, health
from outrider.api.rest.app import Rest
from outrider.api.rpc.codecs import codecs
from outrider.api.rpc.error_mapping import ErrorMapper, Log
from outrider.api.rpc.interceptors import Authenticator, interceptors
from outrider.api.rpc.protocol_errors import send_error
from outrider.api.rpc.router import RpcRouter, Service, length_problem, unreadable_header
from outrider.api.rpc.telemetry import SILENT, Telemetry

Hook = Callable[[], Awaitable[None]]
S = TypeVar("S")


def serve(
    application: Callable[..., ConnectASGIApplication[S]],
    handlers: S,
    descriptor: DescService,
    authenticator: Authenticator[Any],
    log: Log,
    *,
    telemetry: Telemetry = SILENT,
) -> Service:
    """A service with everything around its calls.

    `application` is the generated `...ASGIApplication` class, `descriptor` comes from the
    generated protocol's `desc()`.
    """
    faults = ErrorMapper(log)
    app = application(
        handlers,
        interceptors=interceptors(authenticator, log, faults, descriptor, telemetry=telemetry),
        read_max_bytes=REQUEST_BYTES,
        codecs=codecs(faults),
    )
    # Where the types of ASGI are installed, those of the library's messages are narrower than ours.
    return Service(descriptor, cast("App", app))


async def nothing() -> None:
    """The hook of an application that has nothing to start or stop."""


def build_app(
    services: Sequence[Service],
    *,
    ready: Ready,
    log: Log,
    mounts: Mapping[str, App] | None = None,
    startup: Hook = nothing,
    shutdown: Hook = nothing,
) -> App:
    """The whole API.

    `mounts` are applications by the prefix of the paths that they answer; they see the whole path
    and get no CORS headers. `startup` and `shutdown` run with the server; when `startup` raises,
    the server does not start.
    """
    guarded = ServerErrorMiddleware(
        Dispatcher(services, ready=ready, log=log, mounts=mounts or {}), ErrorMapper(log)
    )
    http = request_log(guarded, log)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send, startup, shutdown)
        elif scope["type"] == "http":
            await http(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    return app


class Dispatcher:
    """Chooses by the path, and by the content type for gRPC."""

    def __init__(
        self, services: Sequence[Service], *, ready: Ready, log: Log, mounts: Mapping[str, App]
    ) -> None:
        self._own = {**health(ready, log), **docs()}
        self._mounts = mounts
        self._api = cors(Api(services))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request to whoever answers its path."""
        path = scope["path"]
        app = self._own.get(path)
        if app is None:
            prefixes = (prefix for prefix in self._mounts if path.startswith(prefix))
            app = self._mounts.get(max(prefixes, key=len, default=""), self._api)
        await app(scope, receive, send)


class Api:
    """The services on every wire."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._gate = RpcRouter(services)
        self._rest = Rest(services)
        publishes = events_app(services)
        self._cloudevents = None if publishes is None else CloudEvents(publishes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses what no service could read, and finds the right face for the rest."""
        name = unreadable_header(scope)
        problem = f"header {name} is not UTF-8" if name is not None else length_problem(scope)
        if problem is not None:
            await send_error(scope, send, Code.INVALID_ARGUMENT, problem)
        elif self._gate.covers(scope):
            await self._gate(scope, receive, send)
        elif self._cloudevents is not None and covers(scope):
            await self._cloudevents(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


class ServerErrorMiddleware:
    """The last place where an exception can still become an answer."""

    def __init__(self, app: App, faults: ErrorMapper) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises only when an answer has begun: then the server must cut the connection."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send_or_disconnect(send, message)

        try:
            await self._app(scope, poll_disconnect(receive), watched)
        except DisconnectedError:
            return
        except Exception as error:
            if started:
                raise
            shown = self._faults.internal(error, scope["path"])
            await send_error(scope, send, shown.code, shown.message)


async def lifespan(receive: Receive, send: Send, startup: Hook, shutdown: Hook) -> None:
    """Runs the hooks when the server starts and stops, and reports when they fail."""
    while True:
        message = await receive()
        phase = message["type"]
        try:
            await (startup if phase == "lifespan.startup" else shutdown)()
        except Exception as error:
            await send({"type": f"{phase}.failed", "message": str(error)})
            raise
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return
