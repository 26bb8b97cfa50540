"""Write operator events about dead deliveries, pauses and breakers, in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from outrider.domain.delivery.circuit_breaker import BreakerChange
from outrider.domain.delivery.delivery import DeliveryState, Settlement, plan_deliveries
from outrider.domain.events.event import render_body
from outrider.domain.events.operator_event import OperatorEvent, is_own, operator_event
from outrider.domain.ids import DeliveryId, EventId, ExecutionId, InstanceId, TargetId
from outrider.domain.routing.condition import event_lookup_id
from outrider.domain.routing.router import Router
from outrider.runtime import Runtime
from outrider.usecases.ports.deliveries import NotableSettlement, StoredEvent
from outrider.usecases.ports.store import Unit
from outrider.usecases.ports.targets import RoutedTarget

_Route = tuple[ExecutionId | None, Sequence[RoutedTarget]]
_GONE = "gone"
REQUESTED = "requested"
"""Why a target was paused: its receiver answered 410, or a caller asked for it."""
_BREAKER_EVENTS = {
    BreakerChange.OPENED: OperatorEvent.BREAKER_OPENED,
    BreakerChange.CLOSED: OperatorEvent.BREAKER_CLOSED,
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many settlements were written; `rest` is for another transaction, as this one is full."""

    count: int
    rest: Sequence[Settlement]


def record_and_notify(
    unit: Unit, runtime: Runtime, owner: str, settlements: Sequence[Settlement], now: datetime
) -> Recorded:
    """Settle, pause targets that are gone, publish operator events, as many as one unit can hold."""
    routes = _Routes(unit)
    settled = unit.deliveries.settle(owner, settlements, now, routes.weight)
    for notable in settled.notable:
        _react(routes, runtime, notable, now)
    return Recorded(settled.count, settled.rest)


def publish_operator_event(  # noqa: PLR0917 - where, about what, when
    unit: Unit,
    runtime: Runtime,
    instance: InstanceId,
    event_type: OperatorEvent,
    aggregate_id: str,
    payload: Mapping[str, object],
    now: datetime,
) -> None:
    """Write the event with its deliveries. When no execution matches it, nothing is written."""
    _publish(_Routes(unit), runtime, instance, event_type, aggregate_id, payload, now)


def _publish(  # noqa: PLR0917 - as above
    routes: _Routes,
    runtime: Runtime,
    instance: InstanceId,
    event_type: OperatorEvent,
    aggregate_id: str,
    payload: Mapping[str, object],
    now: datetime,
    hops: int = 0,
) -> None:
    execution, targets = routes.of(instance, event_type)
    if not targets:
        return
    event_id = EventId(str(runtime.new_id()))
    event = operator_event(event_id, event_type, aggregate_id, payload, now, hops=hops)
    plan = plan_deliveries(
        [(DeliveryId(str(runtime.new_id())), target.id, target.is_awaited) for target in targets]
    )
    stored = StoredEvent(event, render_body(event, instance), execution, plan)
    routes.unit.events.append(instance, [stored], now)


@dataclass(slots=True)
class _Routes:
    """The targets of operator events, by the router that all events go through.

    Only the executions that could match are read, in the transaction, once for each type.
    """

    unit: Unit
    _known: dict[tuple[InstanceId, OperatorEvent], _Route] = field(default_factory=dict)

    def weight(
        self,
        instance: InstanceId,
        settlement: Settlement,
        has_breaker: bool,  # noqa: FBT001 - a `Weigh`
    ) -> int:
        """How many deliveries of operator events this settlement may lead to."""
        if settlement.state is DeliveryState.DEAD:
            event_types = [OperatorEvent.DELIVERY_DEAD]
            if settlement.pauses_target:
                event_types.append(OperatorEvent.TARGET_PAUSED)
        else:
            event_types = []
        if has_breaker:
            event_types += _BREAKER_EVENTS.values()
        return sum(len(self.of(instance, event_type)[1]) for event_type in event_types)

    def of(self, instance: InstanceId, event_type: OperatorEvent) -> _Route:
        """The execution that matches, None for none, and its targets."""
        found = self._known.get((instance, event_type))
        if found is None:
            found = self._known[instance, event_type] = _route(self.unit, instance, event_type)
        return found


def _react(routes: _Routes, runtime: Runtime, notable: NotableSettlement, now: datetime) -> None:
    # Without loops: what becomes of an operator event's own delivery is in the log alone.
    is_reported = not is_own(notable.event_type)
    publish = partial(_publish, routes, runtime, notable.instance_id, now=now, hops=notable.hops)
    if is_reported and notable.settlement.state is DeliveryState.DEAD:
        payload = _death_payload(notable)
        delivery = notable.settlement.delivery_id
        publish(OperatorEvent.DELIVERY_DEAD, delivery, payload)
    about = {"targetId": notable.target_id, "deliveryId": notable.settlement.delivery_id}
    if notable.settlement.pauses_target and _pause(
        routes.unit, notable.instance_id, notable.target_id, now
    ):
        payload = {**about, "reason": _GONE}
        if is_reported:
            paused = OperatorEvent.TARGET_PAUSED
            publish(paused, notable.target_id, payload)
    if is_reported and notable.breaker is not None:
        event_type = _BREAKER_EVENTS[notable.breaker]
        publish(event_type, notable.target_id, about)


def _pause(unit: Unit, instance: InstanceId, target: TargetId, now: datetime) -> bool:
    """Whether it goes from not paused to paused by this."""
    if unit.targets.get(instance, target) is None:
        return False
    stored = unit.policies.get(instance, target)
    if stored is not None and stored.paused_at is not None:
        return False
    unit.policies.pause(instance, target, now)
    return True


def _death_payload(notable: NotableSettlement) -> Mapping[str, object]:
    attempt = notable.settlement.attempt
    return {
        "deliveryId": notable.settlement.delivery_id,
        "targetId": notable.target_id,
        "eventId": notable.event_id,
        "eventType": notable.event_type,
        "attempts": None if attempt is None else attempt.number,
        "outcome": None if attempt is None else attempt.outcome.name,
        "statusCode": attempt.status_code or None if attempt is not None else None,
        "error": attempt.error or None if attempt is not None else None,
    }


def _route(unit: Unit, instance: InstanceId, event_type: OperatorEvent) -> _Route:
    lookup_id = event_lookup_id(event_type)
    prefixes = [lookup_id[:length] for length in range(len("event"), len(lookup_id) + 1)]
    possible = [ExecutionId(prefix + ending) for prefix in prefixes for ending in ("", ".*")]
    lists: dict[ExecutionId, list[TargetId]] = {}
    for execution_id in unit.executions.existing(instance, possible):
        found = unit.executions.get(instance, execution_id)
        if found is not None:
            routed = unit.targets.routed(instance, found.targets)
            lists[found.id] = [target for target in found.targets if target in routed]
    match = Router(lists).match(lookup_id)
    if match is None:
        return None, ()
    routed = unit.targets.routed(instance, match.targets)
    return match.execution_id, [routed[target] for target in match.targets]
