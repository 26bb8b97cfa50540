"""Numbers about the log in memory: everything is counted every time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime

from fakes.memory.delivery.deliveries import matches
from fakes.memory.tables import Tables
from outrider.domain.delivery.delivery import Delivery
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.stats import (
    MAX_SCANNED,
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


class MemoryDeliveryCounts:
    """`DeliveryCounts` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(
        self,
        instance: InstanceId,
        query: StatsSearch,
        now: datetime,
        counted: OpenCounts | None = None,
    ) -> DeliveryStats:
        before = [
            row.delivery
            for row in self._tables.deliveries.values()
            if row.instance == instance and matches(row.delivery, _without_type(query))
        ]
        newest = sorted(before, key=lambda delivery: int(delivery.id), reverse=True)
        seen = newest[:MAX_SCANNED] if query.is_narrow else newest
        state_counts: dict[TargetId, StateCounts] = defaultdict(StateCounts)
        for delivery in seen:
            if query.event_type in {None, delivery.event_type} and (
                counted is None or delivery.state.is_final
            ):
                _add(state_counts, delivery)
        for target_id, counts in (counted or {}).items():
            state_counts[target_id].merge(counts)
        targets = self._tables.targets.items()
        return stats_of(
            state_counts,
            {target_id: target.name for (owner, target_id), target in targets if owner == instance},
            query,
            None if query.is_narrow else _settled(seen, now),
            now,
            suspensions=self._suspensions(instance, query.target_id),
            is_partial=query.is_narrow and len(newest) >= MAX_SCANNED,
        )

    def open(self, instance: InstanceId, target: TargetId | None) -> OpenCounts:
        state_counts: dict[TargetId, StateCounts] = defaultdict(StateCounts)
        for row in self._tables.deliveries.values():
            delivery = row.delivery
            is_asked = row.instance == instance and target in {None, delivery.target_id}
            if is_asked and not delivery.state.is_final:
                _add(state_counts, delivery)
        return state_counts

    def _suspensions(self, instance: InstanceId, target: TargetId | None) -> Suspensions:
        suspensions = {}
        for (owner, target_id), target_queue in self._tables.target_queues.items():
            if owner == instance and target in {None, target_id}:
                stored = self._tables.policies.get((owner, target_id))
                paused_at = None if stored is None else stored.paused_at
                suspension = Suspension(paused_at, target_queue.state.open_until)
                if suspension != Suspension():
                    suspensions[target_id] = suspension
        return suspensions

    def suspended_targets(self, now: datetime) -> SuspendedTargets:
        target_queues = self._tables.target_queues.values()
        return SuspendedTargets(
            sum(target_queue.is_paused for target_queue in target_queues),
            sum(target_queue.state.is_open(now) for target_queue in target_queues),
            len(target_queues),
        )

    def roll_up(self, now: datetime, limit: int) -> int:
        return 0


def _add(state_counts: dict[TargetId, StateCounts], delivery: Delivery) -> None:
    oldest = None if delivery.state.is_final else delivery.created_at
    state_counts[delivery.target_id].add(delivery.state, 1, oldest)


def _without_type(query: StatsSearch) -> DeliverySearch:
    return DeliverySearch(
        target_id=query.target_id,
        created_since=query.created_since,
        created_until=query.created_until,
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
    return [(*bucket, count) for bucket, count in counts.items()]
