"""Way 3: a request, a response or a function runs through its targets while its caller waits.

No queue: what fails is not tried again. Only the calls of `rest_async` targets, which nobody waits
for, become deliveries like an event's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from outrider.domain.calls.trace import trace_from_headers
from outrider.domain.ids import ExecutionId, InstanceId
from outrider.domain.interception.decision import execution_failed, not_json
from outrider.domain.interception.function import FunctionAnswers, function_lookup_id
from outrider.domain.interception.message import (
    JSON_OBJECTS,
    InvalidResponse,
    JsonObject,
    MessageType,
    Replaceable,
)
from outrider.domain.interception.payload import (
    InterceptedCall,
    RenderedOnce,
    RequestSubject,
    ResponseSubject,
    Subject,
    is_exempt,
    method_lookup_id,
)
from outrider.domain.routing.condition import ConditionKind
from outrider.errors import InvalidRequest, OutriderError
from outrider.usecases.interception.enqueuer import DeliveryEnqueuer
from outrider.usecases.interception.target_chain import PipelineRun, TargetCall, TargetChain
from outrider.usecases.ports.targets import RoutedTarget
from outrider.usecases.ports.tracing import current_trace
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.routing.target_cache import ResolvedTargetCache

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class InterceptionResult(Generic[M]):
    """A message as the targets left it, or the answer of a function.

    `execution` is the one that fired; None: none did, and `message` is what it was.
    """

    message: M
    execution: ExecutionId | None = None
    calls: tuple[TargetCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Interceptions:
    """Run the targets of a call. Every method raises the error of a target that interrupts.

    `seconds` bounds one run, whatever the targets' own time-outs; None is `longest`.
    """

    routing: Routing
    resolved_targets: ResolvedTargetCache
    chain: TargetChain
    enqueuer: DeliveryEnqueuer
    longest: float

    async def request(
        self,
        instance: InstanceId,
        call: InterceptedCall,
        message: M,
        type_: MessageType[M],
        *,
        seconds: float | None = None,
    ) -> InterceptionResult[M]:
        """Before the application handles a request: return the request to handle."""
        fired = self._fired(instance, ConditionKind.REQUEST, call)
        if fired is None:
            self._unmatched("request")
            return InterceptionResult(message)
        held = Replaceable(type_, message)
        subject = RequestSubject(call, instance, held)
        calls = await self._run(fired, subject, _invalid_response, seconds, call)
        return InterceptionResult(held.value, fired.execution, calls)

    async def response(
        self,
        instance: InstanceId,
        call: InterceptedCall,
        message: M,
        type_: MessageType[M],
        *,
        request: str,
        seconds: float | None = None,
    ) -> InterceptionResult[M]:
        """Before the application sends a response: return the response to send.

        `request` is compact JSON, escaped as Go does (`MessageType.render`).
        """
        fired = self._fired(instance, ConditionKind.RESPONSE, call)
        if fired is None:
            self._unmatched("response")
            return InterceptionResult(message)
        held = Replaceable(type_, message)
        subject = ResponseSubject(call, instance, request, held)
        calls = await self._run(fired, subject, _invalid_response, seconds, call)
        return InterceptionResult(held.value, fired.execution, calls)

    async def function(
        self,
        instance: InstanceId,
        function: str,
        payload: Mapping[str, object],
        *,
        seconds: float | None = None,
    ) -> InterceptionResult[JsonObject]:
        """Call a function: return what the answers of its targets add up to."""
        fired = self._matched(instance, function_lookup_id(function))
        if fired is None:
            self._unmatched("function")
            return InterceptionResult({})
        subject = FunctionAnswers(function, payload)
        calls = await self._run(fired, subject, _invalid_function_response, seconds)
        return InterceptionResult(subject.answer, fired.execution, calls)

    def _fired(
        self, instance: InstanceId, kind: ConditionKind, call: InterceptedCall
    ) -> MatchedExecution | None:
        fired = self._matched(instance, method_lookup_id(kind, call.full_method))
        # Few calls match anything: only those are looked at more closely.
        return None if fired is None or is_exempt(call.full_method) else fired

    def _matched(self, instance: InstanceId, lookup_id: ExecutionId) -> MatchedExecution | None:
        execution, targets = self.routing.routes(instance).match(lookup_id)
        return (
            None if execution is None else MatchedExecution(instance, lookup_id, execution, targets)
        )

    async def _run(
        self,
        fired: MatchedExecution,
        subject: Subject,
        invalid_response: Callable[[InvalidResponse], OutriderError],
        seconds: float | None,
        call: InterceptedCall | None = None,
    ) -> tuple[TargetCall, ...]:
        clock = asyncio.get_running_loop().time
        # From here on: to load the targets is a part of the caller's time.
        until = clock() + (self.longest if seconds is None else min(seconds, self.longest))
        rendered = RenderedOnce(subject)
        _check_renders(rendered)
        resolved_targets = await self.resolved_targets.of(fired.instance, fired.targets)
        trace = current_trace() or (trace_from_headers(call.headers) if call else None)
        run = PipelineRun(
            instance=fired.instance,
            execution=fired.execution,
            subject=rendered,
            resolved_targets=resolved_targets,
            budget=until - clock(),
            invalid_response=invalid_response,
            enqueuer=partial(
                self.enqueuer.take,
                fired.instance,
                fired.execution,
                fired.lookup_id,
                trace="" if trace is None else trace.text,
            ),
            trace=trace,
        )
        return await self._counted(run, fired.lookup_id.partition("/")[0])

    async def _counted(self, run: PipelineRun, kind: str) -> tuple[TargetCall, ...]:
        try:
            calls = await self.chain(run)
        except OutriderError:
            self.chain.metrics.intercepted(kind, "interrupted")
            raise
        self.chain.metrics.intercepted(kind, "passed")
        return calls

    def _unmatched(self, kind: str) -> None:
        self.chain.metrics.intercepted(kind, "unmatched")


@dataclass(frozen=True, slots=True)
class MatchedExecution:
    """The execution that routing found for a call, and its targets."""

    instance: InstanceId
    lookup_id: ExecutionId
    execution: ExecutionId
    targets: tuple[RoutedTarget, ...]


def _check_renders(subject: Subject) -> None:
    try:
        subject.render()
    except (TypeError, ValueError, RecursionError) as failure:
        raise InvalidRequest(f"the message must be JSON: {failure}") from None


def json_text(message: JsonObject) -> str:
    """Return the message as targets see it. Raise `InvalidRequest` for what is not JSON."""
    try:
        return JSON_OBJECTS.render(message)
    except (TypeError, ValueError, RecursionError) as failure:
        raise InvalidRequest(f"the message must be JSON: {failure}") from None


def _invalid_response(invalid_response: InvalidResponse) -> OutriderError:  # noqa: ARG001 - functions look at it
    return execution_failed()


def _invalid_function_response(invalid_response: InvalidResponse) -> OutriderError:
    return execution_failed() if invalid_response.is_json else not_json()
