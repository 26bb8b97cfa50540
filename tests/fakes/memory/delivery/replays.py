"""Replays in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from fakes.memory.delivery.deliveries import matches
from fakes.memory.tables import QueuedDelivery, Tables
from outrider.domain.delivery.delivery import Delivery, DeliveryState
from outrider.domain.delivery.replay import Replay, ReplayRange, ReplaySource, ReplayWindow
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, InstanceId


class MemoryReplays:
    """`Replays` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def named(self, instance: InstanceId, ids: Collection[DeliveryId]) -> Sequence[ReplaySource]:
        return [self._source(row) for row in self._of(instance) if row.delivery.id in ids]

    def scan(
        self, instance: InstanceId, query: DeliverySearch, within: ReplayRange, limit: int
    ) -> ReplayWindow:
        """See the port. It looks at those that fit only: nothing makes it slow."""
        rest = [
            row
            for row in self._of(instance)
            if int(within.after) < int(row.delivery.id) <= int(within.until)
            and matches(row.delivery, query)
        ]
        seen = rest[:limit]
        return ReplayWindow(
            [self._source(row) for row in seen],
            seen[-1].delivery.id if len(seen) == limit else None,
            seen[-1].delivery.created_at if seen else None,
        )

    def add(
        self, instance: InstanceId, replays: Sequence[Replay], now: datetime
    ) -> Sequence[Replay]:
        sources = {row.delivery.id: row for row in self._of(instance)}
        replayable = [
            replay
            for replay in replays
            if replay.of in sources and self._source(sources[replay.of]).is_replayable
        ]
        for replay in replayable:
            again = _again(sources[replay.of].delivery, replay, now)
            self._tables.deliveries[replay.id] = QueuedDelivery(
                instance=instance, delivery=again, has_dependents=False
            )
        return replayable

    def _of(self, instance: InstanceId) -> list[QueuedDelivery]:
        rows = [row for row in self._tables.deliveries.values() if row.instance == instance]
        return sorted(rows, key=lambda row: int(row.delivery.id))

    def _source(self, row: QueuedDelivery) -> ReplaySource:
        is_final = row.delivery.state.is_final
        return ReplaySource(row.delivery.id, is_final and row.target_key in self._tables.targets)


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
