"""Numbers about the log in memory: everything is counted every time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime

from fakes.memory.delivery.deliveries import matches
from fakes.memory.tables import Tables
from outrider.domain.delivery.delivery import Delivery
from outrider.domain.delivery.stats import (
    LOOKED_AT,
    DeliveryStats,
    OpenCounts,
    SettledBuckets,
    StateCounts,
    StatsSearch,
    SuspendedTargets,
    Suspension,
    Suspensions,
    bucket_of,
    measured_buckets,
    stats_of,
)
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.search import DeliverySearch


class MemoryDeliveryCounts:
    """`delivery_log_ports.DeliveryCounts` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(
        self,
        instance: InstanceId,
        wanted: StatsSearch,
        now: datetime,
        counted: OpenCounts | None = None,
    ) -> DeliveryStats:
        """See the port."""
        before = [
            each.delivery
            for each in self._tables.deliveries.values()
            if each.instance == instance and matches(each.delivery, _without_type(wanted))
        ]
        newest = sorted(before, key=lambda delivery: int(delivery.id), reverse=True)
        seen = newest[:LOOKED_AT] if wanted.is_narrow else newest
        state_counts: dict[TargetId, StateCounts] = defaultdict(StateCounts)
        for each in seen:
            if wanted.event_type in {None, each.event_type} and (
                counted is None or each.state.is_final
            ):
                _add(state_counts, each)
        for name, roll_up in (counted or {}).items():
            state_counts[name].merge(roll_up)
        targets = self._tables.targets.items()
        return stats_of(
            state_counts,
            {name: target.name for (owner, name), target in targets if owner == instance},
            wanted,
            None if wanted.is_narrow else _settled(seen, now),
            now,
            holds=self._holds(instance, wanted.target_id),
            is_partial=wanted.is_narrow and len(newest) >= LOOKED_AT,
        )

    def open(self, instance: InstanceId, target: TargetId | None) -> OpenCounts:
        """See the port."""
        state_counts: dict[TargetId, StateCounts] = defaultdict(StateCounts)
        for each in self._tables.deliveries.values():
            delivery = each.delivery
            is_asked = each.instance == instance and target in {None, delivery.target_id}
            if is_asked and not delivery.state.is_final:
                _add(state_counts, delivery)
        return state_counts

    def _holds(self, instance: InstanceId, target: TargetId | None) -> Suspensions:
        holds = {}
        for (owner, name), target_queue in self._tables.target_queues.items():
            if owner == instance and target in {None, name}:
                stored = self._tables.policies.get((owner, name))
                paused_at = None if stored is None else stored.paused_at
                hold = Suspension(paused_at, target_queue.state.open_until)
                if hold != Suspension():
                    holds[name] = hold
        return holds

    def held(self, now: datetime) -> SuspendedTargets:
        """See the port."""
        target_queues = self._tables.target_queues.values()
        return SuspendedTargets(
            sum(target_queue.is_paused for target_queue in target_queues),
            sum(target_queue.state.is_open(now) for target_queue in target_queues),
            len(target_queues),
        )

    def roll_up(self, now: datetime, limit: int) -> int:
        """See the port."""
        return 0


def _add(state_counts: dict[TargetId, StateCounts], delivery: Delivery) -> None:
    oldest = None if delivery.state.is_final else delivery.created_at
    state_counts[delivery.target_id].add(delivery.state, 1, oldest)


def _without_type(wanted: StatsSearch) -> DeliverySearch:
    return DeliverySearch(
        target_id=wanted.target_id,
        created_since=wanted.created_since,
        created_until=wanted.created_until,
    )


def _settled(deliveries: Sequence[Delivery], now: datetime) -> SettledBuckets:
    first, end = measured_buckets(now)
    counts = Counter(
        (
            bucket_of(delivery.finished_at),
            delivery.state,
            delivery.attempts[-1].outcome if delivery.attempts else None,
        )
        for delivery in deliveries
        if delivery.finished_at is not None and first <= bucket_of(delivery.finished_at) < end
    )
    return [(*name, count) for name, count in counts.items()]
