"""Lines of deliveries that wait for earlier ones of their aggregate, in memory."""

from __future__ import annotations

from dataclasses import replace

from fakes.memory.tables import OwedDelivery, Tables
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.target_queue import TargetKey, TargetQueue
from outrider.domain.events.event import aggregate_of
from outrider.domain.ids import DeliveryId


def stand_in_line(tables: Tables, owed: OwedDelivery) -> OwedDelivery:
    """The delivery with its place, where its target queue keeps an order."""
    target_queue = tables.target_queues.get(owed.target_queue_name)
    event = tables.events[owed.instance, owed.delivery.event_id].event
    aggregate = aggregate_of(event)
    if target_queue is None or not target_queue.is_ordered or not aggregate:
        return owed
    return replace(
        owed, aggregate=aggregate, behind=_last_in_line(tables, owed.target_queue_name, aggregate)
    )


def leave(tables: Tables, number: DeliveryId) -> None:
    """The delivery leaves its line; who stood behind it is first now."""
    for each, owed in list(tables.deliveries.items()):
        if owed.behind == number:
            tables.deliveries[each] = replace(owed, behind=None)
    owed = tables.deliveries[number]
    tables.deliveries[number] = replace(owed, aggregate=None, behind=None)


def leave_if_final(tables: Tables, number: DeliveryId) -> None:
    """What is final leaves its line; a dead one stays where the policy parks."""
    owed = tables.deliveries[number]
    target_queue = tables.target_queues.get(owed.target_queue_name)
    is_parked = (
        owed.delivery.state is DeliveryState.DEAD
        and target_queue is not None
        and target_queue.halts_on_dead
    )
    if owed.aggregate is not None and owed.delivery.state.is_final and not is_parked:
        leave(tables, number)


def resume_key(tables: Tables, dead: DeliveryId, replay: DeliveryId) -> bool:
    """Put a replay in the place of a dead delivery that holds its line; whether it held one."""
    held_up = tables.deliveries[dead]
    if held_up.aggregate is None or held_up.delivery.state is not DeliveryState.DEAD:
        return False
    for each, owed in list(tables.deliveries.items()):
        if owed.behind == dead:
            tables.deliveries[each] = replace(owed, behind=replay)
    tables.deliveries[dead] = replace(held_up, aggregate=None)
    tables.deliveries[replay] = replace(
        tables.deliveries[replay], aggregate=held_up.aggregate, behind=None
    )
    return True


def order_changed(tables: Tables, name: TargetKey, before: TargetQueue, after: TargetQueue) -> None:
    """Line up what is open, or let it go."""
    of_target = {
        each: owed for each, owed in tables.deliveries.items() if owed.target_queue_name == name
    }
    if after.is_ordered and not before.is_ordered:
        for each in sorted(of_target, key=int):
            if not of_target[each].delivery.state.is_final:
                tables.deliveries[each] = stand_in_line(tables, of_target[each])
    elif not after.is_ordered or (before.halts_on_dead and not after.halts_on_dead):
        for each, owed in of_target.items():
            is_dead = owed.delivery.state is DeliveryState.DEAD
            if owed.aggregate is not None and (is_dead or not after.is_ordered):
                leave(tables, each)


def _last_in_line(tables: Tables, name: TargetKey, aggregate: str) -> DeliveryId | None:
    line = [
        each
        for each, owed in tables.deliveries.items()
        if owed.target_queue_name == name and owed.aggregate == aggregate
    ]
    taken = {owed.behind for owed in tables.deliveries.values()}
    return next((each for each in reversed(line) if each not in taken), None)
