"""What happens to deliveries, one rule a function."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from fakes.memory.delivery import ordering
from fakes.memory.tables import QueuedDelivery, Tables
from outrider.domain.delivery.circuit_breaker import BreakerChange
from outrider.domain.delivery.delivery import (
    ClaimedDelivery,
    Delivery,
    DeliveryState,
    Dependents,
    Settlement,
)
from outrider.domain.delivery.target_queue import after_settlement
from outrider.domain.ids import DeliveryId, EventId, InstanceId, TargetId

_UNCLAIMED = {DeliveryState.PENDING, DeliveryState.RETRYING}


def claimed(tables: Tables, row: QueuedDelivery) -> ClaimedDelivery:
    """What a worker gets to see of a delivery."""
    stored = tables.events[row.instance, row.delivery.event_id]
    return ClaimedDelivery(
        id=row.delivery.id,
        instance_id=row.instance,
        target_id=row.delivery.target_id,
        attempt_number=row.delivery.attempt_count + 1,
        created_at=row.delivery.created_at,
        has_dependents=row.has_dependents,
        body=row.delivery.payload,
        trace=stored.trace,
        due_at=row.due_at,
        event_id=row.delivery.event_id
        if row.delivery.execution.startswith("event")
        else EventId(""),
        replay_of=row.delivery.replay_of,
        hops=stored.event.hops,
    )


def is_of_this_claim(row: QueuedDelivery, settlement: Settlement) -> bool:
    """Whether it settles the attempt that is in progress, not one that was recorded as LOST."""
    attempt = settlement.attempt
    return attempt is None or attempt.number == row.delivery.attempt_count + 1


def settle(
    tables: Tables, settlement: Settlement, now: datetime
) -> tuple[BreakerChange | None, Settlement]:
    """Write an attempt and what follows from it, for this delivery and those behind it.

    Return what it did to the target's breaker, and the settlement as it was written.
    """
    row = tables.deliveries[settlement.delivery_id]
    target_exists = (row.instance, row.delivery.target_id) in tables.targets
    state, dependents = settlement.state, settlement.dependents
    if state is DeliveryState.RETRYING and not target_exists:
        state, dependents = DeliveryState.CANCELLED, Dependents.RELEASE
        settlement = replace(settlement, state=state, due_at=None, dependents=dependents)
    target_queue, change = tables.target_queues.get(row.target_key), None
    if target_queue is not None:
        tables.target_queues[row.target_key], change = after_settlement(target_queue, settlement)
    delivery = row.delivery
    if settlement.attempt is not None:
        delivery = replace(
            delivery,
            attempts=(*delivery.attempts, settlement.attempt),
            attempt_count=delivery.attempt_count + 1,
        )
    due_at = settlement.due_at if state is DeliveryState.RETRYING else None
    _put(tables, row, _moved(delivery, state, due_at, now))
    ordering.promote_if_final(tables, settlement.delivery_id)
    _promote(tables, settlement.delivery_id, dependents, now)
    return change, settlement


def release_claims(tables: Tables, row: QueuedDelivery, now: datetime) -> None:
    """Make a claimed delivery due again."""
    tried = row.delivery.attempt_count > 0
    state = DeliveryState.RETRYING if tried else DeliveryState.PENDING
    _put(tables, row, _moved(row.delivery, state, now, now))


def first_attempts_now(tables: Tables, now: datetime) -> None:
    """Make due what was never attempted and is due later."""
    for number, row in tables.deliveries.items():
        due_at = row.delivery.next_attempt_at
        if due_at is not None and due_at > now and not row.delivery.attempt_count:
            tables.deliveries[number] = replace(
                row, delivery=replace(row.delivery, next_attempt_at=now)
            )


def cancel_deliveries_to(
    tables: Tables, instance: InstanceId, target: TargetId, now: datetime
) -> None:
    """Cancel the open deliveries to a deleted target that are not attempted now."""
    for number, row in list(tables.deliveries.items()):
        if row.target_key == (instance, target):
            tables.deliveries[number] = replace(row, aggregate=None, waits_on=None)
    for number in list(tables.deliveries):
        row = tables.deliveries[number]
        is_to_target = (row.instance, row.delivery.target_id) == (instance, target)
        if is_to_target and row.delivery.state in _UNCLAIMED:
            _cancel(tables, row, now)
            _pass_on(tables, row, now)


def _promote(tables: Tables, front: DeliveryId, what: Dependents, now: datetime) -> None:
    if what is Dependents.WAIT:
        return
    for row in _dependents_of(tables, front):
        if what is Dependents.RELEASE:
            _release(tables, row, now)
        else:
            _cancel(tables, row, now)
            _promote(tables, row.delivery.id, Dependents.CANCEL, now)


def _pass_on(tables: Tables, cancelled: QueuedDelivery, now: datetime) -> None:
    # What depended on it depends on what it depended on itself, if anything.
    for row in _dependents_of(tables, cancelled.delivery.id):
        if cancelled.depends_on is None:
            _release(tables, row, now)
        else:
            tables.deliveries[row.delivery.id] = replace(row, depends_on=cancelled.depends_on)


def _dependents_of(tables: Tables, front: DeliveryId) -> list[QueuedDelivery]:
    return [row for row in tables.deliveries.values() if row.depends_on == front]


def _release(tables: Tables, row: QueuedDelivery, now: datetime) -> None:
    _put(tables, row, replace(row.delivery, next_attempt_at=now))


def _cancel(tables: Tables, row: QueuedDelivery, now: datetime) -> None:
    _put(tables, row, _moved(row.delivery, DeliveryState.CANCELLED, None, now))
    ordering.promote_if_final(tables, row.delivery.id)


def _moved(
    delivery: Delivery, state: DeliveryState, due_at: datetime | None, now: datetime
) -> Delivery:
    return replace(
        delivery,
        state=state,
        next_attempt_at=due_at,
        finished_at=now if state.is_final else None,
    )


def _put(tables: Tables, row: QueuedDelivery, delivery: Delivery) -> None:
    """Write a delivery that is not claimed and depends on none."""
    tables.deliveries[delivery.id] = replace(
        row, delivery=delivery, depends_on=None, owner=None, claimed_at=None
    )
