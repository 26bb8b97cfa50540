"""Numbers about the log in SQL.

What is not settled is counted in an index that has nothing else. What is settled the cleaner adds
to totals, part by part; what came since is counted where it stands.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from outrider.adapters.sql.delivery.log_scan import ids_until
from outrider.adapters.sql.schema.connection import (
    Connection,
    Row,
    from_duration,
    from_time,
    to_optional_time,
)
from outrider.adapters.sql.schema.filters import Where
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.stats import (
    BUCKET,
    MAX_SCANNED,
    ROLLUP_LAG,
    DeliveryStats,
    OpenCounts,
    SettledBuckets,
    StateCounts,
    StatsSearch,
    SuspendedTargets,
    Suspension,
    Suspensions,
    measured_buckets,
    stats_of,
    worst_first,
)
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.outcome import Outcome

_FINAL = tuple(delivery_state for delivery_state in DeliveryState if delivery_state.is_final)
_BUCKET = from_duration(BUCKET)
# What was settled since the last rollup, a matter of seconds: more than this is counted by the next.
_SINCE_ROLLUP = 20_000
# A target queue knows that its target is paused, and not since when.
_SUSPENSIONS = (
    "SELECT target_id, (SELECT paused_at FROM paused_targets"
    " WHERE paused_targets.instance_id = target_queues.instance_id"
    " AND paused_targets.target_id = target_queues.target_id), open_until FROM target_queues"
    " WHERE (is_paused = 1 OR open_until IS NOT NULL)"
)

_CountsByTarget = dict[TargetId, StateCounts]


class SqlDeliveryCounts:
    """`DeliveryCounts` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(
        self,
        instance: InstanceId,
        query: StatsSearch,
        now: datetime,
        counted: OpenCounts | None = None,
    ) -> DeliveryStats:
        state_counts: _CountsByTarget = defaultdict(StateCounts)
        is_partial, settled = False, None
        if query.is_narrow:
            is_partial = self._count_newest(instance, query, state_counts)
        else:
            if counted is None:
                counted = self.open(instance, query.target_id)
            for target_id, counts in counted.items():
                state_counts[target_id].merge(counts)
            self._count_settled(instance, query.target_id, state_counts)
            settled = self._settled(instance, query.target_id, now)
        listed = worst_first(state_counts, query.targets)
        suspensions = self._suspensions(instance, query, listed)
        names = self._names(instance, {*listed, *suspensions})
        return stats_of(
            state_counts, names, query, settled, now, suspensions=suspensions, is_partial=is_partial
        )

    def suspended_targets(self, now: datetime) -> SuspendedTargets:
        paused, breaker_open, target_queues = self._connection.execute(
            "SELECT coalesce(sum(is_paused), 0),"
            " coalesce(sum(CASE WHEN open_until > ? THEN 1 ELSE 0 END), 0), count(*) FROM target_queues",
            (from_time(now),),
        ).fetchone()
        return SuspendedTargets(int(paused), int(breaker_open), int(target_queues))

    def roll_up(self, now: datetime, limit: int) -> int:
        until = from_time(now - ROLLUP_LAG)
        oldest = measured_buckets(now)[0]
        self._connection.execute("DELETE FROM delivery_buckets WHERE bucket < ?", (oldest,))
        rest = limit
        for state in _FINAL:
            rest -= self._roll_up_state(state, until, oldest, rest) if rest else 0
        return limit - rest

    def _roll_up_state(self, state: DeliveryState, until: int, oldest: int, limit: int) -> int:
        rows = self._connection.execute(
            "SELECT deliveries.instance_id, deliveries.target_id, deliveries.finished_at,"  # noqa: S608 - ours
            " deliveries.id, coalesce(attempts.outcome, 0) FROM deliveries"
            " LEFT JOIN attempts ON attempts.delivery_id = deliveries.id"
            " AND attempts.number = deliveries.attempt_count"
            f" WHERE deliveries.state = {state.value} AND deliveries.finished_at IS NOT NULL"
            " AND (deliveries.finished_at, deliveries.id) >"
            " (SELECT finished_at, delivery_id FROM rollup_marks WHERE state = ?)"
            " AND deliveries.finished_at < ?"
            " ORDER BY deliveries.finished_at, deliveries.id LIMIT ?",
            (state.value, until, limit),
        ).fetchall()
        if rows:
            self._add(state, rows, oldest)
        return len(rows)

    def _add(self, state: DeliveryState, rows: Sequence[Row], oldest: int) -> None:
        totals = Counter((row[0], row[1], state.value) for row in rows)
        buckets = Counter(
            (row[0], row[2] // _BUCKET, row[1], state.value, row[4])
            for row in rows
            if row[2] // _BUCKET >= oldest
        )
        self._connection.executemany(
            "INSERT INTO delivery_totals (instance_id, target_id, state, count)"
            " VALUES (?, ?, ?, ?) ON CONFLICT (instance_id, target_id, state)"
            " DO UPDATE SET count = delivery_totals.count + excluded.count",
            [(*columns, count) for columns, count in totals.items()],
        )
        self._connection.executemany(
            "INSERT INTO delivery_buckets (instance_id, bucket, target_id, state, outcome, count)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (instance_id, bucket, target_id, state, outcome)"
            " DO UPDATE SET count = delivery_buckets.count + excluded.count",
            [(*columns, count) for columns, count in buckets.items()],
        )
        self._connection.execute(
            "UPDATE rollup_marks SET finished_at = ?, delivery_id = ? WHERE state = ?",
            (rows[-1][2], rows[-1][3], state.value),
        )

    def open(self, instance: InstanceId, target: TargetId | None) -> OpenCounts:
        state_counts: _CountsByTarget = defaultdict(StateCounts)
        where = _of(instance, target)
        delivering = self._delivering(instance)
        rows = self._connection.execute(
            f"SELECT target_id, attempt_count, count(*), min(created_at) FROM deliveries"  # noqa: S608 - ours
            f" WHERE {where.text} AND finished_at IS NULL GROUP BY target_id, attempt_count",
            where.values,
        )
        waiting: Counter[tuple[str, bool]] = Counter()
        for target_id, attempts, count, oldest in rows:
            waiting[target_id, attempts > 0] += count
            state_counts[target_id].add(DeliveryState.PENDING, 0, to_optional_time(oldest))
        for (target_id, is_retry), count in waiting.items():
            under_way = delivering[target_id, is_retry]
            state = DeliveryState.RETRYING if is_retry else DeliveryState.PENDING
            state_counts[TargetId(target_id)].add(state, count - under_way)
            state_counts[TargetId(target_id)].add(DeliveryState.DELIVERING, under_way)
        return state_counts

    def _delivering(self, instance: InstanceId) -> Counter[tuple[str, bool]]:
        # Of all instances, and counted here: asked for one instance, or for groups, SQLite reads
        # the log through. There are as many as calls in flight.
        rows = self._connection.execute(
            "SELECT instance_id, target_id, attempt_count FROM deliveries WHERE owner IS NOT NULL"
        )
        return Counter(
            (target, attempts > 0) for owner, target, attempts in rows if owner == instance
        )

    def _count_settled(
        self, instance: InstanceId, target: TargetId | None, state_counts: _CountsByTarget
    ) -> None:
        where = _of(instance, target)
        totals = self._connection.execute(
            f"SELECT target_id, state, count FROM delivery_totals WHERE {where.text}",  # noqa: S608 - ours
            where.values,
        )
        for target_id, state, count in totals:
            state_counts[target_id].add(DeliveryState(state), count)
        for final in _FINAL:
            rows = self._connection.execute(
                "SELECT target_id, count(*) FROM (SELECT instance_id, target_id FROM deliveries"  # noqa: S608 - ours
                f" WHERE state = {final.value} AND finished_at IS NOT NULL AND (finished_at, id) >"
                " (SELECT finished_at, delivery_id FROM rollup_marks WHERE state = ?)"
                " ORDER BY finished_at, id LIMIT ?) AS since_rollup"
                f" WHERE {where.text} GROUP BY target_id",
                (final.value, _SINCE_ROLLUP, *where.values),
            )
            for target_id, count in rows:
                state_counts[target_id].add(final, count)

    def _settled(
        self, instance: InstanceId, target: TargetId | None, now: datetime
    ) -> SettledBuckets:
        where = _of(instance, target)
        first, end = measured_buckets(now)
        rows = self._connection.execute(
            f"SELECT bucket, state, outcome, sum(count) FROM delivery_buckets WHERE {where.text}"  # noqa: S608 - ours
            " AND bucket >= ? AND bucket < ? GROUP BY bucket, state, outcome",
            (*where.values, first, end),
        )
        return [
            (bucket, DeliveryState(state), Outcome(outcome) if outcome else None, int(count))
            for bucket, state, outcome, count in rows
        ]

    def _count_newest(
        self, instance: InstanceId, query: StatsSearch, state_counts: _CountsByTarget
    ) -> bool:
        """Count what fits among the newest `MAX_SCANNED`; whether there are more."""
        newest, fits = _of(instance, query.target_id), _fits(query)
        newest.add("id <= ?", ids_until(self._connection, query.created_until))
        rows = self._connection.execute(
            "SELECT seen.target_id, seen.state, count(*),"  # noqa: S608 - ours
            f" sum(CASE WHEN {fits.text} THEN 1 ELSE 0 END),"
            f" min(CASE WHEN {fits.text} AND seen.finished_at IS NULL THEN seen.created_at END)"
            f" FROM (SELECT * FROM deliveries WHERE {newest.text} ORDER BY id DESC LIMIT ?) AS seen"
            " JOIN events ON events.number = seen.event_number"
            " GROUP BY seen.target_id, seen.state",
            (*fits.values, *fits.values, *newest.values, MAX_SCANNED),
        ).fetchall()
        for target_id, state, _, count, oldest in rows:
            state_counts[target_id].add(DeliveryState(state), count, to_optional_time(oldest))
        return sum(int(row[2]) for row in rows) >= MAX_SCANNED

    def _suspensions(
        self, instance: InstanceId, query: StatsSearch, listed: Sequence[TargetId]
    ) -> Suspensions:
        """Return the suspensions of the first `query.suspended` targets, and of the listed ones."""
        where = _of(instance, query.target_id)
        rows = self._connection.execute(
            f"{_SUSPENSIONS} AND {where.text} ORDER BY target_id LIMIT ?",
            (*where.values, query.suspended),
        ).fetchall()
        if len(rows) >= query.suspended and listed:
            clause, value = self._connection.dialect.one_of("target_id", listed)
            rows += self._connection.execute(
                f"{_SUSPENSIONS} AND instance_id = ? AND {clause}", (instance, value)
            ).fetchall()
        return {
            TargetId(target_id): Suspension(
                to_optional_time(paused_at), to_optional_time(open_until)
            )
            for target_id, paused_at, open_until in rows
        }

    def _names(self, instance: InstanceId, targets: Collection[TargetId]) -> Mapping[TargetId, str]:
        if not targets:
            return {}
        clause, value = self._connection.dialect.one_of("id", sorted(targets))
        rows = self._connection.execute(
            f"SELECT id, name FROM targets WHERE instance_id = ? AND {clause}"  # noqa: S608 - ours
            " AND deleted_at IS NULL",
            (instance, value),
        )
        return dict(rows.fetchall())


def _of(instance: InstanceId, target: TargetId | None) -> Where:
    where = Where("instance_id = ?", instance)
    if target is not None:
        where.add("target_id = ?", target)
    return where


def _fits(query: StatsSearch) -> Where:
    where = Where("1 = 1")
    if query.event_type is not None:
        where.add("events.type = ?", query.event_type)
    if query.created_since is not None:
        where.add("seen.created_at >= ?", from_time(query.created_since))
    if query.created_until is not None:
        where.add("seen.created_at < ?", from_time(query.created_until))
    return where
