"""Lines of deliveries that wait for earlier ones of their aggregate, in memory."""

from __future__ import annotations

from dataclasses import replace

from fakes.memory.tables import OwedDelivery, Tables
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.target_queue import Lane, LaneName
from outrider.domain.events.event import aggregate_of
from outrider.domain.ids import DeliveryId


def stand_in_line(tables: Tables, owed: OwedDelivery) -> OwedDelivery:
    """The delivery with its place, where its lane keeps an order."""
    lane = tables.lanes.get(owed.lane_name)
    event = tables.events[owed.instance, owed.delivery.event_id].event
    aggregate = aggregate_of(event)
    if lane is None or not lane.is_ordered or not aggregate:
        return owed
    return replace(
        owed, aggregate=aggregate, behind=_last_in_line(tables, owed.lane_name, aggregate)
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
    lane = tables.lanes.get(owed.lane_name)
    is_parked = owed.delivery.state is DeliveryState.DEAD and lane is not None and lane.parks
    if owed.aggregate is not None and owed.delivery.state.is_final and not is_parked:
        leave(tables, number)


def unpark(tables: Tables, dead: DeliveryId, replay: DeliveryId) -> bool:
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


def order_changed(tables: Tables, name: LaneName, before: Lane, after: Lane) -> None:
    """Line up what is open, or let it go."""
    of_target = {each: owed for each, owed in tables.deliveries.items() if owed.lane_name == name}
    if after.is_ordered and not before.is_ordered:
        for each in sorted(of_target, key=int):
            if not of_target[each].delivery.state.is_final:
                tables.deliveries[each] = stand_in_line(tables, of_target[each])
    elif not after.is_ordered or (before.parks and not after.parks):
        for each, owed in of_target.items():
            is_dead = owed.delivery.state is DeliveryState.DEAD
            if owed.aggregate is not None and (is_dead or not after.is_ordered):
                leave(tables, each)


def _last_in_line(tables: Tables, name: LaneName, aggregate: str) -> DeliveryId | None:
    line = [
        each
        for each, owed in tables.deliveries.items()
        if owed.lane_name == name and owed.aggregate == aggregate
    ]
    taken = {owed.behind for owed in tables.deliveries.values()}
    return next((each for each in reversed(line) if each not in taken), None)
