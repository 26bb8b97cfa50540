"""Target queues in memory: when each can be served, and who gets the next attempts."""

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
    ClaimLimits,
    TargetKey,
    TargetQueue,
    after_claim,
    capacity,
    ready_at,
    share_evenly,
)

_CROWD = 8


def change(tables: Tables, name: TargetKey, how: Callable[[TargetQueue], TargetQueue]) -> None:
    """Change a target queue; it is made when there is a reason now, and goes when there is none left."""
    before = tables.target_queues.get(name)
    after = how(before or TargetQueue())
    if before is None and not after.is_limited:
        return
    tables.target_queues[name] = after
    ordering.order_changed(tables, name, before or TargetQueue(), after)
    drop_empty(tables)


def drop_empty(tables: Tables) -> None:
    """Target queues that nothing keeps go when they are empty."""
    owed = {
        delivery.target_queue_name
        for delivery in tables.deliveries.values()
        if delivery.due_at is not None
    }
    for name, target_queue in list(tables.target_queues.items()):
        if not target_queue.is_limited and name not in owed:
            del tables.target_queues[name]


def ready_times(tables: Tables) -> dict[TargetKey, datetime]:
    """When each target queue can be served; absent: not before something else has changed."""
    counts = _in_flight(tables)
    first: dict[TargetKey, datetime] = {}
    for owed in tables.deliveries.values():
        if owed.due_at is not None:
            first[owed.target_queue_name] = min(
                owed.due_at, first.get(owed.target_queue_name, owed.due_at)
            )
    times = {
        name: ready_at(target_queue, counts[name], first.get(name))
        for name, target_queue in tables.target_queues.items()
    }
    return {name: at for name, at in times.items() if at is not None}


def next_due(tables: Tables, passed_over: Collection[TargetKey]) -> datetime | None:
    """When something can be claimed that is of none of these targets."""
    times = [at for name, at in ready_times(tables).items() if name not in passed_over]
    times += [
        owed.due_at
        for owed in tables.deliveries.values()
        if owed.due_at is not None
        and owed.target_queue_name not in tables.target_queues
        and owed.target_queue_name not in passed_over
    ]
    return min(times, default=None)


@dataclass(slots=True)
class Claim:
    """One claim of one worker. `run` returns what it got."""

    tables: Tables
    owner: str
    now: datetime
    limit: int
    claim_limits: ClaimLimits
    _general: list[OwedDelivery] = field(default_factory=list)
    _taken: list[OwedDelivery] = field(default_factory=list)
    _served: Counter[TargetKey] = field(default_factory=Counter)

    def run(self) -> Sequence[OwedDelivery]:
        """Take what is due, in equal shares."""
        self._general = self._look()
        share_evenly(self._participants(), self.limit)
        for name, count in self._served.items():
            self.tables.target_queues[name] = after_claim(
                self.tables.target_queues[name], count, self.now
            )
        drop_empty(self.tables)
        return self._taken

    def _participants(self) -> list[Callable[[int], int]]:
        counts = _in_flight(self.tables)
        ready = sorted(
            (at, name)
            for name, at in ready_times(self.tables).items()
            if at <= self.now and self.claim_limits.get(name) > 0
        )
        takers: list[Callable[[int], int]] = []
        for _, name in ready:
            most = capacity(self.tables.target_queues[name], counts[name], self.now)
            takers.append(
                partial(self._take_target_queue, name, min(most, self.claim_limits.get(name)))
            )
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

    def _take_target_queue(self, name: TargetKey, most: int, count: int) -> int:
        due = [owed for owed in _due(self.tables, self.now) if owed.target_queue_name == name]
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
        """What is in no target queue, longest due first; a target that crowds it gets one."""
        while True:
            due = [each for each in _due(self.tables, self.now) if not self._has_target_queue(each)]
            crowd = self._crowd([each.target_queue_name for each in due])
            if crowd is None:
                return self._capped(due[: self.limit])
            self.tables.target_queues[crowd] = TargetQueue()

    def _has_target_queue(self, owed: OwedDelivery) -> bool:
        return owed.target_queue_name in self.tables.target_queues

    def _capped(self, rows: Sequence[OwedDelivery]) -> list[OwedDelivery]:
        counts: Counter[TargetKey] = Counter()
        allowed = []
        for owed in rows:
            if counts[owed.target_queue_name] < self.claim_limits.get(owed.target_queue_name):
                counts[owed.target_queue_name] += 1
                allowed.append(owed)
        return allowed

    def _crowd(self, due: Sequence[TargetKey]) -> TargetKey | None:
        front = Counter(due[: self.limit])
        is_full = front.total() >= self.limit
        for name, count in front.items():
            if not self.claim_limits.get(name) and (is_full or count >= _CROWD):
                return name
        if not is_full or not front:
            return None
        name, count = front.most_common(1)[0]
        is_crowd = self.limit >= _CROWD and 2 * count >= self.limit
        if not is_crowd and count <= self.claim_limits.get(name):
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


def _in_flight(tables: Tables) -> Counter[TargetKey]:
    return Counter(
        owed.target_queue_name for owed in tables.deliveries.values() if owed.owner is not None
    )
