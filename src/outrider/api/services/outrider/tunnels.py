"""Tunnels: a stream of calls down, one answer at a time up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from protobuf.wkt import Duration

from outrider.api.asgi.shutdown import until_shutdown
from outrider.api.rpc.interceptors import (
    Authenticate,
    Context,
    actor_of,
    authenticate_caller,
    permission_of,
)
from outrider.domain.access.permission import require
from outrider.domain.calls.request import Response
from outrider.domain.net.endpoint import parse_endpoint
from outrider.errors import InvalidRequest
from outrider.usecases.targets.tunnels import PendingRequest, TunnelRegistry, listener_error
from outrider_api.outrider.v1 import tunnel_service_pb as pb
from outrider_api.outrider.v1.tunnel_service_connect import TunnelService

ALIVE_EVERY_S = 10.0
"""A listener gets a message this often; one that gets none has lost the server."""

PERMISSION = permission_of(TunnelService.desc().methods[0])
MIN_STATUS = 100


class TunnelHandlers(TunnelService):
    """`outrider.v1.TunnelService`."""

    def __init__(
        self,
        tunnels: TunnelRegistry,
        authenticate: Authenticate,
        stopping: asyncio.Event,
        alive_every_s: float = ALIVE_EVERY_S,
    ) -> None:
        self._tunnels = tunnels
        self._authenticate = authenticate
        self._stopping = stopping
        self._alive_every_s = alive_every_s

    def listen(
        self, request: pb.ListenRequest, ctx: Context, /
    ) -> AsyncIterator[pb.ListenResponse]:
        """Until the caller leaves, or may not listen any more.

        Raise `Unavailable` when the server stops.
        """
        return until_shutdown(self._stopping, self._frames(request.name, ctx))

    async def answer_call(
        self, request: pb.AnswerCallRequest, ctx: Context, /
    ) -> pb.AnswerCallResponse:
        """Raise `NotFound` for a call that is answered or given up already."""
        response = listener_error(request.failure) if request.failure else _response(request)
        self._tunnels.answer(actor_of(ctx), request.name, request.call_id, response)
        return pb.AnswerCallResponse()

    async def _frames(self, name: str, ctx: Context) -> AsyncIterator[pb.ListenResponse]:
        loop = asyncio.get_running_loop()
        async with self._tunnels.listen(actor_of(ctx), name) as session:
            yield pb.ListenResponse(endpoint=session.tunnel.endpoint)
            checked_at = loop.time()
            while True:
                pending = await session.next_request(self._alive_every_s)
                if loop.time() - checked_at >= self._alive_every_s:
                    await self._check(ctx)
                    checked_at = loop.time()
                yield pb.ListenResponse(call=None if pending is None else _to_proto(pending))

    async def _check(self, ctx: Context) -> None:
        # The stream may outlive its token, or the permission of its account.
        require(await authenticate_caller(self._authenticate, ctx), PERMISSION)


def _to_proto(pending: PendingRequest) -> pb.TunnelCall:
    call = pending.request
    return pb.TunnelCall(
        id=pending.id,
        target=parse_endpoint(call.url).target,
        headers=[pb.HttpHeader(name=name, value=value) for name, value in call.headers],
        body=call.body,
        timeout=Duration.from_timedelta(timedelta(seconds=call.timeout)),
    )


def _response(request: pb.AnswerCallRequest) -> Response:
    if request.status < MIN_STATUS:
        raise InvalidRequest("invalid AnswerCallRequest.Status: value must be from 100 to 599")
    headers = tuple((header.name.lower(), header.value) for header in request.headers)
    return Response(request.status, headers, request.body)
