"""Replays in SQL: bounded scans of the log, and new deliveries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from operator import itemgetter

from outrider.adapters.sql.delivery.id_range import ids_since, ids_until
from outrider.adapters.sql.delivery.target_queues import HAS_TARGET_QUEUE, SqlTargetQueues
from outrider.adapters.sql.schema.connection import Connection, from_time, marks, to_number, to_time
from outrider.adapters.sql.schema.filters import Where
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import Replay, ReplayRange, ReplaySource, ReplayWindow
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, InstanceId, TargetId

_DEAD = DeliveryState.DEAD
# Of ours: the numbers of an enumeration. SQLite finds `state = 5` in its index, not `state = ?`.
_FINAL = f"({', '.join(str(state.value) for state in DeliveryState if state.is_final)})"
_TARGET = (
    "LEFT JOIN targets ON targets.instance_id = {0}.instance_id AND targets.id = {0}.target_id"
    " AND targets.deleted_at IS NULL"
)

_ADD = (
    "INSERT INTO deliveries (id, instance_id, event_number, target_id, state, created_at,"  # noqa: S608 - ours
    " due_at, queued_due_at, has_dependents, replay_of)"
    " SELECT CAST(? AS BIGINT), deliveries.instance_id, event_number, target_id,"
    " CAST(? AS INTEGER), CAST(? AS BIGINT),"
    f" CASE WHEN {HAS_TARGET_QUEUE} THEN NULL ELSE CAST(? AS BIGINT) END,"
    f" CASE WHEN {HAS_TARGET_QUEUE} THEN CAST(? AS BIGINT) END, 0, deliveries.id"
    " FROM deliveries JOIN targets ON targets.instance_id = deliveries.instance_id"
    " AND targets.id = deliveries.target_id AND targets.deleted_at IS NULL"
    f" WHERE deliveries.instance_id = ? AND deliveries.id = ? AND state IN {_FINAL}"
    " RETURNING target_id"
)


class SqlReplays:
    """`Replays` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def named(self, instance: InstanceId, ids: Collection[DeliveryId]) -> Sequence[ReplaySource]:
        numbers = [number for delivery_id in ids if (number := to_number(delivery_id)) is not None]
        if not numbers:
            return []
        rows = self._connection.execute(
            f"SELECT deliveries.id, deliveries.state IN {_FINAL} AND targets.id IS NOT NULL"  # noqa: S608 - ours
            f" FROM deliveries {_TARGET.format('deliveries')}"
            f" WHERE deliveries.instance_id = ? AND deliveries.id IN ({marks(numbers)})"
            " ORDER BY deliveries.id",
            (instance, *numbers),
        )
        return [
            ReplaySource(DeliveryId(str(number)), bool(is_replayable))
            for number, is_replayable in rows
        ]

    def scan(
        self, instance: InstanceId, query: DeliverySearch, within: ReplayRange, limit: int
    ) -> ReplayWindow:
        scanned, matching = _scanned(instance, query), _matching(instance, query)
        scanned.add(
            "id > ?", max(int(within.after), ids_since(self._connection, query.created_since) - 1)
        )
        scanned.add(
            "id <= ?", min(int(within.until), ids_until(self._connection, query.created_until))
        )
        rows = self._connection.execute(
            f"SELECT seen.id, seen.created_at, {matching.text},"  # noqa: S608 - ours
            f" seen.state IN {_FINAL} AND targets.id IS NOT NULL FROM"
            f" (SELECT * FROM deliveries WHERE {scanned.text} ORDER BY id LIMIT ?) AS seen"
            " JOIN events ON events.number = seen.event_number"
            f" {_TARGET.format('seen')}",
            (*matching.values, *scanned.values, limit),
        ).fetchall()
        rows.sort(key=itemgetter(0))
        found = [
            ReplaySource(DeliveryId(str(number)), bool(is_replayable))
            for number, _, is_match, is_replayable in rows
            if is_match
        ]
        is_rest = len(rows) == limit
        return ReplayWindow(
            found,
            DeliveryId(str(rows[-1][0])) if is_rest else None,
            to_time(rows[-1][1]) if rows else None,
        )

    def add(
        self, instance: InstanceId, replays: Sequence[Replay], now: datetime
    ) -> Sequence[Replay]:
        at, pending = from_time(now), DeliveryState.PENDING.value
        rows = self._connection.first_of_each(
            _ADD,
            [
                (int(replay.id), pending, at, at, at, instance, to_number(replay.of))
                for replay in replays
            ],
        )
        targets = {(instance, TargetId(row[0])) for row in rows if row is not None}
        SqlTargetQueues(self._connection).refresh_targets(targets)
        return [replay for replay, row in zip(replays, rows, strict=True) if row is not None]


def _scanned(instance: InstanceId, query: DeliverySearch) -> Where:
    """What an index leads to, in the order of ids: rows that do not fit are not read for nothing."""
    if query.event_id is not None:
        where = Where(
            "event_number = (SELECT number FROM events WHERE instance_id = ? AND id = ?)",
            instance,
            query.event_id,
        )
    elif query.states == (_DEAD,):
        where = Where(f"state = {_DEAD.value} AND instance_id = ?", instance)
    elif query.target_id is not None:
        where = Where("instance_id = ? AND target_id = ?", instance, query.target_id)
    else:
        where = Where("1 = 1")
    return where


def _matching(instance: InstanceId, query: DeliverySearch) -> Where:
    where = Where("seen.instance_id = ?", instance)
    if query.states:
        where.add(
            f"seen.state IN ({marks(query.states)})", *(state.value for state in query.states)
        )
    if query.target_id is not None:
        where.add("seen.target_id = ?", query.target_id)
    if query.event_type is not None:
        where.add("events.type = ?", query.event_type)
    if query.created_since is not None:
        where.add("seen.created_at >= ?", from_time(query.created_since))
    if query.created_until is not None:
        where.add("seen.created_at < ?", from_time(query.created_until))
    return where
