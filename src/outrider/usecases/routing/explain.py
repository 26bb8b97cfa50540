"""Which execution would fire, and why: asked of the router that really routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.access.permission import Actor
from outrider.domain.calls.resolved_target import ResolvedTarget, takes_public_keys, takes_web_key
from outrider.domain.ids import ExecutionId, InstanceId, TargetId
from outrider.domain.interception.function import function_lookup_id
from outrider.domain.interception.payload import is_exempt, method_lookup_id
from outrider.domain.routing.condition import ConditionKind, event_lookup_id
from outrider.domain.routing.router import Candidate
from outrider.domain.targets.policy import StoredPolicy
from outrider.domain.targets.public_key import encryption_key
from outrider.domain.targets.target import TargetType
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.ports.targets import RoutedTarget
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.routing.target_cache import load_resolved_targets


@dataclass(frozen=True, slots=True)
class ExplainQuery:
    """What is asked about: a method spelled `/package.Service/Method`, a function or an event type."""

    kind: ConditionKind
    name: str


@dataclass(frozen=True, slots=True)
class ExplainedTarget:
    """A target of the execution that fires. `reason` is a sentence for operators."""

    target_id: TargetId
    name: str
    will_call: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`matched` is None when nothing fires; candidates begin with the one that does."""

    matched: ExecutionId | None
    candidates: Sequence[Candidate]
    targets: Sequence[ExplainedTarget]


@dataclass(frozen=True, slots=True)
class Explain:
    """Say what would happen. Nothing is called and nothing is written."""

    store: Store
    runtime: Runtime
    routing: Routing

    async def __call__(self, actor: Actor, asked: ExplainQuery) -> Explanation:
        """Return the execution that fires, those that lost, and its targets in calling order."""
        instance = actor.instance_id
        routes = self.routing.routes(instance)
        lookup_id = _lookup_id(asked)
        candidates = routes.router.candidates(lookup_id)
        if _never_triggers(asked):
            return Explanation(None, [_exempt(candidate) for candidate in candidates], ())
        matched, targets = routes.match(lookup_id)
        if matched is None:
            return Explanation(None, (), ())
        explained = await self.store.read(
            lambda unit: self._targets(unit, instance, asked, targets)
        )
        return Explanation(matched, candidates, explained)

    def _targets(
        self, unit: Unit, instance: InstanceId, asked: ExplainQuery, targets: Sequence[RoutedTarget]
    ) -> list[ExplainedTarget]:
        wanted = [(instance, target.id) for target in targets]
        resolved_targets, stored = (
            load_resolved_targets(unit, wanted),
            unit.policies.get_many(wanted),
        )
        now = self.runtime.now()
        return [
            _explained(resolved_targets[name], stored.get(name), asked, now)
            for name in wanted
            if name in resolved_targets
        ]


def _lookup_id(asked: ExplainQuery) -> ExecutionId:
    if asked.kind is ConditionKind.EVENT:
        return event_lookup_id(asked.name)
    if asked.kind is ConditionKind.FUNCTION:
        return function_lookup_id(asked.name)
    return method_lookup_id(asked.kind, asked.name)


def _never_triggers(asked: ExplainQuery) -> bool:
    is_call = asked.kind in {ConditionKind.REQUEST, ConditionKind.RESPONSE}
    return is_call and is_exempt(asked.name)


def _exempt(candidate: Candidate) -> Candidate:
    reason = "not chosen: calls of this service never trigger, so that nobody locks himself out"
    return Candidate(candidate.execution_id, reason)


def _explained(
    resolved_target: ResolvedTarget, stored: StoredPolicy | None, asked: ExplainQuery, now: datetime
) -> ExplainedTarget:
    target = resolved_target.target
    obstacle = _build_failed(resolved_target, now)
    is_delivery = asked.kind is ConditionKind.EVENT or not target.is_awaited
    if obstacle is None and is_delivery and stored is not None:
        obstacle = _held(stored)
    reason = obstacle or (
        _delivery_reason(resolved_target) if is_delivery else _call_reason(resolved_target)
    )
    return ExplainedTarget(target.id, target.name, obstacle is None, reason)


def _held(stored: StoredPolicy) -> str | None:
    if stored.paused_at is not None:
        return "the target is paused: its deliveries wait"
    if stored.breaker_open_until is not None:
        until = f"{stored.breaker_open_until:%Y-%m-%dT%H:%M:%SZ}"
        return f"the target's breaker is open until {until}, then one call at a time tries it"
    return None


def _build_failed(resolved_target: ResolvedTarget, now: datetime) -> str | None:
    target = resolved_target.target
    if takes_web_key(target) and resolved_target.web_key is None:
        return "nothing can be sent: the instance has no active web key"
    if takes_public_keys(target) and encryption_key(list(resolved_target.public_keys), now) is None:
        return "nothing can be sent: the target has no active public key that has not expired"
    return None


def _delivery_reason(resolved_target: ResolvedTarget) -> str:
    if resolved_target.target.type is TargetType.REST_ASYNC:
        return "delivered, and tried again until it answers; nobody waits for it"
    held = "; those behind it wait for that" if resolved_target.target.interrupt_on_error else ""
    return f"delivered, and tried again until it accepts{held}"


def _call_reason(resolved_target: ResolvedTarget) -> str:
    target = resolved_target.target
    is_replaced = target.type is TargetType.REST_CALL
    effect = "its answer replaces the message" if is_replaced else "its answer's body is ignored"
    refusal = "stops the call" if target.interrupt_on_error else "is ignored"
    silence = (
        "stops it"
        if resolved_target.policy.may_interrupt(target.interrupt_on_error)
        else "is ignored"
    )
    seconds = f"{target.timeout.total_seconds():g}"
    return (
        f"called, for up to {seconds} s: {effect}; an error that it answers {refusal}, no answer"
        f" {silence}"
    )
