"""One attempt, from a claimed delivery to what is to be recorded.

- Before the call nothing has left: what cannot be built is an BUILD_FAILED attempt.
- During the call the receiver answers badly or not at all: that is a result, and is recorded.
- After the call the receiver has it and the store does not: if the node dies now, the rescuer
  records the attempt as LOST and it is made again with the same delivery id.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from outrider.domain.calls.request import RequestError, Response, Stage
from outrider.domain.calls.request_builder import RequestBuilder, RequestBuildError
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.calls.trace import Attributes, TraceContext, trace_from_text
from outrider.domain.delivery.delivery import (
    Attempt,
    ClaimedDelivery,
    Settlement,
    settle,
)
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import RetryPolicy, TargetPolicy, retry_schedule
from outrider.domain.targets.retry_schedule import RetrySchedule, parse_retry_after
from outrider.runtime import Runtime
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.store import HttpClient
from outrider.usecases.ports.telemetry import NO_METRICS, DeliveryMetrics
from outrider.usecases.ports.tracing import NO_SPAN, PassedOn, Span, Tracing

_NOTHING_SAID = RetryPolicy()


@dataclass(frozen=True, slots=True)
class AttemptRunner:
    """Makes attempts. Every way an attempt can end is a value; nothing is raised but cancellation.

    `accepted_level` is the level of the line that an accepted attempt leaves in the log; None: it
    leaves none. Every other attempt leaves one at `info`.
    """

    runtime: Runtime
    request_builder: RequestBuilder
    caller: HttpClient
    schedule: RetrySchedule
    log: Log
    metrics: DeliveryMetrics = field(default=NO_METRICS, repr=False)
    tracing: Tracing | None = None
    accepted_level: Literal["debug", "info"] | None = "debug"

    async def attempt(
        self, claimed: ClaimedDelivery, resolved_target: ResolvedTarget
    ) -> Settlement:
        """Call the target once and decide what that means."""
        if not claimed.trace and self.tracing is None:
            return await self._attempt(claimed, resolved_target, NO_SPAN)
        tracing = self.tracing or PassedOn(self.runtime.new_id)
        attributes: Attributes = {
            "messaging.operation.name": "deliver",
            "outrider.delivery.id": claimed.id,
            "outrider.target.id": claimed.target_id,
            "outrider.attempt": claimed.attempt_number,
        }
        parent = trace_from_text(claimed.trace)
        with tracing.span("deliver event", "consumer", parent, attributes) as span:
            settlement = await self._attempt(claimed, resolved_target, span)
            if settlement.attempt is not None:
                outcome = settlement.attempt.outcome
                span.note({"outrider.outcome": outcome.name.lower()})
                if outcome is not Outcome.ACCEPTED:
                    span.fail(outcome.name.lower())
        return settlement

    async def _attempt(
        self, claimed: ClaimedDelivery, resolved_target: ResolvedTarget, span: Span
    ) -> Settlement:
        started_at = self.runtime.now()
        clock = time.perf_counter()
        retry_after = None
        try:
            answer = await self._call(claimed, resolved_target, started_at, span.context)
        except RequestError as failure:
            attempt = Attempt.from_failure(
                claimed.attempt_number, started_at, _since(clock), failure
            )
        else:
            attempt = Attempt.from_response(
                claimed.attempt_number, started_at, _since(clock), answer
            )
            if attempt.outcome is not Outcome.ACCEPTED:
                retry_after = _retry_after(answer, started_at + attempt.duration)
        settlement = self.settled(claimed, attempt, resolved_target, retry_after, sent=span.context)
        delay = (started_at - claimed.due_at).total_seconds() if claimed.due_at else 0.0
        self.metrics.attempted(attempt, settlement.state, delay)
        return settlement

    def settled(
        self,
        claimed: ClaimedDelivery,
        attempt: Attempt,
        resolved_target: ResolvedTarget,
        retry_after: timedelta | None = None,
        *,
        sent: TraceContext | None = None,
    ) -> Settlement:
        """What an attempt that has ended means under the target's policy; its line is written.

        `sent` is what its call carried, None where it carried nothing or nobody knows.
        """
        self._report(claimed, attempt, sent)
        return settle(
            claimed,
            attempt,
            resolved_target.target,
            schedule_of(resolved_target.policy, self.schedule),
            draw=self.runtime.draw(),
            retry_after=retry_after,
            checks_async=resolved_target.policy.check_async_status,
        )

    async def _call(
        self,
        claimed: ClaimedDelivery,
        resolved_target: ResolvedTarget,
        now: datetime,
        trace: TraceContext | None,
    ) -> Response:
        try:
            call = self.request_builder.build(
                resolved_target,
                claimed.body,
                message_id=claimed.id,
                now=now,
                attempt_number=claimed.attempt_number,
                trace=trace,
            )
        except RequestBuildError as failure:
            raise RequestError(Outcome.BUILD_FAILED, Stage.BUILD, failure.reason) from None
        except Exception as failure:  # noqa: BLE001 - a failure before the call is an attempt too
            self._unexpected(claimed, Stage.BUILD)
            reason = f"the call could not be built: {type(failure).__name__}"
            raise RequestError(Outcome.BUILD_FAILED, Stage.BUILD, reason) from None
        try:
            return await self.caller.post(call)
        except RequestError:
            raise
        except Exception as failure:  # noqa: BLE001 - so is one of ours during it
            self._unexpected(claimed, Stage.SEND)
            reason = f"the call broke inside outrider: {type(failure).__name__}"
            raise RequestError(Outcome.UNREACHABLE, Stage.SEND, reason) from None

    def _unexpected(self, claimed: ClaimedDelivery, stage: Stage) -> None:
        self.log.exception("delivery.internal_error", delivery=claimed.id, stage=stage.value)  # noqa: LOG004 - called in a handler

    def _report(
        self, claimed: ClaimedDelivery, attempt: Attempt, sent: TraceContext | None
    ) -> None:
        level = self.accepted_level if attempt.outcome is Outcome.ACCEPTED else "info"
        if level is None:
            # To write a line costs as much as the delivery, and not to write one a hundredth.
            return
        report_attempt(
            self.log.debug if level == "debug" else self.log.info, claimed, attempt, sent
        )


def schedule_of(policy: TargetPolicy, usual: RetrySchedule) -> RetrySchedule:
    """The policy's schedule; the usual one when it says nothing of retries."""
    return usual if policy.retry == _NOTHING_SAID else retry_schedule(policy)


def report_attempt(
    report: Callable[..., Any],
    claimed: ClaimedDelivery,
    attempt: Attempt,
    sent: TraceContext | None = None,
) -> None:
    """Write the one line of an attempt. `sent` is what its call carried.

    None: it carried nothing, or nobody knows. Then the line has the trace of the publish, if any.
    """
    report(
        "delivery.attempted",
        delivery=claimed.id,
        instance=claimed.instance_id,
        target=claimed.target_id,
        attempt=attempt.number,
        outcome=attempt.outcome.name.lower(),
        stage=attempt.stage.value,
        status=attempt.status_code,
        ms=round(attempt.duration.total_seconds() * 1000, 3),
        error=attempt.error,
        **_trace_fields(claimed, sent),
    )


def _trace_fields(claimed: ClaimedDelivery, sent: TraceContext | None) -> dict[str, str]:
    if sent is not None:
        return {"trace": sent.trace_id, "span": sent.span_id}
    published = trace_from_text(claimed.trace)
    return {} if published is None else {"trace": published.trace_id}


def _retry_after(answer: Response, now: datetime) -> timedelta | None:
    for name, value in answer.headers:
        if name == "retry-after":
            return parse_retry_after(value, now)
    return None


def _since(clock: float) -> timedelta:
    return timedelta(seconds=time.perf_counter() - clock)
