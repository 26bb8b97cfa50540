"""gRPC server reflection: the served services, described by the descriptors that serve them.

Both published versions, `grpc.reflection.v1` and `v1alpha`: the same messages under two names.
https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from connectrpc_grpcreflect import (
    ServerReflectionAlphaASGIApplication,
    ServerReflectionAlphaService,
    ServerReflectionASGIApplication,
    ServerReflectionService,
)

from outrider.api.asgi.shutdown import until_shutdown
from outrider.api.rpc.error_mapping import ERROR_MESSAGES
from outrider.api.rpc.interceptors import Authenticate, Context
from outrider.api.rpc.service import Service, serve
from outrider.api.rpc.telemetry import NO_TELEMETRY, Telemetry
from outrider.errors import InvalidRequest
from outrider.usecases.ports.log import Log

_VERSIONS: tuple[tuple[Any, Any], ...] = (
    (ServerReflectionASGIApplication, ServerReflectionService),
    (ServerReflectionAlphaASGIApplication, ServerReflectionAlphaService),
)


class ReflectionHandlers:
    """The library's handlers, whose streams end when the server stops."""

    def __init__(self, handlers: Any, stopping: asyncio.Event) -> None:
        self._handlers = handlers
        self._stopping = stopping

    async def server_reflection_info(
        self, requests: AsyncIterator[Any], ctx: Context, /
    ) -> AsyncIterator[Any]:
        """One response for each request, as it comes."""
        complete = _complete(until_shutdown(self._stopping, requests))
        async for response in self._handlers.server_reflection_info(complete, ctx):
            yield response


async def _complete(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The requests. Raise `InvalidRequest` for one that asks nothing."""
    async for request in requests:
        if request.message_request is None:
            raise InvalidRequest(
                "invalid ServerReflectionRequest.MessageRequest: value is required",
                hint="set one of its questions, such as list_services",
            )
        yield request


def reflection(
    services: Iterable[Service],
    authenticate: Authenticate,
    log: Log,
    stopping: asyncio.Event,
    *,
    telemetry: Telemetry = NO_TELEMETRY,
) -> list[Service]:
    """Reflection about these services, their errors and itself, in both versions, until `stopping`."""
    # No service imports what errors are made of: tools ask for it when they have one.
    descriptors = [
        *(service.descriptor for service in services),
        *(message.file for message in ERROR_MESSAGES),
    ]
    return [
        serve(
            application,
            ReflectionHandlers(handlers(*descriptors), stopping),
            handlers.desc(),
            authenticate,
            log,
            telemetry=telemetry,
        )
        for application, handlers in _VERSIONS
    ]
