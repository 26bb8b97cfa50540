"""Sample calls: an operator tries a target out. Once, now, and marked as a test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from outrider.domain.access.permission import Actor
from outrider.domain.calls.request import RequestError
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.delivery.delivery import Attempt
from outrider.domain.formats import go_json
from outrider.domain.ids import ExecutionId, InstanceId, TargetId
from outrider.domain.interception.decision import execution_failed, interrupts
from outrider.domain.interception.response_check import MessageSchema
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from outrider.domain.routing.condition import Condition, ConditionKind, Scope, condition_from_id
from outrider.domain.targets.target import target_not_found
from outrider.errors import InvalidRequest, OutriderError
from outrider.runtime import Runtime
from outrider.usecases.interception.intercept import invalid_response_error
from outrider.usecases.interception.target_chain import Failure, PipelineRun, TargetChain
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.routing.method_schemas import MethodSchemas
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.routing.target_cache import load_resolved_targets
from outrider.usecases.targets.sample_payload import method_of, payload_of, sample_body

_ENTRY_KINDS = {
    ConditionKind.REQUEST: EntryKind.METHOD,
    ConditionKind.RESPONSE: EntryKind.METHOD,
    ConditionKind.FUNCTION: EntryKind.FUNCTION,
    ConditionKind.EVENT: EntryKind.EVENT_TYPE,
}


@dataclass(frozen=True, slots=True)
class SampleCallResult:
    """The result of a sample call, and the body before it was signed or encrypted.

    `attempt` says what a real call would: a response that cannot be applied is a failure.
    `execution` is the one that the call was a sample of, None when none has the target.
    `caller_error` is what the caller of an interception would get; None: no error.
    """

    attempt: Attempt
    body: bytes = field(repr=False)
    execution: ExecutionId | None = None
    caller_error: OutriderError | None = None


@dataclass(frozen=True, slots=True)
class TestTarget:
    """Call a target once. The delivery log does not show it, and nothing is tried again."""

    # The name is the RPC's; nothing here is for pytest to collect.
    __test__ = False

    store: Store
    runtime: Runtime
    routing: Routing
    chain: TargetChain
    schemas: MethodSchemas | None = None

    async def __call__(
        self, actor: Actor, target_id: TargetId, payload: Mapping[str, object] | str | None
    ) -> SampleCallResult:
        """Send `payload`, or a sample of what the target gets from its first execution.

        `payload` may be the text of a JSON object, whose numbers stay as they are written. The
        response is applied as that execution would apply it.
        Raise `NotFound` for another instance's target, as for no target.
        """
        instance = actor.instance_id
        condition = self._condition(instance, target_id)
        resolved_target, entry = await self.store.read(
            lambda unit: _load(unit, instance, target_id, condition)
        )
        now = self.runtime.now()
        body = (
            self._sample(instance, condition, entry, int(now.timestamp()) * 1_000_000_000)
            if payload is None
            else _render(payload)
        )
        run = None
        if condition is not None and _is_called(condition, resolved_target):
            run = await self._run(instance, resolved_target, condition, body)
        attempt, failure = await self._attempt(resolved_target, run, body, now)
        target = resolved_target.target
        is_stopped = failure and interrupts(target, resolved_target.policy, failure.outcome)
        return SampleCallResult(
            attempt,
            body,
            None if condition is None else condition.execution_id,
            failure.error if failure and is_stopped else None,
        )

    def _sample(
        self, instance: InstanceId, condition: Condition | None, entry: Entry | None, now_ns: int
    ) -> bytes:
        """A body with what the catalogue says of the condition, else with ZITADEL's own messages."""
        request = entry.example_json if entry else None
        response = entry.response_example_json if entry else None
        has_none = request is None and response is None
        if has_none and self.schemas and condition and condition.scope is Scope.METHOD:
            request = self.schemas.example(condition.value, ConditionKind.REQUEST)
            response = self.schemas.example(condition.value, ConditionKind.RESPONSE)
        return sample_body(condition, request, instance, now_ns, response)

    def _condition(self, instance: InstanceId, target_id: TargetId) -> Condition | None:
        routes = self.routing.routes(instance).targets
        bound = (
            execution
            for execution, targets in routes.items()
            if any(target.id == target_id for target in targets)
        )
        first = min(bound, default=None)
        return None if first is None else condition_from_id(first)

    async def _attempt(
        self,
        resolved_target: ResolvedTarget,
        run: PipelineRun | None,
        body: bytes,
        started_at: datetime,
    ) -> tuple[Attempt, Failure | None]:
        """Return the attempt, and why the run of an interception would not accept it."""
        clock = time.perf_counter()
        try:
            response = await self.chain.target_client.send(
                resolved_target,
                body,
                message_id=str(self.runtime.new_id()),
                now=started_at,
                is_test=True,
            )
        except RequestError as error:
            attempt = Attempt.from_failure(1, started_at, _since(clock), error)
            shown = Failure(error.outcome, error.reason, error.error or execution_failed())
            return attempt, shown if run else None
        attempt = Attempt.from_response(1, started_at, _since(clock), response)
        failure = await self.chain.failure(run, resolved_target, response) if run else None
        if failure is not None:
            attempt = replace(attempt, outcome=failure.outcome, error=failure.reason)
        return attempt, failure

    async def _run(
        self,
        instance: InstanceId,
        resolved_target: ResolvedTarget,
        condition: Condition,
        body: bytes,
    ) -> PipelineRun:
        return PipelineRun(
            id=str(self.runtime.new_id()),
            instance=instance,
            execution=condition.execution_id,
            payload=payload_of(condition, body, instance, await self._schema(instance, condition)),
            resolved_targets=(resolved_target,),
            budget=0,
            invalid_response=invalid_response_error(condition.kind),
            enqueue=_no_delivery,
        )

    async def _schema(self, instance: InstanceId, condition: Condition) -> MessageSchema | None:
        if self.schemas is None or condition.kind is ConditionKind.FUNCTION:
            return None
        return await self.schemas.of(instance, method_of(condition), condition.kind)


def _is_called(condition: Condition, resolved_target: ResolvedTarget) -> bool:
    """Return whether a caller waits for the target's response."""
    return condition.kind is not ConditionKind.EVENT and resolved_target.target.is_awaited


def _no_delivery(target_id: TargetId, body: bytes) -> None:
    """A sample call makes no delivery."""


def _load(
    unit: Unit, instance: InstanceId, target_id: TargetId, condition: Condition | None
) -> tuple[ResolvedTarget, Entry | None]:
    resolved_target = load_resolved_targets(unit, [(instance, target_id)]).get(
        (instance, target_id)
    )
    if resolved_target is None:
        raise target_not_found(target_id)
    if condition is None or condition.scope not in {Scope.METHOD, Scope.NAME, Scope.EVENT}:
        return resolved_target, None
    name = EntryName(condition.value, _ENTRY_KINDS[condition.kind])
    entries = unit.catalogue.get_many(instance, [name])
    return resolved_target, entries[0] if entries else None


def _render(payload: Mapping[str, object] | str) -> bytes:
    if isinstance(payload, str):
        return go_json.compact(payload).encode()
    try:
        return go_json.dumps(payload).encode()
    except (ValueError, RecursionError) as failure:
        raise InvalidRequest(
            f"invalid TestTargetRequest.Payload: value must be JSON: {failure}"
        ) from None


def _since(clock: float) -> timedelta:
    return timedelta(seconds=time.perf_counter() - clock)
