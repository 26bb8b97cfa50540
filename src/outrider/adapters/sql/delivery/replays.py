"""Replays in SQL: new deliveries of finished ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from outrider.adapters.sql.delivery.log_scan import IS_REPLAYED
from outrider.adapters.sql.delivery.target_queues import HAS_TARGET_QUEUE, SqlTargetQueues
from outrider.adapters.sql.schema.connection import Connection, from_time, to_number
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import FINAL, Replay
from outrider.domain.ids import InstanceId, TargetId

# Of ours: the numbers of an enumeration.
_FINAL = f"({', '.join(str(state.value) for state in FINAL)})"
_ADD = (
    "INSERT INTO deliveries (id, instance_id, event_number, target_id, state, created_at,"  # noqa: S608 - ours
    " due_at, queued_due_at, has_dependents, replay_of, replay_root, was_redelivered)"
    " SELECT CAST(? AS BIGINT), deliveries.instance_id, event_number, target_id,"
    " CAST(? AS INTEGER), CAST(? AS BIGINT),"
    f" CASE WHEN {HAS_TARGET_QUEUE} THEN NULL ELSE CAST(? AS BIGINT) END,"
    f" CASE WHEN {HAS_TARGET_QUEUE} THEN CAST(? AS BIGINT) END, 0, deliveries.id,"
    " coalesce(deliveries.replay_root, deliveries.id), deliveries.was_redelivered"
    " FROM deliveries JOIN targets ON targets.instance_id = deliveries.instance_id"
    " AND targets.id = deliveries.target_id AND targets.deleted_at IS NULL"
    f" WHERE deliveries.instance_id = ? AND deliveries.id = ? AND state IN {_FINAL}"
)
_RETURNING = " RETURNING target_id"


class SqlReplays:
    """`Replays` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        instance: InstanceId,
        replays: Sequence[Replay],
        now: datetime,
        *,
        include_replayed: bool = True,
    ) -> Sequence[Replay]:
        at, pending = from_time(now), DeliveryState.PENDING.value
        # One after the other: each sees the replays that were written before it.
        only = "" if include_replayed else f" AND NOT {IS_REPLAYED.format('deliveries')}"
        rows = self._connection.first_of_each(
            _ADD + only + _RETURNING,
            [
                (int(replay.id), pending, at, at, at, instance, to_number(replay.of))
                for replay in replays
            ],
        )
        targets = {(instance, TargetId(row[0])) for row in rows if row is not None}
        SqlTargetQueues(self._connection).refresh_targets(targets)
        if targets:
            self._connection.notify_on_commit()
        return [replay for replay, row in zip(replays, rows, strict=True) if row is not None]
