"""Sample calls: an operator tries a target out. Once, now, and marked as a test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outrider.domain.access.permission import Actor
from outrider.domain.calls.request import RequestError
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.delivery.delivery import Attempt
from outrider.domain.formats import go_json
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.routing.catalogue_entry import EntryKind, EntryName
from outrider.domain.routing.condition import Condition, ConditionKind, Scope, condition_from_id
from outrider.errors import InvalidRequest, NotFound
from outrider.runtime import Runtime
from outrider.usecases.calls.target_client import TargetClient
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.routing.target_cache import load_resolved_targets
from outrider.usecases.targets.sample_payload import sample_body

_ENTRY_KINDS = {
    ConditionKind.REQUEST: EntryKind.METHOD,
    ConditionKind.RESPONSE: EntryKind.METHOD,
    ConditionKind.FUNCTION: EntryKind.FUNCTION,
    ConditionKind.EVENT: EntryKind.EVENT_TYPE,
}


@dataclass(frozen=True, slots=True)
class SampleCallResult:
    """How the call ended, and the body as it was before it was signed or encrypted."""

    attempt: Attempt
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TestTarget:
    """Call a target once. The delivery log does not show it, and nothing is tried again."""

    # The name is the RPC's; nothing here is for pytest to collect.
    __test__ = False

    store: Store
    runtime: Runtime
    routing: Routing
    target_client: TargetClient

    async def __call__(
        self, actor: Actor, target_id: TargetId, payload: Mapping[str, object] | str | None
    ) -> SampleCallResult:
        """Send `payload`, or a sample of what the target gets from its first execution.

        `payload` may be the text of a JSON object, whose numbers stay as they are written.
        Raise `NotFound` for another instance's target, as for no target.
        """
        instance = actor.instance_id
        condition = self._condition(instance, target_id)
        resolved_target, example = await self.store.read(
            lambda unit: _load(unit, instance, target_id, condition)
        )
        now = self.runtime.now()
        body = (
            sample_body(condition, example, instance, int(now.timestamp()) * 1_000_000_000)
            if payload is None
            else _render(payload)
        )
        return SampleCallResult(await self._attempt(resolved_target, body, now), body)

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
        self, resolved_target: ResolvedTarget, body: bytes, started_at: datetime
    ) -> Attempt:
        clock = time.perf_counter()
        message_id = str(self.runtime.new_id())
        try:
            response = await self.target_client.send(
                resolved_target, body, message_id=message_id, now=started_at, is_test=True
            )
        except RequestError as failure:
            return Attempt.from_failure(1, started_at, _since(clock), failure)
        return Attempt.from_response(1, started_at, _since(clock), response)


def _load(
    unit: Unit, instance: InstanceId, target_id: TargetId, condition: Condition | None
) -> tuple[ResolvedTarget, str | None]:
    resolved_target = load_resolved_targets(unit, [(instance, target_id)]).get(
        (instance, target_id)
    )
    if resolved_target is None:
        raise NotFound("Target not found", "QUERY-hj5oaniyrz")
    if condition is None or condition.scope not in {Scope.METHOD, Scope.NAME, Scope.EVENT}:
        return resolved_target, None
    name = EntryName(condition.value, _ENTRY_KINDS[condition.kind])
    entries = unit.catalogue.get_many(instance, [name])
    return resolved_target, entries[0].example_json if entries else None


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
