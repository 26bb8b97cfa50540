"""Call a target: build, sign, send. Every failure is a `RequestError`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.calls.request_builder import RequestBuilder, RequestBuildError
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.calls.trace import TraceContext
from outrider.domain.outcome import Outcome
from outrider.usecases.ports.http_client import HttpClient
from outrider.usecases.ports.log import Log

# A copy of the request is not worth so little time.
_NEGLIGIBLE_S = 0.001


@dataclass(frozen=True, slots=True)
class TargetClient:
    """Calls targets, for deliveries, interceptions and sample calls. Safe for concurrent use."""

    request_builder: RequestBuilder
    http_client: HttpClient
    log: Log

    async def send(
        self,
        resolved_target: ResolvedTarget,
        body: bytes,
        *,
        message_id: str,
        now: datetime,
        attempt_number: int | None = None,
        event_id: str = "",
        replay_of: str | None = None,
        hops: int = 1,
        is_test: bool = False,
        trace: TraceContext | None = None,
        deadline: float | None = None,
    ) -> Response:
        """Send `body` to the target once; return the response, whatever its status.

        Args:
            resolved_target: the target, with its keys and policy.
            body: the JSON, before its payload type wraps it.
            message_id: the delivery's id; for all other calls an id of their own.
            now: the time of the signatures.
            attempt_number: of the delivery; None when the call is no delivery.
            event_id: of the event that is delivered; empty when it is none.
            replay_of: the delivery that this one repeats.
            hops: how many outriders the event of a delivery has come through, this one included.
            is_test: whether a header marks the call as a sample call.
            trace: the span that the receiver's spans go below.
            deadline: when the caller stops waiting, in the event loop's time. The request ends
                then, even when the target's own time-out is later.

        Raises:
            RequestError: there is no usable response. What could not be built is BUILD_FAILED. An
                exception that is a bug of ours is logged, and is BUILD_FAILED or UNREACHABLE.
        """
        try:
            request = self.request_builder.build(
                resolved_target,
                body,
                message_id=message_id,
                now=now,
                attempt_number=attempt_number,
                event_id=event_id,
                replay_of=replay_of,
                hops=hops,
                is_test=is_test,
                trace=trace,
            )
        except RequestBuildError:
            raise
        except Exception as bug:  # noqa: BLE001 - a failure before the call is a result too
            self._log_internal_error(message_id, attempt_number, Stage.BUILD)
            reason = f"the call could not be built: {type(bug).__name__}"
            raise RequestBuildError(reason) from None
        if deadline is not None:
            request = _bounded(request, deadline)
        return await self._send(request, message_id, attempt_number)

    async def _send(
        self, request: OutboundRequest, message_id: str, attempt_number: int | None
    ) -> Response:
        try:
            return await self.http_client.send(request)
        except RequestError:
            raise
        except Exception as bug:  # noqa: BLE001 - so is one of ours during it
            self._log_internal_error(message_id, attempt_number, Stage.SEND)
            reason = f"the call broke inside outrider: {type(bug).__name__}"
            raise RequestError(Outcome.UNREACHABLE, Stage.SEND, reason) from None

    def _log_internal_error(
        self, message_id: str, attempt_number: int | None, stage: Stage
    ) -> None:
        if attempt_number is None:
            self.log.exception("interception.internal_error")  # noqa: LOG004 - called in a handler
        else:
            self.log.exception("delivery.internal_error", delivery=message_id, stage=stage.value)  # noqa: LOG004


def _bounded(request: OutboundRequest, deadline: float) -> OutboundRequest:
    """Return the request with a time-out that ends at the deadline, should its own end later."""
    seconds = deadline - asyncio.get_running_loop().time()
    if seconds < request.timeout - _NEGLIGIBLE_S:
        return replace(request, timeout=seconds)
    return request
