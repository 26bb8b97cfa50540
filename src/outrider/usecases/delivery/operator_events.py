"""Operator events about deaths, pauses and breakers, in the transaction that makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from outrider.domain.delivery.circuit_breaker import BreakerChange
from outrider.domain.delivery.delivery import DeliveryState, Settlement, plan_deliveries
from outrider.domain.events.event import render_body
from outrider.domain.events.operator_event import OperatorEvent, is_own, operator_event
from outrider.domain.ids import DeliveryId, EventId, ExecutionId, InstanceId, TargetId
from outrider.domain.routing.condition import event_lookup_id
from outrider.domain.routing.router import Router
from outrider.domain.targets.target import Target
from outrider.runtime import Runtime
from outrider.usecases.ports.deliveries import NotableSettlement, StoredEvent
from outrider.usecases.ports.store import Unit

_GONE = "gone"
REQUESTED = "requested"
"""Why a target was paused: its receiver answered 410, or a caller asked for it."""
_BREAKER_EVENTS = {
    BreakerChange.OPENED: OperatorEvent.BREAKER_OPENED,
    BreakerChange.CLOSED: OperatorEvent.BREAKER_CLOSED,
}


def record_and_notify(
    unit: Unit, runtime: Runtime, owner: str, settlements: Sequence[Settlement], now: datetime
) -> int:
    """Settle, pause targets that are gone, publish operator events; return how many were settled."""
    settled = unit.deliveries.settle(owner, settlements, now)
    for notable in settled.notable:
        _react(unit, runtime, notable, now)
    return settled.count


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
    execution, targets = _route(unit, instance, event_type)
    if not targets:
        return
    event_id = EventId(str(runtime.new_id()))
    event = operator_event(event_id, event_type, aggregate_id, payload, now)
    plan = plan_deliveries(
        [(DeliveryId(str(runtime.new_id())), target.id, target.is_awaited) for target in targets]
    )
    stored = StoredEvent(event, render_body(event, instance), execution, plan)
    unit.events.append(instance, [stored], now)


def _react(unit: Unit, runtime: Runtime, notable: NotableSettlement, now: datetime) -> None:
    # Without loops: what becomes of an operator event's own delivery is in the log alone.
    is_reported = not is_own(notable.event_type)
    if is_reported and notable.settlement.state is DeliveryState.DEAD:
        payload = _death_payload(notable)
        delivery = notable.settlement.delivery_id
        publish_operator_event(
            unit, runtime, notable.instance_id, OperatorEvent.DELIVERY_DEAD, delivery, payload, now
        )
    about = {"targetId": notable.target_id, "deliveryId": notable.settlement.delivery_id}
    if notable.settlement.pauses_target and _pause(
        unit, notable.instance_id, notable.target_id, now
    ):
        payload = {**about, "reason": _GONE}
        if is_reported:
            paused = OperatorEvent.TARGET_PAUSED
            publish_operator_event(
                unit, runtime, notable.instance_id, paused, notable.target_id, payload, now
            )
    if is_reported and notable.breaker is not None:
        event_type = _BREAKER_EVENTS[notable.breaker]
        publish_operator_event(
            unit, runtime, notable.instance_id, event_type, notable.target_id, about, now
        )


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


def _route(
    unit: Unit, instance: InstanceId, event_type: OperatorEvent
) -> tuple[ExecutionId | None, Sequence[Target]]:
    """The targets of an operator event, by the router that all events go through.

    Only the executions that could match are read: it happens seldom, and here, in the transaction.
    """
    lookup_id = event_lookup_id(event_type)
    prefixes = [lookup_id[:length] for length in range(len("event"), len(lookup_id) + 1)]
    lists: dict[ExecutionId, list[TargetId]] = {}
    for execution_id in [*prefixes, *(f"{prefix}.*" for prefix in prefixes)]:
        found = unit.executions.get(instance, ExecutionId(execution_id))
        if found is not None:
            existing = unit.targets.existing(instance, found.targets)
            lists[found.id] = [target for target in found.targets if target in existing]
    match = Router(lists).match(lookup_id)
    if match is None:
        return None, ()
    targets = unit.targets.get_many({(instance, target) for target in match.targets})
    return match.execution_id, [targets[instance, target] for target in match.targets]
