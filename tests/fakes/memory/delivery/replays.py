"""Looking through the log in memory, and replays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from fakes.memory.delivery.deliveries import matches
from fakes.memory.tables import QueuedDelivery, Tables
from outrider.domain.delivery.delivery import Delivery, DeliveryState
from outrider.domain.delivery.replay import LogEntry, LogRange, LogWindow, Replay
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, InstanceId


class MemoryLogScans:
    """`LogScans` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def named(self, instance: InstanceId, ids: Collection[DeliveryId]) -> Sequence[LogEntry]:
        return [
            entry_of(self._tables, row)
            for row in _of_instance(self._tables, instance)
            if row.delivery.id in ids
        ]

    def scan(
        self,
        instance: InstanceId,
        query: DeliverySearch,
        within: LogRange,
        limit: int,
        *,
        newest_first: bool = False,
    ) -> LogWindow:
        """It looks at those that fit only: nothing makes it slow."""
        rest = [
            row
            for row in _of_instance(self._tables, instance)
            if int(within.after) < int(row.delivery.id) <= int(within.until)
            and matches(row.delivery, query)
        ]
        if newest_first:
            rest.reverse()
        seen = rest[:limit]
        return LogWindow(
            [entry_of(self._tables, row) for row in seen],
            seen[-1].delivery.id if len(seen) == limit else None,
            seen[-1].delivery.created_at if seen else None,
        )


class MemoryReplays:
    """`Replays` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(
        self,
        instance: InstanceId,
        replays: Sequence[Replay],
        now: datetime,
        *,
        include_replayed: bool = True,
    ) -> Sequence[Replay]:
        written = []
        for replay in replays:
            source = self._tables.deliveries.get(replay.of)
            if source is None or source.instance != instance:
                continue
            entry = entry_of(self._tables, source)
            if entry.is_replayable and (include_replayed or not entry.is_replayed):
                self._tables.deliveries[replay.id] = QueuedDelivery(
                    instance=instance,
                    delivery=_again(source.delivery, replay, now),
                    has_dependents=False,
                    replay_root=source.replay_root or source.delivery.id,
                    was_redelivered=source.was_redelivered,
                )
                written.append(replay)
        return written


def entry_of(tables: Tables, row: QueuedDelivery) -> LogEntry:
    """What a caller who changes deliveries has to know of one."""
    root = row.replay_root or row.delivery.id
    kept = {
        other.delivery.state in _KEPT
        for other in tables.deliveries.values()
        if other.replay_root == root
    }
    return LogEntry(
        id=row.delivery.id,
        state=row.delivery.state,
        target_id=row.delivery.target_id,
        has_target=row.target_key in tables.targets,
        waits=row.depends_on is not None or row.waits_on is not None,
        due_at=row.delivery.next_attempt_at,
        is_replayed=row.was_redelivered or True in kept,
    )


_KEPT = set(DeliveryState) - {DeliveryState.DEAD, DeliveryState.CANCELLED}


def _of_instance(tables: Tables, instance: InstanceId) -> list[QueuedDelivery]:
    rows = [row for row in tables.deliveries.values() if row.instance == instance]
    return sorted(rows, key=lambda row: int(row.delivery.id))


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
