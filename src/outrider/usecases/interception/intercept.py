"""Interceptions: pass a request, a response or a function to its targets while the caller waits.

There is no queue and no retry. Only the calls of `rest_async` targets become deliveries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from outrider.domain.calls.trace import trace_from_headers
from outrider.domain.ids import ExecutionId, InstanceId
from outrider.domain.interception.decision import execution_failed, may_interrupt, not_json
from outrider.domain.interception.function import FunctionPayload, function_lookup_id
from outrider.domain.interception.message import (
    JSON_OBJECTS,
    JSON_TEXTS,
    InvalidResponse,
    JsonObject,
    MessageType,
)
from outrider.domain.interception.payload import (
    InterceptedCall,
    InterceptionPayload,
    is_exempt,
    method_lookup_id,
)
from outrider.domain.interception.response_check import MessageSchema
from outrider.domain.routing.condition import ConditionKind
from outrider.errors import InvalidRequest, OutriderError
from outrider.usecases.interception.enqueuer import DeliveryEnqueuer
from outrider.usecases.interception.target_chain import (
    PipelineRun,
    TargetCall,
    TargetChain,
    TargetPayload,
)
from outrider.usecases.ports.targets import RoutedTarget
from outrider.usecases.ports.tracing import current_trace
from outrider.usecases.routing.method_schemas import MethodSchemas
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.routing.target_cache import ResolvedTargetCache

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class InterceptionResult(Generic[M]):
    """A message as the targets left it, or the result of a function.

    `execution` is the one that matched; None: none did, and `message` is what it was.
    `interception_id` is what the lines in the log have that say how the targets were called; empty
    when none was.
    """

    message: M
    execution: ExecutionId | None = None
    calls: tuple[TargetCall, ...] = ()
    interception_id: str = ""


@dataclass(frozen=True, slots=True)
class MatchedExecution:
    """The execution that routing found for a call, and its targets."""

    instance: InstanceId
    lookup_id: ExecutionId
    execution: ExecutionId
    targets: tuple[RoutedTarget, ...]


@dataclass(frozen=True, slots=True)
class Interceptions:
    """Runs calls through their targets. Every method raises the error of a target that interrupts.

    `seconds` bounds one run, whatever the targets' own time-outs; None is `longest`. Answers are
    checked against `schemas`; without them every method is unknown.
    """

    routing: Routing
    resolved_targets: ResolvedTargetCache
    chain: TargetChain
    enqueuer: DeliveryEnqueuer
    longest: float
    schemas: MethodSchemas | None = None

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
        matched = self._match_method(instance, ConditionKind.REQUEST, call)
        if matched is None:
            self._unmatched("request")
            return InterceptionResult(message)
        schema = await self._schema(instance, ConditionKind.REQUEST, call)
        payload = InterceptionPayload(call, instance, type_, message, schema=schema)
        calls, run_id = await self._run(matched, payload, _invalid_response, seconds, call)
        return InterceptionResult(payload.message, matched.execution, calls, run_id)

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
        matched = self._match_method(instance, ConditionKind.RESPONSE, call)
        if matched is None:
            self._unmatched("response")
            return InterceptionResult(message)
        schema = await self._schema(instance, ConditionKind.RESPONSE, call)
        payload = InterceptionPayload(call, instance, type_, message, request, schema)
        calls, run_id = await self._run(matched, payload, _invalid_response, seconds, call)
        return InterceptionResult(payload.message, matched.execution, calls, run_id)

    async def is_guarded(self, instance: InstanceId, kind: ConditionKind, full_method: str) -> bool:
        """Whether a target that may interrupt is to see the request or response of a method."""
        matched = self._match_method(instance, kind, InterceptedCall(full_method=full_method))
        if matched is None:
            return False
        targets = await self.resolved_targets.of(matched.instance, matched.targets)
        return any(may_interrupt(resolved.target, resolved.policy) for resolved in targets)

    async def function(
        self,
        instance: InstanceId,
        function: str,
        payload: Mapping[str, object] | str,
        *,
        seconds: float | None = None,
    ) -> InterceptionResult[JsonObject]:
        """Call a function: return the result that the responses of its targets add up to.

        `payload` may be the text of a JSON object; the numbers of the result are `Number`, then.
        """
        matched = self._match(instance, function_lookup_id(function))
        if matched is None:
            self._unmatched("function")
            return InterceptionResult({})
        run_payload = FunctionPayload(function, payload)
        calls, run_id = await self._run(matched, run_payload, _invalid_function_response, seconds)
        return InterceptionResult(run_payload.result, matched.execution, calls, run_id)

    def _match_method(
        self, instance: InstanceId, kind: ConditionKind, call: InterceptedCall
    ) -> MatchedExecution | None:
        matched = self._match(instance, method_lookup_id(kind, call.full_method))
        # Few calls match anything: only those are checked for an exemption.
        return None if matched is None or is_exempt(call.full_method) else matched

    async def _schema(
        self, instance: InstanceId, kind: ConditionKind, call: InterceptedCall
    ) -> MessageSchema | None:
        if self.schemas is None:
            return None
        return await self.schemas.of(instance, call.full_method, kind)

    def _match(self, instance: InstanceId, lookup_id: ExecutionId) -> MatchedExecution | None:
        execution, targets = self.routing.routes(instance).match(lookup_id)
        return (
            None if execution is None else MatchedExecution(instance, lookup_id, execution, targets)
        )

    async def _run(
        self,
        matched: MatchedExecution,
        payload: TargetPayload,
        invalid_response: Callable[[InvalidResponse], OutriderError],
        seconds: float | None,
        call: InterceptedCall | None = None,
    ) -> tuple[tuple[TargetCall, ...], str]:
        """Return the calls, and the id that the log has them under; empty without calls."""
        clock = asyncio.get_running_loop().time
        # The time to load the targets is a part of the budget.
        deadline = clock() + (self.longest if seconds is None else min(seconds, self.longest))
        _check_renders(payload)
        resolved_targets = await self.resolved_targets.of(matched.instance, matched.targets)
        trace = current_trace() or (trace_from_headers(call.headers) if call else None)
        run = PipelineRun(
            id=str(self.chain.runtime.new_id()),
            instance=matched.instance,
            execution=matched.execution,
            payload=payload,
            resolved_targets=resolved_targets,
            budget=deadline - clock(),
            invalid_response=invalid_response,
            enqueue=partial(
                self.enqueuer.enqueue,
                matched.instance,
                matched.execution,
                matched.lookup_id,
                trace="" if trace is None else trace.text,
            ),
            trace=trace,
        )
        calls = await self._run_counted(run, matched.lookup_id.partition("/")[0])
        return calls, run.id if calls else ""

    async def _run_counted(self, run: PipelineRun, kind: str) -> tuple[TargetCall, ...]:
        try:
            calls = await self.chain(run)
        except OutriderError:
            self.chain.metrics.intercepted(kind, "interrupted")
            raise
        self.chain.metrics.intercepted(kind, "passed")
        return calls

    def _unmatched(self, kind: str) -> None:
        self.chain.metrics.intercepted(kind, "unmatched")


def invalid_response_error(
    kind: ConditionKind,
) -> Callable[[InvalidResponse], OutriderError]:
    """What makes the caller's error of a response that cannot be applied."""
    return _invalid_function_response if kind is ConditionKind.FUNCTION else _invalid_response


def _check_renders(payload: TargetPayload) -> None:
    try:
        payload.render()
    except (TypeError, ValueError, RecursionError) as failure:
        raise InvalidRequest(f"the message must be JSON: {failure}") from None


def json_text(message: JsonObject | str) -> str:
    """Return the message as targets see it; a text must be JSON. Raise `InvalidRequest`."""
    if isinstance(message, str):
        return JSON_TEXTS.render(message)
    try:
        return JSON_OBJECTS.render(message)
    except (TypeError, ValueError, RecursionError) as failure:
        raise InvalidRequest(f"the message must be JSON: {failure}") from None


def _invalid_response(invalid: InvalidResponse) -> OutriderError:  # noqa: ARG001 - functions use it
    return execution_failed()


def _invalid_function_response(invalid: InvalidResponse) -> OutriderError:
    return execution_failed() if invalid.is_json else not_json()
