"""The targets of one execution, one after the other, while a caller waits.

Each is called with what the ones before it made of the message. What went wrong either stops the
call with an error for its caller, or is written into the log and forgotten (sheet, section 3.3).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from outrider.domain.calls.classify import classify_response
from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.calls.request_builder import RequestBuilder, RequestBuildError
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.calls.trace import TraceContext
from outrider.domain.ids import ExecutionId, InstanceId, TargetId
from outrider.domain.interception.decision import (
    execution_failed,
    forwarded_failure,
    interrupts,
    time_slice,
)
from outrider.domain.interception.message import InvalidResponse
from outrider.domain.interception.payload import Subject
from outrider.domain.outcome import Outcome
from outrider.domain.targets.target import TargetType
from outrider.errors import OutriderError
from outrider.runtime import Runtime
from outrider.usecases.interception.concurrency_limits import Bulkheads
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.store import HttpClient
from outrider.usecases.ports.telemetry import NO_METRICS, InterceptionMetrics
from outrider.usecases.ports.tracing import PassedOn, Tracing

# A copy of the call is not worth so little time.
_NEGLIGIBLE_S = 0.001


@dataclass(frozen=True, slots=True)
class TargetCall:
    """How the call of one target ended.

    `outcome` is None for a target that nobody waits for: its call is a delivery, made later.
    `error` is a sentence for operators, empty when the target accepted.
    """

    target_id: TargetId
    outcome: Outcome | None
    duration: timedelta = timedelta(0)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A target that did not do what it should. `error`: for the caller, should it interrupt."""

    outcome: Outcome
    reason: str
    error: OutriderError


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """One execution that fires.

    `invalid_response` says what the caller is told of an answer that cannot be applied. `enqueuer` takes
    the body for a target that nobody waits for.
    """

    instance: InstanceId
    execution: ExecutionId
    subject: Subject
    resolved_targets: Sequence[ResolvedTarget]
    budget: float
    invalid_response: Callable[[InvalidResponse], OutriderError]
    enqueuer: Callable[[TargetId, bytes], None]
    trace: TraceContext | None = None


@dataclass(frozen=True, slots=True)
class TargetChain:
    """Calls the targets of executions. Safe to use for many runs at the same time."""

    runtime: Runtime
    request_builder: RequestBuilder
    caller: HttpClient
    bulkheads: Bulkheads
    log: Log
    metrics: InterceptionMetrics = field(default=NO_METRICS, repr=False)
    tracing: Tracing | None = None

    async def __call__(self, run: PipelineRun) -> tuple[TargetCall, ...]:
        """Call them in order; the subject is changed. Raise what an interrupting target is.

        The whole takes at most `run.budget` seconds, see `budget.time_slice`. The error knows the
        target (`OutriderError.target_id`).
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + run.budget
        awaited = [each for each in run.resolved_targets if each.target.is_awaited]
        timeouts = [each.target.timeout.total_seconds() for each in awaited]
        calls: list[TargetCall] = []
        for resolved_target in run.resolved_targets:
            target = resolved_target.target
            if not target.is_awaited:
                calls.append(self._handed_over(run, target.id))
                continue
            seconds = time_slice(deadline - clock(), timeouts)
            timeouts = timeouts[1:]
            call, failure = await self._called(run, resolved_target, seconds)
            calls.append(call)
            if failure and interrupts(target, resolved_target.policy, failure.outcome):
                raise failure.error.at(target.id)
        return tuple(calls)

    def _handed_over(self, run: PipelineRun, target_id: TargetId) -> TargetCall:
        try:
            body = self._rendered(run)
        except RequestBuildError as failure:
            return TargetCall(target_id, Outcome.BUILD_FAILED, error=failure.reason)
        run.enqueuer(target_id, body)
        return TargetCall(target_id, None)

    async def _called(
        self, run: PipelineRun, resolved_target: ResolvedTarget, seconds: float
    ) -> tuple[TargetCall, Failure | None]:
        began, outcome = time.perf_counter(), None
        self.metrics.call_began()
        try:
            failure, trace = await self._traced(run, resolved_target, seconds)
            outcome = Outcome.ACCEPTED if failure is None else failure.outcome
        finally:
            duration = timedelta(seconds=time.perf_counter() - began)
            self.metrics.call_ended(outcome, duration.total_seconds())
        call = TargetCall(
            resolved_target.target.id, outcome, duration, failure.reason if failure else ""
        )
        report = self.log.info if failure else self.log.debug
        report(
            "interception.called",
            instance=run.instance,
            execution=run.execution,
            target=call.target_id,
            outcome=outcome.name.lower(),
            ms=round(duration.total_seconds() * 1000, 3),
            error=call.error,
            **({} if trace is None else {"trace": trace.trace_id, "span": trace.span_id}),
        )
        return call, failure

    async def _traced(
        self, run: PipelineRun, resolved_target: ResolvedTarget, seconds: float
    ) -> tuple[Failure | None, TraceContext | None]:
        """Call one target in a span of its own; return that, too."""
        tracing = self.tracing or PassedOn(self.runtime.new_id)
        attributes = {
            "outrider.target.id": resolved_target.target.id,
            "outrider.execution": run.execution,
        }
        with tracing.span("call target", "client", run.trace, attributes) as span:
            failure = await self._failure(run, resolved_target, seconds, span.context)
            outcome = Outcome.ACCEPTED if failure is None else failure.outcome
            span.note({"outrider.outcome": outcome.name.lower()})
            if failure is not None:
                span.fail(outcome.name.lower())
        return failure, span.context

    async def _failure(
        self,
        run: PipelineRun,
        resolved_target: ResolvedTarget,
        seconds: float,
        trace: TraceContext | None,
    ) -> Failure | None:
        """Call one target, in that span, and apply its answer; None when all went well."""
        try:
            answer = await self._answer(run, resolved_target, seconds, trace)
        except RequestBuildError as failure:
            shown = failure.error or execution_failed()
            return Failure(Outcome.BUILD_FAILED, failure.reason, shown)
        except RequestError as failure:
            return Failure(failure.outcome, failure.reason, execution_failed())
        return _misbehaved(answer) or self._unapplied(run, resolved_target, answer)

    async def _answer(
        self,
        run: PipelineRun,
        resolved_target: ResolvedTarget,
        seconds: float,
        trace: TraceContext | None,
    ) -> Response:
        if seconds <= 0:
            reason = "the caller's time was over before it was this target's turn"
            raise RequestError(Outcome.UNREACHABLE, Stage.BUILD, reason)
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        target = resolved_target.target
        call_id = str(self.runtime.new_id())
        call = self._built(resolved_target, self._rendered(run), call_id, trace)
        places = resolved_target.policy.max_concurrency
        async with self.bulkheads.place(run.instance, target.id, places, seconds):
            left = until - clock()
            if left < call.timeout - _NEGLIGIBLE_S:
                call = replace(call, timeout=left)
            return await self._post(call)

    def _rendered(self, run: PipelineRun) -> bytes:
        try:
            return run.subject.render()
        except Exception as failure:
            # What an answer left behind: kinds of messages may be others' code.
            self.log.exception("interception.internal_error")
            reason = f"the message could not be rendered: {type(failure).__name__}"
            raise RequestBuildError(reason) from None

    def _unapplied(
        self, run: PipelineRun, resolved_target: ResolvedTarget, answer: Response
    ) -> Failure | None:
        """Apply the answer where it counts; return why it could not be."""
        if resolved_target.target.type is not TargetType.REST_CALL:
            return None
        try:
            run.subject.apply(answer.body)
        except InvalidResponse as invalid_response:
            return Failure(
                Outcome.FAILED, invalid_response.reason, run.invalid_response(invalid_response)
            )
        except Exception as failure:
            self.log.exception("interception.internal_error")
            reason = f"the answer could not be applied: {type(failure).__name__}"
            return Failure(Outcome.FAILED, reason, execution_failed())
        return None

    def _built(
        self, resolved_target: ResolvedTarget, body: bytes, call_id: str, trace: TraceContext | None
    ) -> OutboundRequest:
        now = self.runtime.now()
        try:
            return self.request_builder.build(
                resolved_target, body, message_id=call_id, now=now, trace=trace
            )
        except RequestBuildError:
            raise
        except Exception as failure:
            self.log.exception("interception.internal_error")
            reason = f"the call could not be built: {type(failure).__name__}"
            raise RequestBuildError(reason) from None

    async def _post(self, call: OutboundRequest) -> Response:
        try:
            return await self.caller.post(call)
        except RequestError:
            raise
        except Exception as failure:
            self.log.exception("interception.internal_error")
            reason = f"the call broke inside outrider: {type(failure).__name__}"
            raise RequestError(Outcome.UNREACHABLE, Stage.SEND, reason) from None


def _misbehaved(answer: Response) -> Failure | None:
    """What the target answered, unless it accepted."""
    judgement = classify_response(answer)
    if judgement.outcome is Outcome.ACCEPTED:
        return None
    forwarded = judgement.forwarded
    shown = execution_failed() if forwarded is None else forwarded_failure(forwarded)
    return Failure(judgement.outcome, judgement.error, shown)
