"""Call the targets of one execution one after the other, while a caller waits.

Each target gets the message as the previous ones left it. A failure either rejects the call with an
error for the caller, or is logged and has no further effect.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self

from outrider.domain.calls.classify import classify_response
from outrider.domain.calls.request import MAX_APPLIED_BYTES, RequestError, Response, Stage
from outrider.domain.calls.request_builder import RequestBuildError
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.calls.trace import TraceContext
from outrider.domain.formats.json_bounds import check_values
from outrider.domain.ids import ExecutionId, InstanceId, TargetId
from outrider.domain.interception.decision import (
    execution_failed,
    forwarded_failure,
    interrupts,
    time_slice,
)
from outrider.domain.interception.function import FunctionPayload
from outrider.domain.interception.message import InvalidResponse
from outrider.domain.interception.payload import InterceptionPayload
from outrider.domain.outcome import Outcome
from outrider.domain.targets.target import Target, TargetType
from outrider.errors import OutriderError
from outrider.runtime import Runtime
from outrider.usecases.calls.target_client import TargetClient
from outrider.usecases.interception.concurrency_limits import Bulkheads
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.telemetry import NO_METRICS, InterceptionMetrics
from outrider.usecases.ports.tracing import Span, TracePropagator, Tracing

_LONG_BODY = 128 * 1024
_PERHAPS_CUT = (
    "the answer may be cut: it has no length, and TLS ended without close_notify; let the receiver"
    " send a Content-Length"
)

TargetPayload = InterceptionPayload[Any] | FunctionPayload
"""The body for the targets of a run, which their responses may change."""


@dataclass(frozen=True, slots=True)
class TargetCall:
    """How the call of one target ended.

    `outcome` is None for an asynchronous target: its call is a delivery, made later. `error` is a
    sentence for operators, empty when the target accepted.
    """

    target_id: TargetId
    outcome: Outcome | None
    duration: timedelta = timedelta(0)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a target did not accept. `error` is for the caller, should the target interrupt."""

    outcome: Outcome
    reason: str
    error: OutriderError


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """One run of an execution through its targets.

    `id` is what its lines in the log have, its caller's error and its result: it finds the reason.
    `budget` is how many seconds it may take. `invalid_response` makes the caller's error of a
    response that cannot be applied. `enqueue` makes a delivery of the body for an asynchronous
    target.
    """

    id: str
    instance: InstanceId
    execution: ExecutionId
    payload: TargetPayload
    resolved_targets: Sequence[ResolvedTarget]
    budget: float
    invalid_response: Callable[[InvalidResponse], OutriderError]
    enqueue: Callable[[TargetId, bytes], None]
    trace: TraceContext | None = None


class _Observation:
    """Metrics and a span around one call. A class: a decorated generator takes three times as long.

    The block sets `outcome`; it stays None when the caller leaves before the call has ended.
    """

    __slots__ = ("_metrics", "_span", "_span_block", "_started", "duration", "outcome", "trace")

    def __init__(
        self, metrics: InterceptionMetrics, span_block: AbstractContextManager[Span]
    ) -> None:
        self._metrics = metrics
        self._span_block = span_block
        self.outcome: Outcome | None = None
        self.duration = timedelta(0)

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._span = self._span_block.__enter__()
        self.trace = self._span.context
        self._metrics.call_began()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self.outcome is not None:
                name = self.outcome.name.lower()
                self._span.note({"outrider.outcome": name})
                if self.outcome is not Outcome.ACCEPTED:
                    self._span.fail(name)
            self._span_block.__exit__(kind, failure, traceback)
        finally:
            self.duration = timedelta(seconds=time.perf_counter() - self._started)
            self._metrics.call_ended(self.outcome, self.duration.total_seconds())


@dataclass(frozen=True, slots=True)
class TargetChain:
    """Calls the targets of executions. Safe to use for many runs at the same time."""

    runtime: Runtime
    target_client: TargetClient
    bulkheads: Bulkheads
    log: Log
    metrics: InterceptionMetrics = field(default=NO_METRICS, repr=False)
    tracing: Tracing | None = None

    async def __call__(self, run: PipelineRun) -> tuple[TargetCall, ...]:
        """Call the targets in order; their responses change the payload.

        The run takes at most `run.budget` seconds, see `time_slice`.

        Raises:
            OutriderError: a target interrupted the run; the error has its `target_id`, and the
                run's id as `interception_id`.
        """
        clock = asyncio.get_running_loop().time
        run_deadline = clock() + run.budget
        timeouts = [
            resolved_target.target.timeout.total_seconds()
            for resolved_target in run.resolved_targets
            if resolved_target.target.is_awaited
        ]
        calls: list[TargetCall] = []
        for resolved_target in run.resolved_targets:
            target = resolved_target.target
            if not target.is_awaited:
                calls.append(self._enqueue(run, target.id))
                continue
            now = clock()
            deadline = now + time_slice(run_deadline - now, timeouts)
            timeouts = timeouts[1:]
            call, failure = await self._call(run, resolved_target, deadline)
            calls.append(call)
            if failure and interrupts(target, resolved_target.policy, failure.outcome):
                raise failure.error.at(target.id, run.id)
        return tuple(calls)

    async def failure(
        self, run: PipelineRun, resolved_target: ResolvedTarget, response: Response
    ) -> Failure | None:
        """Apply a response that counts to the payload; return why it does not count."""
        if response.is_success and not response.is_whole:
            return Failure(Outcome.UNREACHABLE, _PERHAPS_CUT, execution_failed())
        rejection = _over_bounds(resolved_target.target, response)
        if rejection is None and len(response.body) > _LONG_BODY:
            # To read a long body takes longer than other calls should wait.
            rejection = await asyncio.to_thread(_rejection, run, resolved_target, response)
        elif rejection is None:
            rejection = _rejection(run, resolved_target, response)
        return rejection or self._apply(run, resolved_target, response)

    def _enqueue(self, run: PipelineRun, target_id: TargetId) -> TargetCall:
        try:
            body = self._render(run)
        except RequestError as failure:
            return TargetCall(target_id, failure.outcome, error=failure.reason)
        run.enqueue(target_id, body)
        return TargetCall(target_id, None)

    async def _call(
        self, run: PipelineRun, resolved_target: ResolvedTarget, deadline: float
    ) -> tuple[TargetCall, Failure | None]:
        """Call one target and apply its response; the failure is None when it accepted."""
        with self._observe(run, resolved_target) as observation:
            try:
                response = await self._send(run, resolved_target, deadline, observation.trace)
            except RequestError as error:
                shown = error.error or execution_failed()
                failure: Failure | None = Failure(error.outcome, error.reason, shown)
            else:
                failure = await self.failure(run, resolved_target, response)
            outcome = Outcome.ACCEPTED if failure is None else failure.outcome
            observation.outcome = outcome
        call = TargetCall(
            resolved_target.target.id,
            outcome,
            observation.duration,
            failure.reason if failure else "",
        )
        self._log_call(run, call, outcome, observation.trace)
        return call, failure

    async def _send(
        self,
        run: PipelineRun,
        resolved_target: ResolvedTarget,
        deadline: float,
        trace: TraceContext | None,
    ) -> Response:
        seconds = deadline - asyncio.get_running_loop().time()
        if seconds <= 0:
            reason = "the caller's time was over before it was this target's turn"
            raise RequestError(Outcome.UNREACHABLE, Stage.BUILD, reason)
        body = self._render(run)
        target, limit = resolved_target.target, resolved_target.policy.max_concurrency
        async with self.bulkheads.acquire(run.instance, target.id, limit, seconds):
            return await self.target_client.send(
                resolved_target,
                body,
                message_id=str(self.runtime.new_id()),
                now=self.runtime.now(),
                trace=trace,
                deadline=deadline,
            )

    def _render(self, run: PipelineRun) -> bytes:
        try:
            return run.payload.render()
        except Exception as bug:
            # What a response left behind: message types may be the application's own code.
            self.log.exception("interception.internal_error")
            reason = f"the message could not be rendered: {type(bug).__name__}"
            raise RequestBuildError(reason) from None

    def _apply(
        self, run: PipelineRun, resolved_target: ResolvedTarget, response: Response
    ) -> Failure | None:
        """Apply a response that counts; return why it could not be applied."""
        if resolved_target.target.type is not TargetType.REST_CALL:
            return None
        try:
            run.payload.apply(response.body)
        except InvalidResponse as invalid:
            return Failure(Outcome.FAILED, invalid.reason, run.invalid_response(invalid))
        except Exception as bug:
            self.log.exception("interception.internal_error")
            reason = f"the answer could not be applied: {type(bug).__name__}"
            return Failure(Outcome.FAILED, reason, execution_failed())
        return None

    def _observe(self, run: PipelineRun, resolved_target: ResolvedTarget) -> _Observation:
        tracing = self.tracing or TracePropagator(self.runtime.new_id)
        attributes = {
            "outrider.target.id": resolved_target.target.id,
            "outrider.execution": run.execution,
        }
        span = tracing.span("call target", "client", run.trace, attributes)
        return _Observation(self.metrics, span)

    def _log_call(
        self, run: PipelineRun, call: TargetCall, outcome: Outcome, trace: TraceContext | None
    ) -> None:
        report = self.log.debug if outcome is Outcome.ACCEPTED else self.log.info
        report(
            "interception.called",
            interception_id=run.id,
            instance=run.instance,
            execution=run.execution,
            target=call.target_id,
            outcome=outcome.name.lower(),
            ms=round(call.duration.total_seconds() * 1000, 3),
            error=call.error,
            **({} if trace is None else {"trace": trace.trace_id, "span": trace.span_id}),
        )


def _over_bounds(target: Target, response: Response) -> Failure | None:
    """Return the failure of an answer that would be applied, and would take long to read.

    Before anything looks into it: its receiver decides how large it is, and all others wait.
    """
    if target.type is not TargetType.REST_CALL or not response.is_success:
        return None
    reason = ""
    if len(response.body) > MAX_APPLIED_BYTES:
        reason = f"the answer is larger than {MAX_APPLIED_BYTES // 2**20} MiB"
    try:
        check_values(response.body)
    except ValueError as problem:
        reason = reason or f"the answer cannot be read: {problem}"
    return Failure(Outcome.FAILED, reason, execution_failed()) if reason else None


def _rejection(
    run: PipelineRun, resolved_target: ResolvedTarget, response: Response
) -> Failure | None:
    """Return why the target did not accept; None when it did."""
    is_applied = resolved_target.target.type is TargetType.REST_CALL
    read_error = partial(run.payload.forwarded_error, is_applied=is_applied)
    try:
        classification = classify_response(response, read_error)
    except InvalidResponse as invalid:
        return Failure(Outcome.FAILED, invalid.reason, run.invalid_response(invalid))
    if classification.outcome is Outcome.ACCEPTED:
        return None
    forwarded = classification.forwarded
    error = execution_failed() if forwarded is None else forwarded_failure(forwarded)
    return Failure(classification.outcome, classification.error, error)
