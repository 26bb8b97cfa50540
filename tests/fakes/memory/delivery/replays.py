"""Replays in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from fakes.memory.delivery.deliveries import matches
from fakes.memory.tables import OwedDelivery, Tables
from outrider.domain.delivery.delivery import Delivery, DeliveryState
from outrider.domain.delivery.replay import Replay, ReplayRange, ReplaySource, ReplayWindow
from outrider.domain.ids import DeliveryId, InstanceId
from outrider.domain.search import DeliverySearch


class MemoryReplays:
    """`delivery_log_ports.Replays` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def named(self, instance: InstanceId, ids: Collection[DeliveryId]) -> Sequence[ReplaySource]:
        """See the port."""
        return [self._source(each) for each in self._of(instance) if each.delivery.id in ids]

    def look(
        self, instance: InstanceId, wanted: DeliverySearch, within: ReplayRange, limit: int
    ) -> ReplayWindow:
        """See the port. It looks at those that fit only: nothing makes it slow."""
        rest = [
            owed
            for owed in self._of(instance)
            if int(within.after) < int(owed.delivery.id) <= int(within.until)
            and matches(owed.delivery, wanted)
        ]
        seen = rest[:limit]
        return ReplayWindow(
            [self._source(each) for each in seen],
            seen[-1].delivery.id if len(seen) == limit else None,
            seen[-1].delivery.created_at if seen else None,
        )

    def add(
        self, instance: InstanceId, replays: Sequence[Replay], now: datetime
    ) -> Sequence[Replay]:
        """See the port."""
        sources = {each.delivery.id: each for each in self._of(instance)}
        wanted = [
            replay
            for replay in replays
            if replay.of in sources and self._source(sources[replay.of]).is_replayable
        ]
        for each in wanted:
            again = _again(sources[each.of].delivery, each, now)
            self._tables.deliveries[each.id] = OwedDelivery(
                instance=instance, delivery=again, has_dependents=False
            )
        return wanted

    def _of(self, instance: InstanceId) -> list[OwedDelivery]:
        owed = [
            delivery
            for delivery in self._tables.deliveries.values()
            if delivery.instance == instance
        ]
        return sorted(owed, key=lambda each: int(each.delivery.id))

    def _source(self, owed: OwedDelivery) -> ReplaySource:
        is_final = owed.delivery.state.is_final
        return ReplaySource(
            owed.delivery.id, is_final and owed.target_queue_name in self._tables.targets
        )


def _again(delivery: Delivery, replay: Replay, now: datetime) -> Delivery:
    return Delivery(
        id=replay.id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        target_id=delivery.target_id,
        execution=delivery.execution,
        state=DeliveryState.PENDING,
        attempt_count=0,
        created_at=now,
        next_attempt_at=now,
        payload=delivery.payload,
        replay_of=delivery.id,
    )
