"""Ordering keys in memory: deliveries that wait on earlier ones of their aggregate."""

from __future__ import annotations

from dataclasses import replace

from fakes.memory.tables import QueuedDelivery, Tables
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.target_queue import TargetKey, TargetQueue
from outrider.domain.events.event import aggregate_of
from outrider.domain.ids import DeliveryId


def with_key(tables: Tables, row: QueuedDelivery) -> QueuedDelivery:
    """The delivery with its ordering key, where its target queue keeps an order."""
    target_queue = tables.target_queues.get(row.target_key)
    event = tables.events[row.instance, row.delivery.event_id].event
    aggregate = aggregate_of(event)
    if target_queue is None or not target_queue.is_ordered or not aggregate:
        return row
    return replace(
        row, aggregate=aggregate, waits_on=_last_of_key(tables, row.target_key, aggregate)
    )


def promote_next(tables: Tables, number: DeliveryId) -> None:
    """The delivery gives up its key; the one that waited on it is first now."""
    for other, row in list(tables.deliveries.items()):
        if row.waits_on == number:
            tables.deliveries[other] = replace(row, waits_on=None)
    row = tables.deliveries[number]
    tables.deliveries[number] = replace(row, aggregate=None, waits_on=None)


def promote_if_final(tables: Tables, number: DeliveryId) -> None:
    """What is final gives up its key; a dead one keeps it where the policy halts on dead."""
    row = tables.deliveries[number]
    target_queue = tables.target_queues.get(row.target_key)
    is_halted = (
        row.delivery.state is DeliveryState.DEAD
        and target_queue is not None
        and target_queue.halts_on_dead
    )
    if row.aggregate is not None and row.delivery.state.is_final and not is_halted:
        promote_next(tables, number)


def resume_key(tables: Tables, dead: DeliveryId, replay: DeliveryId) -> bool:
    """Put a replay in the place of a dead delivery that halts its key; whether it halted one."""
    halting = tables.deliveries[dead]
    if halting.aggregate is None or halting.delivery.state is not DeliveryState.DEAD:
        return False
    for number, row in list(tables.deliveries.items()):
        if row.waits_on == dead:
            tables.deliveries[number] = replace(row, waits_on=replay)
    tables.deliveries[dead] = replace(halting, aggregate=None)
    tables.deliveries[replay] = replace(
        tables.deliveries[replay], aggregate=halting.aggregate, waits_on=None
    )
    return True


def order_changed(
    tables: Tables, target_key: TargetKey, before: TargetQueue, after: TargetQueue
) -> None:
    """Order what is open, or promote it."""
    of_target = {
        number: row for number, row in tables.deliveries.items() if row.target_key == target_key
    }
    if after.is_ordered and not before.is_ordered:
        for number in sorted(of_target, key=int):
            if not of_target[number].delivery.state.is_final:
                tables.deliveries[number] = with_key(tables, of_target[number])
    elif not after.is_ordered or (before.halts_on_dead and not after.halts_on_dead):
        for number, row in of_target.items():
            is_dead = row.delivery.state is DeliveryState.DEAD
            if row.aggregate is not None and (is_dead or not after.is_ordered):
                promote_next(tables, number)


def _last_of_key(tables: Tables, target_key: TargetKey, aggregate: str) -> DeliveryId | None:
    of_key = [
        number
        for number, row in tables.deliveries.items()
        if row.target_key == target_key and row.aggregate == aggregate
    ]
    waited_on = {row.waits_on for row in tables.deliveries.values()}
    return next((number for number in reversed(of_key) if number not in waited_on), None)
