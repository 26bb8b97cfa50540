"""Target queues in memory: when each is ready, and which deliveries are claimed next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from fakes.memory.delivery import ordering
from fakes.memory.tables import QueuedDelivery, Tables
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

_FLOOD = 8


def change(
    tables: Tables, target_key: TargetKey, how: Callable[[TargetQueue], TargetQueue]
) -> None:
    """Change a target queue; it is made when there is a reason, and goes when there is none."""
    before = tables.target_queues.get(target_key)
    after = how(before or TargetQueue())
    if before is None and not after.is_limited:
        return
    tables.target_queues[target_key] = after
    ordering.order_changed(tables, target_key, before or TargetQueue(), after)
    drop_empty(tables)


def drop_empty(tables: Tables) -> None:
    """Delete target queues that only their backlog kept, when they are empty."""
    with_due = {row.target_key for row in tables.deliveries.values() if row.due_at is not None}
    for target_key, target_queue in list(tables.target_queues.items()):
        if not target_queue.is_limited and target_key not in with_due:
            del tables.target_queues[target_key]


def ready_times(tables: Tables) -> dict[TargetKey, datetime]:
    """When each target queue is ready; absent: not before something else has changed."""
    counts = _in_flight(tables)
    first: dict[TargetKey, datetime] = {}
    for row in tables.deliveries.values():
        if row.due_at is not None:
            first[row.target_key] = min(row.due_at, first.get(row.target_key, row.due_at))
    times = {
        target_key: ready_at(target_queue, counts[target_key], first.get(target_key))
        for target_key, target_queue in tables.target_queues.items()
    }
    return {target_key: at for target_key, at in times.items() if at is not None}


def next_due(tables: Tables, excluded: Collection[TargetKey]) -> datetime | None:
    """When something can be claimed that is of none of these targets."""
    times = [at for target_key, at in ready_times(tables).items() if target_key not in excluded]
    times += [
        row.due_at
        for row in tables.deliveries.values()
        if row.due_at is not None
        and row.target_key not in tables.target_queues
        and row.target_key not in excluded
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
    _shared: list[QueuedDelivery] = field(default_factory=list)
    _taken: list[QueuedDelivery] = field(default_factory=list)
    _claimed_from: Counter[TargetKey] = field(default_factory=Counter)

    def run(self) -> Sequence[QueuedDelivery]:
        """Take what is due, in equal shares."""
        self._shared = self._due_in_shared_queue()
        share_evenly(self._participants(), self.limit)
        for target_key, count in self._claimed_from.items():
            self.tables.target_queues[target_key] = after_claim(
                self.tables.target_queues[target_key], count, self.now
            )
        drop_empty(self.tables)
        return self._taken

    def _participants(self) -> list[Callable[[int], int]]:
        counts = _in_flight(self.tables)
        ready = sorted(
            (at, target_key)
            for target_key, at in ready_times(self.tables).items()
            if at <= self.now and self.claim_limits.get(target_key) > 0
        )
        takers: list[Callable[[int], int]] = []
        for _, target_key in ready:
            limit = capacity(self.tables.target_queues[target_key], counts[target_key], self.now)
            takers.append(
                partial(
                    self._take_target_queue,
                    target_key,
                    min(limit, self.claim_limits.get(target_key)),
                )
            )
        if self._shared:
            takers.insert(self._shared_position([at for at, _ in ready]), self._take_shared)
        return takers

    def _shared_position(self, became_ready: Sequence[datetime]) -> int:
        if self.limit > len(became_ready):
            return 0
        position = sum(at <= self.tables.shared_last_claimed_at for at in became_ready)
        if position < self.limit:
            self.tables.shared_last_claimed_at = self.now
        return position

    def _take_shared(self, count: int) -> int:
        taken, self._shared = self._shared[:count], self._shared[count:]
        self._mark_claimed(taken)
        return len(taken)

    def _take_target_queue(self, target_key: TargetKey, limit: int, count: int) -> int:
        due = [row for row in _due(self.tables, self.now) if row.target_key == target_key]
        taken = due[: max(min(count, limit - self._claimed_from[target_key]), 0)]
        self._claimed_from[target_key] += len(taken)
        self._mark_claimed(taken)
        return len(taken)

    def _mark_claimed(self, rows: Sequence[QueuedDelivery]) -> None:
        for row in rows:
            delivery = replace(row.delivery, state=DeliveryState.DELIVERING, next_attempt_at=None)
            self.tables.deliveries[delivery.id] = replace(
                row, delivery=delivery, owner=self.owner, claimed_at=self.now
            )
        self._taken.extend(rows)

    def _due_in_shared_queue(self) -> list[QueuedDelivery]:
        """What is in no target queue, longest due first; a target that floods it gets one."""
        while True:
            due = [row for row in _due(self.tables, self.now) if not self._has_target_queue(row)]
            flooding_target = self._flooding_target([row.target_key for row in due])
            if flooding_target is None:
                return self._within_limits(due[: self.limit])
            self.tables.target_queues[flooding_target] = TargetQueue()

    def _has_target_queue(self, row: QueuedDelivery) -> bool:
        return row.target_key in self.tables.target_queues

    def _within_limits(self, rows: Sequence[QueuedDelivery]) -> list[QueuedDelivery]:
        counts: Counter[TargetKey] = Counter()
        allowed = []
        for row in rows:
            if counts[row.target_key] < self.claim_limits.get(row.target_key):
                counts[row.target_key] += 1
                allowed.append(row)
        return allowed

    def _flooding_target(self, due: Sequence[TargetKey]) -> TargetKey | None:
        front = Counter(due[: self.limit])
        is_full = front.total() >= self.limit
        for target_key, count in front.items():
            if not self.claim_limits.get(target_key) and (is_full or count >= _FLOOD):
                return target_key
        if not is_full or not front:
            return None
        target_key, count = front.most_common(1)[0]
        is_flood = self.limit >= _FLOOD and 2 * count >= self.limit
        if not is_flood and count <= self.claim_limits.get(target_key):
            return None
        return target_key if len(set(due)) > 1 else None


def _due(tables: Tables, now: datetime) -> list[QueuedDelivery]:
    """What is due, longest due first."""
    due = [
        (row.due_at, int(row.delivery.id), row)
        for row in tables.deliveries.values()
        if row.due_at is not None and row.due_at <= now
    ]
    return [row for *_, row in sorted(due, key=lambda row: row[:2])]


def _in_flight(tables: Tables) -> Counter[TargetKey]:
    return Counter(row.target_key for row in tables.deliveries.values() if row.owner is not None)
