"""outrider inside another program: the same store and the same code, without a server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from outrider.bootstrap.embedding import EngineComponents, EngineOptions, open_embedded
from outrider.config.loading import Settings, SettingsError, from_arguments
from outrider.domain.interception.message import JSON_OBJECTS, JsonObject, MessageType
from outrider.domain.interception.payload import InterceptedCall, method_lookup_id
from outrider.domain.routing.condition import ConditionKind
from outrider.embed.api import App, EngineApi
from outrider.embed.events import Event, to_domain
from outrider.embed.logging import HostLog
from outrider.embed.management import Management, not_open
from outrider.errors import StartupError
from outrider.usecases.delivery.publish import PublishResult
from outrider.usecases.interception.intercept import InterceptionResult, json_text

M = TypeVar("M")

Headers = Mapping[str, Sequence[str]]
_NO_HEADERS: Headers = {}
# About 200 bytes each.
_MAX_KNOWN = 10_000


class Engine(Management):
    """Runs targets for an application, in its event loop.

        async with Engine.open(data_dir="data") as engine:
            await engine.publish(Event(event_type="order.created", payload={"id": "7"}))

    Make it when you like, use it between `start` and `aclose`, in one loop. It is safe to use from
    many tasks. Every call raises `outrider.errors`; `Unavailable` when the engine is not open.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        deliver: bool = True,
        instance_host: str = "",
        beside_engines: bool = False,
        log: Any = None,
    ) -> None:
        self._settings = settings
        self._wanted = EngineOptions(
            delivers=deliver, beside_engines=beside_engines, instance_host=instance_host
        )
        self._log = log or HostLog()
        self._embedded: EngineComponents | None = None
        self._stack = AsyncExitStack()
        self._app: App | None = None
        self._turn = asyncio.Lock()
        self._known: dict[tuple[ConditionKind, str], bool] = {}
        self._revision = -1
        self._in_flight = 0
        self._idle = asyncio.Event()

    @classmethod
    def open(
        cls,
        *,
        deliver: bool = True,
        instance_host: str = "",
        beside_engines: bool = False,
        **settings: Any,
    ) -> Self:
        """Make an engine of these settings, to be used with `async with`; nothing is opened yet.

        `settings` are those of a server, by name: `data_dir`, `dev`, `egress_profile`, … Those of
        its port and processes mean nothing here.

        - `deliver=False`: events are stored, and somebody else delivers them.
        - `instance_host`: serve the instance with this host name.
        - `beside_engines`: also work on a directory that another engine holds, for hosts of
          several processes. A directory that a server holds is always joined.

        Raise `StartupError` with a line for each setting that is wrong.
        """
        return cls(
            _read(settings, {}),
            deliver=deliver,
            instance_host=instance_host,
            beside_engines=beside_engines,
        )

    @classmethod
    def from_environ(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        deliver: bool = True,
        instance_host: str = "",
        beside_engines: bool = False,
        **settings: Any,
    ) -> Self:
        """Like `open`, with `OUTRIDER_…` variables for what no argument says."""
        return cls(
            _read(settings, os.environ if environ is None else environ),
            deliver=deliver,
            instance_host=instance_host,
            beside_engines=beside_engines,
        )

    def __repr__(self) -> str:
        state = "closed" if self._embedded is None else f"open, in flight: {self._in_flight}"
        return f"<Engine {self._settings.data_dir} [{state}]>"

    async def start(self) -> Self:
        """Open the store and begin to deliver. An engine that is open stays as it is.

        Raise `StartupError` for data that cannot be used, and for a directory that another
        program holds.
        """
        async with self._turn:
            if self._embedded is None:
                async with AsyncExitStack() as stack:
                    embedded = await stack.enter_async_context(
                        open_embedded(self._settings, self._wanted, self._log)
                    )
                    self._stack = stack.pop_all()
                self._embedded = embedded
        return self

    async def aclose(self) -> None:
        """Let what is in flight end, at most `drain_timeout` seconds, then close the store.

        Deliveries that have not ended are made by whoever opens the directory next. Closing
        again, or what was never open, does nothing.
        """
        async with self._turn:
            if self._embedded is None:
                return
            self._embedded, self._app, self._revision = None, None, -1
            try:
                await self._drained()
            finally:
                await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def is_open(self) -> bool:
        """Whether it can be used right now."""
        return self._embedded is not None

    def fires(self, kind: ConditionKind, full_method: str) -> bool:
        """Whether any execution may fire for the request or the response of a method."""
        embedded = self._embedded or not_open()
        # Nearly every call asks this of the same few methods: routing, at 3 us, is asked once.
        if embedded.routing.revision != self._revision:
            self._known, self._revision = {}, embedded.routing.revision
        known = self._known.get((kind, full_method))
        return self._matches(embedded, kind, full_method) if known is None else known

    async def intercept_request(
        self,
        full_method: str,
        request: M,
        *,
        headers: Headers = _NO_HEADERS,
        org_id: str = "",
        project_id: str = "",
        user_id: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - the budget of the targets, not ours
        message_type: MessageType[M] = JSON_OBJECTS,  # type: ignore[assignment]
    ) -> InterceptionResult[M]:
        """Run the request of a call through its targets; return it as they left it.

        `request` is a JSON object as a dict unless `message_type` says otherwise. Targets see of
        the headers what the contract shows them. `timeout` is in seconds. Raise what a target
        that interrupts says.
        """
        if not self.fires(ConditionKind.REQUEST, full_method):
            return InterceptionResult(request)
        call = InterceptedCall(
            full_method=full_method,
            org_id=org_id,
            project_id=project_id,
            user_id=user_id,
            headers=headers,
        )
        embedded = self._begin()
        try:
            return await embedded.intercepting.interceptions.request(
                embedded.actor.instance_id, call, request, message_type, seconds=timeout
            )
        finally:
            self._end()

    async def intercept_response(
        self,
        full_method: str,
        response: M,
        *,
        request: JsonObject | str,
        headers: Headers = _NO_HEADERS,
        org_id: str = "",
        project_id: str = "",
        user_id: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - the budget of the targets, not ours
        message_type: MessageType[M] = JSON_OBJECTS,  # type: ignore[assignment]
    ) -> InterceptionResult[M]:
        """Run the response of a call through its targets; return it as they left it.

        `request` is what the application answered: a dict, or compact JSON.
        """
        if not self.fires(ConditionKind.RESPONSE, full_method):
            return InterceptionResult(response)
        call = InterceptedCall(
            full_method=full_method,
            org_id=org_id,
            project_id=project_id,
            user_id=user_id,
            headers=headers,
        )
        text = request if isinstance(request, str) else json_text(request)
        embedded = self._begin()
        try:
            return await embedded.intercepting.interceptions.response(
                embedded.actor.instance_id,
                call,
                response,
                message_type,
                request=text,
                seconds=timeout,
            )
        finally:
            self._end()

    async def call_function(
        self,
        name: str,
        payload: Mapping[str, object],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the budget of the targets, not ours
    ) -> InterceptionResult[JsonObject]:
        """Call a function: `message` is what the answers of its targets add up to."""
        embedded = self._begin()
        try:
            return await embedded.intercepting.interceptions.function(
                embedded.actor.instance_id, name, payload, seconds=timeout
            )
        finally:
            self._end()

    @overload
    async def publish(self, events: Event) -> PublishResult: ...

    @overload
    async def publish(self, events: Sequence[Event]) -> list[PublishResult]: ...

    async def publish(self, events: Event | Sequence[Event]) -> PublishResult | list[PublishResult]:
        """Publish one event, or several in one transaction. They are on disk when this returns.

        Raise `InvalidRequest` naming the field: then nothing is stored.
        """
        embedded = self._embedded or not_open()
        several = [events] if isinstance(events, Event) else events
        now = embedded.opened.runtime.now()
        published = await embedded.publish(embedded.actor, to_domain(several, now))
        return published[0] if isinstance(events, Event) else published

    def api(self) -> EngineApi:
        """The whole API of a server as an ASGI application, to be mounted under any path.

        It is opened by its first request. Whoever calls it needs a token: the admin token is where
        a server has it.
        """
        return EngineApi(self._opened_api)

    async def _opened_api(self) -> App:
        async with self._turn:
            embedded = self._embedded or not_open()
            if self._app is not None:
                return self._app
            app: App = await self._stack.enter_async_context(embedded.open_api())
            self._app = app
            return app

    def _matches(self, embedded: EngineComponents, kind: ConditionKind, full_method: str) -> bool:
        routes = embedded.routing.routes(embedded.actor.instance_id)
        found = routes.match(method_lookup_id(kind, full_method))[0] is not None
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[kind, full_method] = found
        return found

    def _begin(self) -> EngineComponents:
        embedded = self._embedded or not_open()
        self._in_flight += 1
        return embedded

    def _end(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()

    async def _drained(self) -> None:
        self._idle.clear()
        if not self._in_flight:
            return
        try:
            async with asyncio.timeout(self._settings.drain_timeout):
                await self._idle.wait()
        except TimeoutError:
            self._log.warning("engine.shutdown_timeout", in_flight=self._in_flight)


def _read(settings: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    try:
        return from_arguments(settings, environ)
    except SettingsError as failure:
        raise StartupError(str(failure)) from None
