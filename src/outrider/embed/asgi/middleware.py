"""Middleware for ASGI applications: their own calls become request and response executions.

    app.add_middleware(OutriderMiddleware, engine=engine, service="acme.v1.Shop")

A request's message is `{"path": {…}, "query": {…}, "body": …}`, a response's `{"body": …}`. What
targets cannot be shown is refused where one of them may interrupt, and passes untouched elsewhere.
https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from outrider.domain.routing.condition import ConditionKind
from outrider.embed.asgi.bodies import Receive
from outrider.embed.asgi.django_urls import DjangoUrls, is_django
from outrider.embed.asgi.error_response import render
from outrider.embed.asgi.exchange import (
    Identity,
    InterceptedExchange,
    MiddlewareOptions,
    OnUnreadable,
    refuses,
    send_error,
)
from outrider.embed.asgi.lifespan import Lifespan
from outrider.embed.asgi.routes import Routes, routes_from_table, routes_of_app
from outrider.embed.engine import Engine
from outrider.errors import OutriderError, StartupError, Unavailable

__all__ = ["Identity", "OutriderMiddleware"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 1024 * 1024
"""The longest body that is intercepted unless the application says otherwise."""


def anonymous(scope: Mapping[str, Any]) -> Identity:  # noqa: ARG001 - applications look at it
    """The identity of callers that the application says nothing about."""
    return Identity()


_NO_ROUTES = (
    "the middleware does not know which calls of the application are which methods, since it has"
    ' no routes: give OutriderMiddleware methods={"POST /path": "/package.Service/Method"}'
)


@dataclass(frozen=True, slots=True)
class _RouteTable:
    routes: Routes
    is_registered: bool = False


class OutriderMiddleware:
    """Runs the targets of an engine around the calls of `app`.

    - `methods`: `{"POST /orders/{id}": "/acme.v1.Shop/Create"}`; without it every route of the
      application is `/<service>/<name of the endpoint>`, and of a Django project
      `/<service>/<HTTP method and words of the route>`.
    - `opens_engine`: the middleware opens and closes the engine, for applications without a
      lifespan of their own, such as Django.
    - `identify`: from the scope to who calls.
    - `deadline`: seconds for the targets of one request or response, or a function of the scope.
    - `max_body_bytes`: longer bodies cannot be shown to targets.
    - `on_unreadable`: "refuse" answers 413 or 415 to a request whose body targets cannot be shown,
      and 500 instead of such a response, when one of these targets may interrupt; "pass" lets them
      by.
    - `render`: from an error to the HTTP status and a JSON body.

    Else the engine is opened by the application, in its lifespan. Methods are registered when that
    has started; where the server knows no lifespan, by the first call.
    """

    def __init__(
        self,
        app: App,
        *,
        engine: Engine,
        methods: Mapping[str, str] | None = None,
        service: str = "app",
        identify: Callable[[Scope], Identity] = anonymous,
        deadline: float | Callable[[Scope], float | None] | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        on_unreadable: OnUnreadable = "refuse",
        render: Callable[[OutriderError], tuple[int, bytes]] = render,
        opens_engine: bool = False,
    ) -> None:
        self._app = app
        self._engine = engine
        self._service = service
        self._table = None if methods is None else _RouteTable(routes_from_table(methods))
        self._options = MiddlewareOptions(
            engine=engine,
            identify=identify,
            deadline=deadline if callable(deadline) else lambda _: deadline,
            max_body_bytes=max_body_bytes,
            refuses_unreadable=refuses(on_unreadable),
            render=render,
        )
        self._registering = asyncio.Lock()
        self._opens_engine = opens_engine
        self._has_lifespan = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection of the server."""
        if scope["type"] == "lifespan":
            self._has_lifespan = True
            lifespan = Lifespan(self._app, self._engine if self._opens_engine else None)
            await lifespan.run(scope, receive, send, lambda: self._register(scope))
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            method = self._routes(scope).find(scope["method"], _path(scope))
        except OutriderError as error:
            await send_error(send, self._options.render, error)
            return
        if method is None:
            await self._app(scope, receive, send)
            return
        exchange = InterceptedExchange(self._options, method, scope, receive, send)
        try:
            if self._opens_engine and not self._has_lifespan:
                await self._open()
            await self._register(scope)
            on_request = self._engine.matches(ConditionKind.REQUEST, method.full_method)
            on_response = self._engine.matches(ConditionKind.RESPONSE, method.full_method)
        except OutriderError as error:
            await exchange.send_error(error)
            return
        if on_request or on_response:
            await exchange.run(self._app, on_request=on_request, on_response=on_response)
        else:
            await self._app(scope, receive, send)

    def _routes(self, scope: Scope) -> Routes:
        if self._table is None:
            # Starlette wraps middleware around its router: its application is in the scope.
            routes = getattr(self._app, "routes", None)
            if routes is None:
                routes = getattr(scope.get("app"), "routes", None)
            if routes is not None:
                found: Routes = routes_of_app(routes, self._service)
            elif is_django():
                found = DjangoUrls(self._service)
            else:
                raise Unavailable(_NO_ROUTES)
            self._table = _RouteTable(found)
        return self._table.routes

    async def _open(self) -> None:
        """Open the engine behind a server without lifespan, by the first call."""
        if not self._engine.is_open:
            try:
                await self._engine.start()
            except StartupError as failure:
                raise Unavailable(f"the engine cannot be opened: {failure}") from None

    async def _register(self, scope: Scope) -> None:
        routes = self._routes(scope)
        if self._table is not None and self._table.is_registered:
            return
        async with self._registering:
            await self._engine.register_methods(routes.full_methods)
            self._table = _RouteTable(routes, is_registered=True)


def _path(scope: Scope) -> str:
    """The path inside the application, as its own router sees it."""
    path: str = scope["path"]
    root = scope.get("root_path", "")
    inner = path.removeprefix(root) if root else path
    return inner if inner.startswith("/") else path
