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
    HeldTargets,
    Hold,
    Holds,
    OpenTallies,
    SettledSlots,
    StatsSearch,
    Tally,
    answered,
    measured_slots,
    slot_of,
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
        counted: OpenTallies | None = None,
    ) -> DeliveryStats:
        """See the port."""
        before = [
            each.delivery
            for each in self._tables.deliveries.values()
            if each.instance == instance and matches(each.delivery, _without_type(wanted))
        ]
        newest = sorted(before, key=lambda delivery: int(delivery.id), reverse=True)
        seen = newest[:LOOKED_AT] if wanted.is_narrow else newest
        tallies: dict[TargetId, Tally] = defaultdict(Tally)
        for each in seen:
            if wanted.event_type in {None, each.event_type} and (
                counted is None or each.state.is_final
            ):
                _add(tallies, each)
        for name, tally in (counted or {}).items():
            tallies[name].merge(tally)
        targets = self._tables.targets.items()
        return answered(
            tallies,
            {name: target.name for (owner, name), target in targets if owner == instance},
            wanted,
            None if wanted.is_narrow else _settled(seen, now),
            now,
            holds=self._holds(instance, wanted.target_id),
            is_partial=wanted.is_narrow and len(newest) >= LOOKED_AT,
        )

    def open(self, instance: InstanceId, target: TargetId | None) -> OpenTallies:
        """See the port."""
        tallies: dict[TargetId, Tally] = defaultdict(Tally)
        for each in self._tables.deliveries.values():
            delivery = each.delivery
            is_asked = each.instance == instance and target in {None, delivery.target_id}
            if is_asked and not delivery.state.is_final:
                _add(tallies, delivery)
        return tallies

    def _holds(self, instance: InstanceId, target: TargetId | None) -> Holds:
        holds = {}
        for (owner, name), lane in self._tables.lanes.items():
            if owner == instance and target in {None, name}:
                stored = self._tables.policies.get((owner, name))
                paused_at = None if stored is None else stored.paused_at
                hold = Hold(paused_at, lane.state.open_until)
                if hold != Hold():
                    holds[name] = hold
        return holds

    def held(self, now: datetime) -> HeldTargets:
        """See the port."""
        lanes = self._tables.lanes.values()
        return HeldTargets(
            sum(each.is_paused for each in lanes),
            sum(each.state.is_open(now) for each in lanes),
            len(lanes),
        )

    def tally(self, now: datetime, limit: int) -> int:
        """See the port."""
        return 0


def _add(tallies: dict[TargetId, Tally], delivery: Delivery) -> None:
    oldest = None if delivery.state.is_final else delivery.created_at
    tallies[delivery.target_id].add(delivery.state, 1, oldest)


def _without_type(wanted: StatsSearch) -> DeliverySearch:
    return DeliverySearch(
        target_id=wanted.target_id,
        created_since=wanted.created_since,
        created_until=wanted.created_until,
    )


def _settled(deliveries: Sequence[Delivery], now: datetime) -> SettledSlots:
    first, end = measured_slots(now)
    counts = Counter(
        (
            slot_of(each.finished_at),
            each.state,
            each.attempts[-1].outcome if each.attempts else None,
        )
        for each in deliveries
        if each.finished_at is not None and first <= slot_of(each.finished_at) < end
    )
    return [(*name, count) for name, count in counts.items()]
