"""outrider inside another program: the same store and the same code, without a server."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar, overload

from outrider.bootstrap.embedding import EngineComponents, EngineOptions
from outrider.config.loading import Settings, SettingsError, from_arguments
from outrider.domain.formats import go_json
from outrider.domain.interception.message import (
    JSON_OBJECTS,
    JSON_TEXTS,
    JsonObject,
    MessageType,
)
from outrider.domain.interception.payload import InterceptedCall, method_lookup_id
from outrider.domain.routing.condition import ConditionKind
from outrider.embed.events import Event, to_domain
from outrider.embed.management import Management
from outrider.errors import InvalidRequest, StartupError
from outrider.usecases.delivery.known_events import PublishResult
from outrider.usecases.interception.intercept import InterceptionResult, json_text

M = TypeVar("M")

Headers = Mapping[str, Sequence[str]]
_NO_HEADERS: Headers = {}
# About 200 bytes each.
_MAX_CACHED_MATCHES = 10_000


class Engine(Management):
    """Runs targets for an application, in its event loop.

        async with Engine.open(data_dir="data") as engine:
            await engine.publish(Event(event_type="order.created", payload={"id": "7"}))

    Make it when you like, use it between `start` and `aclose`, in one loop. It is safe to use from
    many tasks; other threads use `run`. Every call raises `outrider.errors`: `Unavailable` when the
    engine is not open, `FailedPrecondition` in another loop.
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
        options = EngineOptions(
            delivers=deliver, beside_engines=beside_engines, instance_host=instance_host
        )
        super().__init__(settings, options, log)
        self._match_cache: dict[tuple[ConditionKind, str], bool] = {}
        self._revision = -1

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

        - `deliver=False`: events are stored, and another process delivers them.
        - `instance_host`: serve the instance with this host name.
        - `beside_engines`: also work on a directory that another engine holds, for hosts of
          several processes. A directory that a server holds is always joined.

        Raise `StartupError` with a line for each setting that is wrong.
        """
        return cls(
            _read_settings(settings, {}),
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
            _read_settings(settings, os.environ if environ is None else environ),
            deliver=deliver,
            instance_host=instance_host,
            beside_engines=beside_engines,
        )

    def matches(self, kind: ConditionKind, full_method: str) -> bool:
        """Whether any execution matches the request or the response of a method."""
        components = self._components or self._raise_not_open()
        # Nearly every call asks this of the same few methods: routing, at 3 us, is asked once.
        if components.routing.revision != self._revision:
            self._match_cache, self._revision = {}, components.routing.revision
        known = self._match_cache.get((kind, full_method))
        return self._match(components, kind, full_method) if known is None else known

    async def is_guarded(self, kind: ConditionKind, full_method: str) -> bool:
        """Whether a target that may interrupt is to see the request or response of a method.

        What no target can be shown must not pass it by.
        """
        components = self._begin()
        try:
            return await components.interception.interceptions.is_guarded(
                components.actor.instance_id, kind, full_method
            )
        finally:
            self._end()

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
        message_type: MessageType[M] | None = None,
    ) -> InterceptionResult[M]:
        """Run the request of a call through its targets; return it as they left it.

        `request` is a JSON object, as a dict or as its text, unless `message_type` says otherwise;
        what targets leave is the same kind. Of a text every number stays as it is written. Targets
        see only the headers of docs/contract.md#body-of-a-request-or-response. `timeout` is in seconds. Raise what a
        target that interrupts says, and `InvalidRequest` for a text that is not JSON.
        """
        if not self.matches(ConditionKind.REQUEST, full_method):
            return InterceptionResult(request)
        type_ = message_type or _type_of(request)
        call = InterceptedCall(
            full_method=full_method,
            org_id=org_id,
            project_id=project_id,
            user_id=user_id,
            headers=headers,
        )
        components = self._begin()
        try:
            return await components.interception.interceptions.request(
                components.actor.instance_id, call, request, type_, seconds=timeout
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
        message_type: MessageType[M] | None = None,
    ) -> InterceptionResult[M]:
        """Run the response of a call through its targets; return it as they left it.

        `response` is like the request of `intercept_request`. `request` is what the application
        answered: a dict, or JSON text.
        """
        if not self.matches(ConditionKind.RESPONSE, full_method):
            return InterceptionResult(response)
        type_ = message_type or _type_of(response)
        call = InterceptedCall(
            full_method=full_method,
            org_id=org_id,
            project_id=project_id,
            user_id=user_id,
            headers=headers,
        )
        text = json_text(request)
        components = self._begin()
        try:
            return await components.interception.interceptions.response(
                components.actor.instance_id,
                call,
                response,
                type_,
                request=text,
                seconds=timeout,
            )
        finally:
            self._end()

    @overload
    async def call_function(
        self,
        name: str,
        payload: Mapping[str, object],
        *,
        timeout: float | None = ...,  # noqa: ASYNC109
    ) -> InterceptionResult[JsonObject]: ...

    @overload
    async def call_function(
        self,
        name: str,
        payload: str,
        *,
        timeout: float | None = ...,  # noqa: ASYNC109
    ) -> InterceptionResult[str]: ...

    async def call_function(
        self,
        name: str,
        payload: Mapping[str, object] | str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the budget of the targets, not ours
    ) -> InterceptionResult[JsonObject] | InterceptionResult[str]:
        """Call a function: `message` is what the answers of its targets add up to.

        Of a payload that is JSON text it is JSON text, with numbers as the targets wrote them.
        """
        if isinstance(payload, str):
            _check_text(payload)
        components = self._begin()
        try:
            result = await components.interception.interceptions.function(
                components.actor.instance_id, name, payload, seconds=timeout
            )
        finally:
            self._end()
        if isinstance(payload, str):
            text = go_json.dumps_as_read(result.message)
            return InterceptionResult(text, result.execution, result.calls)
        return result

    @overload
    async def publish(self, events: Event, *, hops: int = ...) -> PublishResult: ...

    @overload
    async def publish(self, events: Sequence[Event], *, hops: int = ...) -> list[PublishResult]: ...

    async def publish(
        self, events: Event | Sequence[Event], *, hops: int = 0
    ) -> PublishResult | list[PublishResult]:
        """Publish one event, or several in one transaction. They are on disk when this returns.

        An application that publishes because it received an event passes on the `Outrider-Hops` of
        that call as `hops`: a circle of receivers ends, then. When this raises, nothing is stored:
        `InvalidRequest` names the field, `AlreadyExists` the event whose id belongs to another one,
        `FailedPrecondition` says that the event has come through too many.
        """
        components = self._open_components
        several = [events] if isinstance(events, Event) else events
        now = components.context.runtime.now()
        results = await components.publish(components.actor, to_domain(several, now, hops))
        return results[0] if isinstance(events, Event) else results

    def _match(self, components: EngineComponents, kind: ConditionKind, full_method: str) -> bool:
        routes = components.routing.routes(components.actor.instance_id)
        is_match = routes.match(method_lookup_id(kind, full_method))[0] is not None
        if len(self._match_cache) >= _MAX_CACHED_MATCHES:
            self._match_cache.clear()
        self._match_cache[kind, full_method] = is_match
        return is_match

    def _on_close(self) -> None:
        self._revision = -1


def _type_of(message: object) -> MessageType[Any]:
    """The type of a message that is JSON. Raise `InvalidRequest` for a text that is not."""
    if not isinstance(message, str):
        return JSON_OBJECTS
    _check_text(message)
    return JSON_TEXTS


def _check_text(text: str) -> None:
    try:
        go_json.check_object(text, limit=None)
    except ValueError as failure:
        raise InvalidRequest(f"the message must be JSON: {failure}") from None


def _read_settings(settings: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    try:
        return from_arguments(settings, environ)
    except SettingsError as failure:
        raise StartupError(str(failure)) from None
