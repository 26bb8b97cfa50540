"""What happens to deliveries, one rule a function."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from fakes.memory.delivery import ordering
from fakes.memory.tables import OwedDelivery, Tables
from outrider.domain.delivery.circuit_breaker import BreakerChange
from outrider.domain.delivery.delivery import (
    ClaimedDelivery,
    Delivery,
    DeliveryState,
    Dependents,
    Settlement,
)
from outrider.domain.delivery.target_queue import after_settlement
from outrider.domain.ids import DeliveryId, InstanceId, TargetId

_UNCLAIMED = {DeliveryState.PENDING, DeliveryState.RETRYING}


def claimed(tables: Tables, owed: OwedDelivery) -> ClaimedDelivery:
    """What a worker gets to see of a delivery."""
    return ClaimedDelivery(
        id=owed.delivery.id,
        instance_id=owed.instance,
        target_id=owed.delivery.target_id,
        attempt_number=owed.delivery.attempt_count + 1,
        created_at=owed.delivery.created_at,
        has_dependents=owed.has_dependents,
        body=owed.delivery.payload,
        trace=tables.events[owed.instance, owed.delivery.event_id].trace,
        due_at=owed.due_at,
    )


def is_of_this_claim(owed: OwedDelivery, settlement: Settlement) -> bool:
    """Whether it settles the attempt that is under way, not one that was recorded as LOST."""
    attempt = settlement.attempt
    return attempt is None or attempt.number == owed.delivery.attempt_count + 1


def settle(
    tables: Tables, settlement: Settlement, now: datetime
) -> tuple[BreakerChange | None, Settlement]:
    """Write an attempt and what follows from it, for this delivery and those behind it.

    Return what it did to the target's breaker, and the settlement as it was written.
    """
    owed = tables.deliveries[settlement.delivery_id]
    target_exists = (owed.instance, owed.delivery.target_id) in tables.targets
    state, dependents = settlement.state, settlement.dependents
    if state is DeliveryState.RETRYING and not target_exists:
        state, dependents = DeliveryState.CANCELLED, Dependents.RELEASE
        settlement = replace(settlement, state=state, due_at=None, dependents=dependents)
    target_queue, change = tables.target_queues.get(owed.target_queue_name), None
    if target_queue is not None:
        tables.target_queues[owed.target_queue_name], change = after_settlement(
            target_queue, settlement
        )
    delivery = owed.delivery
    if settlement.attempt is not None:
        delivery = replace(
            delivery,
            attempts=(*delivery.attempts, settlement.attempt),
            attempt_count=delivery.attempt_count + 1,
        )
    due_at = settlement.due_at if state is DeliveryState.RETRYING else None
    _put(tables, owed, _moved(delivery, state, due_at, now))
    ordering.leave_if_final(tables, settlement.delivery_id)
    _promote(tables, settlement.delivery_id, dependents, now)
    return change, settlement


def release_claims(tables: Tables, owed: OwedDelivery, now: datetime) -> None:
    """Make a claimed delivery due again."""
    tried = owed.delivery.attempt_count > 0
    state = DeliveryState.RETRYING if tried else DeliveryState.PENDING
    _put(tables, owed, _moved(owed.delivery, state, now, now))


def first_attempts_now(tables: Tables, now: datetime) -> None:
    """Make due what was never attempted and is due later."""
    for number, owed in tables.deliveries.items():
        due_at = owed.delivery.next_attempt_at
        if due_at is not None and due_at > now and not owed.delivery.attempt_count:
            tables.deliveries[number] = replace(
                owed, delivery=replace(owed.delivery, next_attempt_at=now)
            )


def cancel_deliveries_to(
    tables: Tables, instance: InstanceId, target: TargetId, now: datetime
) -> None:
    """Cancel what a deleted target is owed and nobody is attempting."""
    for each, owed in list(tables.deliveries.items()):
        if owed.target_queue_name == (instance, target):
            tables.deliveries[each] = replace(owed, aggregate=None, behind=None)
    for number in list(tables.deliveries):
        owed = tables.deliveries[number]
        is_owed = (owed.instance, owed.delivery.target_id) == (instance, target)
        if is_owed and owed.delivery.state in _UNCLAIMED:
            _cancel(tables, owed, now)
            _pass_on(tables, owed, now)


def _promote(tables: Tables, front: DeliveryId, what: Dependents, now: datetime) -> None:
    if what is Dependents.WAIT:
        return
    for owed in _waiting_for(tables, front):
        if what is Dependents.RELEASE:
            _release(tables, owed, now)
        else:
            _cancel(tables, owed, now)
            _promote(tables, owed.delivery.id, Dependents.CANCEL, now)


def _pass_on(tables: Tables, cancelled: OwedDelivery, now: datetime) -> None:
    # Whoever waited for it waits for what it waited for itself, if anything.
    for owed in _waiting_for(tables, cancelled.delivery.id):
        if cancelled.depends_on is None:
            _release(tables, owed, now)
        else:
            tables.deliveries[owed.delivery.id] = replace(owed, depends_on=cancelled.depends_on)


def _waiting_for(tables: Tables, front: DeliveryId) -> list[OwedDelivery]:
    return [owed for owed in tables.deliveries.values() if owed.depends_on == front]


def _release(tables: Tables, owed: OwedDelivery, now: datetime) -> None:
    _put(tables, owed, replace(owed.delivery, next_attempt_at=now))


def _cancel(tables: Tables, owed: OwedDelivery, now: datetime) -> None:
    _put(tables, owed, _moved(owed.delivery, DeliveryState.CANCELLED, None, now))
    ordering.leave_if_final(tables, owed.delivery.id)


def _moved(
    delivery: Delivery, state: DeliveryState, due_at: datetime | None, now: datetime
) -> Delivery:
    return replace(
        delivery,
        state=state,
        next_attempt_at=due_at,
        finished_at=now if state.is_final else None,
    )


def _put(tables: Tables, owed: OwedDelivery, delivery: Delivery) -> None:
    """Write a delivery that nobody holds and that waits for nobody in its execution."""
    tables.deliveries[delivery.id] = replace(
        owed, delivery=delivery, depends_on=None, owner=None, claimed_at=None
    )
