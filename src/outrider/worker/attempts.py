"""One attempt, from a claimed delivery to the settlement that the next poll records.

- Before the call nothing is sent: if the request cannot be built, the attempt is BUILD_FAILED.
- During the call the receiver may respond badly or not at all. This is a result and is recorded.
- After the call the receiver has it and the store does not. If the node dies now, the rescuer
  records the attempt as LOST, and a worker repeats it with the same delivery id.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from outrider.domain.calls.request import RequestError, Response
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
from outrider.usecases.calls.target_client import TargetClient
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.telemetry import NO_METRICS, DeliveryMetrics
from outrider.usecases.ports.tracing import NO_SPAN, Span, TracePropagator, Tracing

_NO_RETRY_POLICY = RetryPolicy()


@dataclass(frozen=True, slots=True)
class AttemptRunner:
    """Makes attempts. Every way an attempt can end is a value; nothing is raised but cancellation.

    `accepted_level` is the log level of accepted attempts; None: they are not logged. Every other
    attempt is logged at `info`.
    """

    runtime: Runtime
    target_client: TargetClient
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
        tracing = self.tracing or TracePropagator(self.runtime.new_id)
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
            response = await self.target_client.send(
                resolved_target,
                claimed.body,
                message_id=claimed.id,
                now=started_at,
                attempt_number=claimed.attempt_number,
                event_id=claimed.event_id,
                replay_of=claimed.replay_of,
                hops=claimed.hops + 1,
                trace=span.context,
            )
        except RequestError as failure:
            attempt = Attempt.from_failure(
                claimed.attempt_number, started_at, _since(clock), failure
            )
        else:
            attempt = Attempt.from_response(
                claimed.attempt_number, started_at, _since(clock), response
            )
            if attempt.outcome is not Outcome.ACCEPTED:
                retry_after = _retry_after(response, started_at + attempt.duration)
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
        """Log an attempt that has ended; return what it means under the target's policy.

        `sent` is the trace that its request carried; None: it carried none, or it is not known.
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


def schedule_of(policy: TargetPolicy, default: RetrySchedule) -> RetrySchedule:
    """The policy's schedule; the default one when the policy has no retry settings."""
    return default if policy.retry == _NO_RETRY_POLICY else retry_schedule(policy)


def report_attempt(
    report: Callable[..., Any],
    claimed: ClaimedDelivery,
    attempt: Attempt,
    sent: TraceContext | None = None,
) -> None:
    """Log an attempt. `sent` is the trace that its request carried.

    None: it carried none, or it is not known. Then the line has the trace of the publish, if any.
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


def _retry_after(response: Response, now: datetime) -> timedelta | None:
    for name, value in response.headers:
        if name == "retry-after":
            return parse_retry_after(value, now)
    return None


def _since(clock: float) -> timedelta:
    return timedelta(seconds=time.perf_counter() - clock)
