"""`grpc.health.v1.Health`: what `/readyz` answers, for probes and balancers that speak gRPC.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable

from outrider.api.asgi.shutdown import Shutdown, pause, stopping_error
from outrider.api.endpoints.health import Readiness, Ready
from outrider.api.rpc.interceptors import Authenticate, Context
from outrider.api.rpc.service import Service, serve
from outrider.api.rpc.telemetry import NO_TELEMETRY, Telemetry
from outrider.errors import NotFound
from outrider.usecases.ports.log import Log
from outrider_api.grpc.health.v1 import health_pb as pb
from outrider_api.grpc.health.v1.health_connect import Health, HealthASGIApplication

POLL_EVERY_S = 5.0
"""How long a change may go unnoticed by a `Watch` stream."""

REPEAT_EVERY_S = 60.0
"""A `Watch` stream repeats its status after this time: a stream that is silent for minutes is cut."""

WHOLE_SERVER = ""
_Status = pb.HealthCheckResponse.ServingStatus


class HealthHandlers(Health):
    """All services share one store, so they are ready together."""

    def __init__(
        self,
        readiness: Readiness,
        services: Collection[str],
        poll_every_s: float = POLL_EVERY_S,
        repeat_every_s: float = REPEAT_EVERY_S,
        shutdown: Shutdown | None = None,
    ) -> None:
        self._shutdown = shutdown or Shutdown()
        self._readiness = readiness
        self._names = {WHOLE_SERVER, Health.desc().type_name, *services}
        self._poll_every_s = poll_every_s
        self._repeat_every_s = repeat_every_s

    async def check(
        self, request: pb.HealthCheckRequest, _ctx: Context, /
    ) -> pb.HealthCheckResponse:
        """The status now. Raise `NotFound` for a service that is not served."""
        if request.service not in self._names:
            raise NotFound(
                "unknown service",
                reason=f"this server has no service {request.service!r}",
                hint="name a service that reflection lists, or none",
            )
        return pb.HealthCheckResponse(status=await self._status())

    async def list(self, _request: pb.HealthListRequest, _ctx: Context, /) -> pb.HealthListResponse:
        """The status of everything that is served."""
        response = pb.HealthCheckResponse(status=await self._status())
        return pb.HealthListResponse(statuses=dict.fromkeys(sorted(self._names), response))

    async def watch(
        self, request: pb.HealthCheckRequest, _ctx: Context, /
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """The status now, after each change and from time to time, until the caller leaves.

        Raise `Unavailable` when the server stops, after a last word.
        """
        loop = asyncio.get_running_loop()
        last_sent, sent_at = None, loop.time()
        while True:
            is_last, is_announced = self._shutdown.begun.is_set(), self._shutdown.announced.is_set()
            is_served = request.service in self._names
            status = await self._status() if is_served else _Status.SERVICE_UNKNOWN
            if status != last_sent or loop.time() - sent_at >= self._repeat_every_s:
                yield pb.HealthCheckResponse(status=status)
                last_sent, sent_at = status, loop.time()
            if is_last:
                raise stopping_error()
            moment = self._shutdown.begun if is_announced else self._shutdown.announced
            await pause(moment, self._poll_every_s)

    async def _status(self) -> pb.HealthCheckResponse.ServingStatus:
        reason = await self._readiness.reason()
        return _Status.SERVING if reason is None else _Status.NOT_SERVING


def grpc_health(
    services: Iterable[Service],
    ready: Ready,
    authenticate: Authenticate,
    log: Log,
    shutdown: Shutdown,
    *,
    telemetry: Telemetry = NO_TELEMETRY,
) -> Service:
    """The health of these services, and of itself. `shutdown` ends open `Watch` streams."""
    handlers: Health = HealthHandlers(
        Readiness(ready, log),
        [service.descriptor.type_name for service in services],
        shutdown=shutdown,
    )
    return serve(
        HealthASGIApplication, handlers, Health.desc(), authenticate, log, telemetry=telemetry
    )
