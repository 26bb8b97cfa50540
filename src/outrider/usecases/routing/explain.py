"""Explain which execution would match, and why, by the same router that routes calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from outrider.domain.access.permission import Actor
from outrider.domain.calls.resolved_target import ResolvedTarget, takes_public_keys, takes_web_key
from outrider.domain.ids import ExecutionId, InstanceId, TargetId
from outrider.domain.interception.function import function_lookup_id
from outrider.domain.interception.payload import is_exempt, method_lookup_id
from outrider.domain.routing.condition import ConditionKind, event_lookup_id
from outrider.domain.routing.router import Candidate
from outrider.domain.routing.similar_names import has_name, similar_names
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
    """A method spelled `/package.Service/Method`, a function or an event type to explain."""

    kind: ConditionKind
    name: str


@dataclass(frozen=True, slots=True)
class ExplainedTarget:
    """A target of the execution that matched. `reason` is a sentence for operators."""

    target_id: TargetId
    name: str
    will_call: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`matched` is None when no execution does; the candidates begin with the one that does.

    `is_unknown` says that the catalogue does not have the name; `suggestions` are then the names
    that may be meant, the most likely first.
    """

    matched: ExecutionId | None
    candidates: Sequence[Candidate]
    targets: Sequence[ExplainedTarget]
    is_unknown: bool = False
    suggestions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Explain:
    """Explains routing. Nothing is called and nothing is written."""

    store: Store
    runtime: Runtime
    routing: Routing

    async def __call__(self, actor: Actor, query: ExplainQuery) -> Explanation:
        """Return the execution that matches, those that lost, and its targets in calling order."""
        explanation = await self._explanation(actor.instance_id, query)
        catalogue = self.routing.catalogue(actor.instance_id)
        if _never_triggers(query) or has_name(catalogue, query.kind, query.name):
            return explanation
        executions = self.routing.routes(actor.instance_id).targets
        # Thousands of names are compared, which takes milliseconds.
        suggestions = await asyncio.to_thread(
            similar_names, catalogue, executions, query.kind, query.name
        )
        return replace(explanation, is_unknown=True, suggestions=suggestions)

    async def _explanation(self, instance: InstanceId, query: ExplainQuery) -> Explanation:
        routes = self.routing.routes(instance)
        lookup_id = _lookup_id(query)
        candidates = routes.router.candidates(lookup_id)
        if _never_triggers(query):
            return Explanation(None, [_exempt(candidate) for candidate in candidates], ())
        matched, targets = routes.match(lookup_id)
        if matched is None:
            return Explanation(None, (), ())
        explained = await self.store.read(
            lambda unit: self._targets(unit, instance, query, targets)
        )
        return Explanation(matched, candidates, explained)

    def _targets(
        self, unit: Unit, instance: InstanceId, query: ExplainQuery, targets: Sequence[RoutedTarget]
    ) -> list[ExplainedTarget]:
        target_keys = [(instance, target.id) for target in targets]
        resolved_targets = load_resolved_targets(unit, target_keys)
        stored = unit.policies.get_many(target_keys)
        now = self.runtime.now()
        return [
            _explained(resolved_targets[target_key], stored.get(target_key), query, now)
            for target_key in target_keys
            if target_key in resolved_targets
        ]


def _lookup_id(query: ExplainQuery) -> ExecutionId:
    if query.kind is ConditionKind.EVENT:
        return event_lookup_id(query.name)
    if query.kind is ConditionKind.FUNCTION:
        return function_lookup_id(query.name)
    return method_lookup_id(query.kind, query.name)


def _never_triggers(query: ExplainQuery) -> bool:
    is_call = query.kind in {ConditionKind.REQUEST, ConditionKind.RESPONSE}
    return is_call and is_exempt(query.name)


def _exempt(candidate: Candidate) -> Candidate:
    reason = (
        "not chosen: calls of this service never trigger, so that no operator locks himself out"
    )
    return Candidate(candidate.execution_id, reason)


def _explained(
    resolved_target: ResolvedTarget, stored: StoredPolicy | None, query: ExplainQuery, now: datetime
) -> ExplainedTarget:
    target = resolved_target.target
    obstacle = _build_obstacle(resolved_target, now)
    is_delivery = query.kind is ConditionKind.EVENT or not target.is_awaited
    if obstacle is None and is_delivery and stored is not None:
        obstacle = _suspension(stored)
    reason = obstacle or (
        _delivery_reason(resolved_target) if is_delivery else _call_reason(resolved_target)
    )
    return ExplainedTarget(target.id, target.name, obstacle is None, reason)


def _suspension(stored: StoredPolicy) -> str | None:
    if stored.paused_at is not None:
        return "the target is paused: its deliveries wait"
    if stored.breaker_open_until is not None:
        until = f"{stored.breaker_open_until:%Y-%m-%dT%H:%M:%SZ}"
        return f"the target's breaker is open until {until}, then one call at a time tries it"
    return None


def _build_obstacle(resolved_target: ResolvedTarget, now: datetime) -> str | None:
    target = resolved_target.target
    if takes_web_key(target) and resolved_target.web_key is None:
        return "nothing can be sent: the instance has no active web key"
    if takes_public_keys(target) and encryption_key(list(resolved_target.public_keys), now) is None:
        return "nothing can be sent: the target has no active public key that has not expired"
    return None


def _delivery_reason(resolved_target: ResolvedTarget) -> str:
    if resolved_target.target.type is TargetType.REST_ASYNC:
        return "delivered, and tried again until it answers; no caller waits for it"
    interrupts = resolved_target.target.interrupt_on_error
    dependents = "; those behind it wait for that" if interrupts else ""
    return f"delivered, and tried again until it accepts{dependents}"


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
