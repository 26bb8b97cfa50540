"""Lanes in memory: when each can be served, and who gets the next attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from fakes.memory.delivery import ordering
from fakes.memory.tables import OwedDelivery, Tables
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.target_queue import (
    Caps,
    Lane,
    LaneName,
    after_claim,
    ready_at,
    room,
    serve,
)

_CROWD = 8


def change(tables: Tables, name: LaneName, how: Callable[[Lane], Lane]) -> None:
    """Change a lane; it is made when there is a reason now, and goes when there is none left."""
    before = tables.lanes.get(name)
    after = how(before or Lane())
    if before is None and not after.is_gate:
        return
    tables.lanes[name] = after
    ordering.order_changed(tables, name, before or Lane(), after)
    drop_empty(tables)


def drop_empty(tables: Tables) -> None:
    """Lanes that nothing keeps go when they are empty."""
    owed = {each.lane_name for each in tables.deliveries.values() if each.due_at is not None}
    for name, lane in list(tables.lanes.items()):
        if not lane.is_gate and name not in owed:
            del tables.lanes[name]


def ready_times(tables: Tables) -> dict[LaneName, datetime]:
    """When each lane can be served; absent: not before something else has changed."""
    counts = _in_flight(tables)
    first: dict[LaneName, datetime] = {}
    for owed in tables.deliveries.values():
        if owed.due_at is not None:
            first[owed.lane_name] = min(owed.due_at, first.get(owed.lane_name, owed.due_at))
    times = {
        name: ready_at(lane, counts[name], first.get(name)) for name, lane in tables.lanes.items()
    }
    return {name: at for name, at in times.items() if at is not None}


def next_due(tables: Tables, passed_over: Collection[LaneName]) -> datetime | None:
    """When something can be claimed that is of none of these targets."""
    times = [at for name, at in ready_times(tables).items() if name not in passed_over]
    times += [
        owed.due_at
        for owed in tables.deliveries.values()
        if owed.due_at is not None
        and owed.lane_name not in tables.lanes
        and owed.lane_name not in passed_over
    ]
    return min(times, default=None)


@dataclass(slots=True)
class Claim:
    """One claim of one worker. `run` returns what it got."""

    tables: Tables
    owner: str
    now: datetime
    limit: int
    caps: Caps
    _general: list[OwedDelivery] = field(default_factory=list)
    _taken: list[OwedDelivery] = field(default_factory=list)
    _served: Counter[LaneName] = field(default_factory=Counter)

    def run(self) -> Sequence[OwedDelivery]:
        """Take what is due, in equal shares."""
        self._general = self._look()
        serve(self._participants(), self.limit)
        for name, count in self._served.items():
            self.tables.lanes[name] = after_claim(self.tables.lanes[name], count, self.now)
        drop_empty(self.tables)
        return self._taken

    def _participants(self) -> list[Callable[[int], int]]:
        counts = _in_flight(self.tables)
        ready = sorted(
            (at, name)
            for name, at in ready_times(self.tables).items()
            if at <= self.now and self.caps.get(name) > 0
        )
        takers: list[Callable[[int], int]] = []
        for _, name in ready:
            most = room(self.tables.lanes[name], counts[name], self.now)
            takers.append(partial(self._take_lane, name, min(most, self.caps.get(name))))
        if self._general:
            takers.insert(self._turn([at for at, _ in ready]), self._take_general)
        return takers

    def _turn(self, became_ready: Sequence[datetime]) -> int:
        if self.limit > len(became_ready):
            return 0
        place = sum(at <= self.tables.general_served_at for at in became_ready)
        if place < self.limit:
            self.tables.general_served_at = self.now
        return place

    def _take_general(self, count: int) -> int:
        taken, self._general = self._general[:count], self._general[count:]
        self._mark(taken)
        return len(taken)

    def _take_lane(self, name: LaneName, most: int, count: int) -> int:
        due = [owed for owed in _due(self.tables, self.now) if owed.lane_name == name]
        taken = due[: max(min(count, most - self._served[name]), 0)]
        self._served[name] += len(taken)
        self._mark(taken)
        return len(taken)

    def _mark(self, rows: Sequence[OwedDelivery]) -> None:
        for owed in rows:
            delivery = replace(owed.delivery, state=DeliveryState.DELIVERING, next_attempt_at=None)
            self.tables.deliveries[delivery.id] = replace(
                owed, delivery=delivery, owner=self.owner, claimed_at=self.now
            )
        self._taken.extend(rows)

    def _look(self) -> list[OwedDelivery]:
        """What is in no lane, longest due first; a target that crowds it gets one."""
        while True:
            due = [each for each in _due(self.tables, self.now) if not self._has_lane(each)]
            crowd = self._crowd([each.lane_name for each in due])
            if crowd is None:
                return self._capped(due[: self.limit])
            self.tables.lanes[crowd] = Lane()

    def _has_lane(self, owed: OwedDelivery) -> bool:
        return owed.lane_name in self.tables.lanes

    def _capped(self, rows: Sequence[OwedDelivery]) -> list[OwedDelivery]:
        counts: Counter[LaneName] = Counter()
        allowed = []
        for owed in rows:
            if counts[owed.lane_name] < self.caps.get(owed.lane_name):
                counts[owed.lane_name] += 1
                allowed.append(owed)
        return allowed

    def _crowd(self, due: Sequence[LaneName]) -> LaneName | None:
        front = Counter(due[: self.limit])
        is_full = front.total() >= self.limit
        for name, count in front.items():
            if not self.caps.get(name) and (is_full or count >= _CROWD):
                return name
        if not is_full or not front:
            return None
        name, count = front.most_common(1)[0]
        is_crowd = self.limit >= _CROWD and 2 * count >= self.limit
        if not is_crowd and count <= self.caps.get(name):
            return None
        return name if len(set(due)) > 1 else None


def _due(tables: Tables, now: datetime) -> list[OwedDelivery]:
    """What is due, longest due first."""
    due = [
        (owed.due_at, int(owed.delivery.id), owed)
        for owed in tables.deliveries.values()
        if owed.due_at is not None and owed.due_at <= now
    ]
    return [owed for *_, owed in sorted(due, key=lambda each: each[:2])]


def _in_flight(tables: Tables) -> Counter[LaneName]:
    return Counter(owed.lane_name for owed in tables.deliveries.values() if owed.owner is not None)
