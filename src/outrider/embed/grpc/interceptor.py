"""An interceptor for `grpc.aio` servers: their own calls become request and response executions.

    interceptor = OutriderInterceptor(engine, services=[shop_pb2.DESCRIPTOR.services_by_name["Shop"]])
    server = grpc.aio.server(interceptors=[interceptor])
    await interceptor.register()

Only calls with one request and one response are intercepted. Streams cannot be shown to targets: they
are refused where one of these may interrupt, and pass untouched elsewhere. Needs `outrider[grpc]`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import grpc

from outrider.domain.formats.bounded_text import bounded
from outrider.domain.interception.message import MessageType
from outrider.domain.routing.condition import ConditionKind
from outrider.embed.asgi.exchange import Identity, OnUnreadable, refuses
from outrider.embed.engine import Engine
from outrider.embed.grpc.messages import message_type_of
from outrider.errors import FailedPrecondition, InvalidRequest, OutriderError

__all__ = ["Identity", "OutriderInterceptor"]

Handler = Callable[[Any, Any], Awaitable[Any]]
_BINARY = "-bin"
# Clients take 8 KiB of headers, and what is not ASCII is percent-encoded.
_MAX_DETAILS_BYTES = 1100
_HANDLERS = {
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
_INTERCEPTION_ID = "outrider-interception-id"


def anonymous(context: Any) -> Identity:  # noqa: ARG001 - applications look at it
    """The identity of callers that the application says nothing about."""
    return Identity()


class OutriderInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Runs the targets of an engine around the calls of a server.

    `services` are descriptors of services, or methods as `/package.Service/Method`: `register`
    makes them known to the catalogue; without a call of it the first intercepted call does.
    `identify` says who calls, from the context of the call. `message_type` makes a `MessageType`
    of a class of messages; without it those of `google.protobuf` and `protobuf-py` are known.
    `on_unreadable="pass"` lets streams by targets that may interrupt. Handlers must be coroutines.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        services: Iterable[Any] = (),
        identify: Callable[[Any], Identity] = anonymous,
        message_type: Callable[[type[Any]], MessageType[Any]] = message_type_of,
        on_unreadable: OnUnreadable = "refuse",
    ) -> None:
        self._refuses_unreadable = refuses(on_unreadable)
        self._engine = engine
        self._message_type = message_type
        self._methods = [name for service in services for name in _methods_of(service)]
        self._identify = identify
        self._is_registered = False

    async def register(self) -> None:
        """Let executions be set for the methods of the services. Raise what the engine raises."""
        if not self._is_registered:
            await self._engine.register_methods(self._methods)
            self._is_registered = True

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """See `grpc.aio.ServerInterceptor`: one call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        full_method = handler_call_details.method
        if handler.request_streaming or handler.response_streaming:
            return await self._stream(handler, full_method)
        if await self._passes(full_method):
            return handler
        method = _InterceptedMethod(
            self._engine, full_method, handler.unary_unary, self._identify, self._message_type
        )

        async def intercepted(request: Any, context: Any) -> Any:
            try:
                return await method.run(request, context)
            except OutriderError as error:
                found = error.interception_id
                metadata = ((_INTERCEPTION_ID, found),) if found else ()
                await context.abort(
                    grpc.StatusCode[error.code.name],
                    bounded(str(error), _MAX_DETAILS_BYTES),
                    metadata,
                )

        return grpc.unary_unary_rpc_method_handler(
            intercepted,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    async def _stream(self, handler: Any, full_method: str) -> Any:
        """The handler of a stream, or one that refuses it: no target can be shown it."""
        try:
            await self.register()
            if not self._refuses_unreadable or not await self._is_guarded(full_method):
                return handler
        except OutriderError as failure:
            error = failure
        else:
            error = FailedPrecondition(
                f"{full_method} is a stream, which the targets that guard it cannot see"
            )

        async def refuse(_request: Any, context: Any) -> None:
            await context.abort(
                grpc.StatusCode[error.code.name], bounded(str(error), _MAX_DETAILS_BYTES)
            )

        return _HANDLERS[handler.request_streaming, handler.response_streaming](
            refuse,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    async def _is_guarded(self, full_method: str) -> bool:
        kinds = (ConditionKind.REQUEST, ConditionKind.RESPONSE)
        return any([await self._engine.is_guarded(kind, full_method) for kind in kinds])

    async def _passes(self, full_method: str) -> bool:
        """Whether no target has to see this call; the call itself reports what goes wrong."""
        try:
            await self.register()
            kinds = (ConditionKind.REQUEST, ConditionKind.RESPONSE)
            return not any(self._engine.matches(kind, full_method) for kind in kinds)
        except OutriderError:
            return False


class _InterceptedMethod:
    """One method with its handler."""

    def __init__(
        self,
        engine: Engine,
        full_method: str,
        handler: Handler,
        identify: Callable[[Any], Identity],
        message_type: Callable[[type[Any]], MessageType[Any]],
    ) -> None:
        self._engine = engine
        self._full_method = full_method
        self._handler = handler
        self._identify = identify
        self._message_type = message_type

    async def run(self, request: Any, context: Any) -> Any:
        if not inspect.iscoroutinefunction(self._handler):
            # A thread's handler cannot be given the context of this one: it must not slip past.
            raise TypeError(f"{self._full_method}: the handler must be a coroutine function")
        if self._engine.matches(ConditionKind.REQUEST, self._full_method):
            request = await self._on_request(request, context)
        response = await self._handler(request, context)
        if context.code() not in {None, 0, grpc.StatusCode.OK}:
            return response
        if self._engine.matches(ConditionKind.RESPONSE, self._full_method):
            response = await self._on_response(request, response, context)
        return response

    async def _on_request(self, request: Any, context: Any) -> Any:
        result = await self._engine.intercept_request(
            self._full_method,
            request,
            message_type=self._message_type(type(request)),
            **self._call_details(context),
        )
        return result.message

    async def _on_response(self, request: Any, response: Any, context: Any) -> Any:
        result = await self._engine.intercept_response(
            self._full_method,
            response,
            request=self._text(request),
            message_type=self._message_type(type(response)),
            **self._call_details(context),
        )
        return result.message

    def _text(self, message: Any) -> str:
        try:
            return self._message_type(type(message)).render(message)
        except (TypeError, ValueError, RecursionError) as failure:
            raise InvalidRequest(f"the message must be JSON: {failure}") from None

    def _call_details(self, context: Any) -> dict[str, Any]:
        identity = self._identify(context)
        return {
            "org_id": identity.org_id,
            "project_id": identity.project_id,
            "user_id": identity.user_id,
            "headers": _headers(context.invocation_metadata()),
            "timeout": context.time_remaining(),
        }


def _headers(metadata: Iterable[tuple[str, Any]] | None) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in metadata or ():
        if not name.endswith(_BINARY):
            headers.setdefault(name, []).append(value)
    return headers


def _methods_of(service: Any) -> Sequence[str]:
    if isinstance(service, str):
        return [service]
    return [f"/{service.full_name}/{method.name}" for method in service.methods]
