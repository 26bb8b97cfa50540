"""The API as one ASGI application: every protocol of every service on one port."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from outrider.api.asgi.cors import cors
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
from outrider.api.endpoints.cloudevents import cloud_events
from outrider.api.endpoints.docs import docs
from outrider.api.endpoints.health import Ready, health
from outrider.api.rest.app import RestApp
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.rpc.protocol_errors import send_error
from outrider.api.rpc.router import RpcRouter
from outrider.api.rpc.service import Service
from outrider.usecases.ports.log import Log


def build_app(
    services: Sequence[Service],
    *,
    ready: Ready,
    log: Log,
    direct: Callable[[App], App] | None = None,
    mounts: Mapping[str, App] | None = None,
) -> App:
    """The whole API: what a request passes, outermost first.

    `direct` answers plain calls itself, and leaves all others to the application that it is given.
    `mounts` are applications by the prefix of the paths that they answer; they see the whole path
    and get no CORS headers.
    """
    rest = RestApp(services)
    rpc = cors(RpcRouter(services, otherwise=cloud_events(services, rest)))
    return http_only(
        request_log(
            ServerErrorMiddleware(
                PathRouter(
                    paths={**health(ready, log), **docs()},
                    prefixes=mounts or {},
                    otherwise=rpc if direct is None else direct(rpc),
                ),
                ErrorMapper(log),
            ),
            log,
        )
    )


def http_only(app: App) -> App:
    """The application for HTTP requests; a WebSocket is turned away."""

    async def answer_http(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
        elif scope["method"] == "HEAD":
            await app(scope, receive, head_only(send))
        else:
            await app(scope, receive, send)

    return answer_http


def head_only(send: Send) -> Send:
    """A `send` that drops the body: after HEAD it would be read as the start of the next answer.

    The server (pyvoy 1.3) writes what it is given.
    """

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head


class ServerErrorMiddleware:
    """The last place where an exception can still become an answer."""

    def __init__(self, app: App, errors: ErrorMapper) -> None:
        self._app = app
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises only when an answer has begun: then the server must cut the connection."""
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send_or_disconnect(send, message)

        try:
            await self._app(scope, poll_disconnect(receive), send_and_note)
        except DisconnectedError:
            return
        except Exception as error:
            if started:
                raise
            internal = self._errors.to_internal_error(error, scope["path"])
            await send_error(scope, send, internal.code, internal.message)


class PathRouter:
    """Finds the application of a path: the whole path, else its longest prefix."""

    def __init__(
        self, *, paths: Mapping[str, App], prefixes: Mapping[str, App], otherwise: App
    ) -> None:
        self._paths = paths
        self._prefixes = prefixes
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request over."""
        path = scope["path"]
        app = self._paths.get(path)
        if app is None:
            prefixes = (prefix for prefix in self._prefixes if path.startswith(prefix))
            app = self._prefixes.get(max(prefixes, key=len, default=""), self._otherwise)
        await app(scope, receive, send)
