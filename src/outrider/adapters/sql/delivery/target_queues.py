"""Target queues in SQL: the limits of a target, and the time of its next claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from outrider.adapters.sql.schema.connection import (
    Connection,
    Row,
    from_duration,
    from_optional_time,
    to_duration,
    to_optional_time,
)
from outrider.domain.delivery.circuit_breaker import BreakerState
from outrider.domain.delivery.target_queue import TargetKey, TargetQueue, ready_at
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.targets.policy import Breaker

_COLUMNS = (
    "is_paused, max_concurrency, rate_per_second, is_ordered, halts_on_dead, breaker_failures,"
    " breaker_open_for, failures, open_until, tokens, tokens_at, slow_start_window, last_claimed_at"
)
_COLUMN_NAMES = [part.strip() for part in _COLUMNS.split(",")]
_ASSIGNMENTS = ", ".join(f"{column} = ?" for column in _COLUMN_NAMES)
_SELECT = f"SELECT {_COLUMNS} FROM target_queues WHERE instance_id = ? AND target_id = ?"  # noqa: S608 - ours
_FIRST_DUE = (
    "SELECT target_id, (SELECT queued_due_at FROM deliveries"
    " WHERE deliveries.instance_id = target_queues.instance_id"
    " AND deliveries.target_id = target_queues.target_id AND queued_due_at IS NOT NULL"
    " AND waits_on IS NULL ORDER BY queued_due_at, id LIMIT 1)"
    " FROM target_queues WHERE instance_id = ?"
)
_READY_LATER = (
    "SELECT target_id FROM target_queues WHERE instance_id = ? AND is_paused = 0"
    " AND coalesce(ready_at > ?, TRUE)"
)
_REMOVE = (
    "DELETE FROM target_queues WHERE instance_id = ? AND target_id = ? AND promoting = 0"
    " AND backfill_after IS NULL RETURNING instance_id"
)
# Ordering keys that are still to be backfilled or promoted are work, too.
_READY_AT = (
    "CASE WHEN promoting <> 0 OR backfill_after IS NOT NULL THEN coalesce(last_claimed_at, 0)"
    " ELSE CAST(? AS BIGINT) END"
)
_REFRESH = (
    f"UPDATE target_queues SET ready_at = {_READY_AT}, {_ASSIGNMENTS}"  # noqa: S608 - ours
    " WHERE instance_id = ? AND target_id = ?"
)
HAS_TARGET_QUEUE = (
    "EXISTS (SELECT 1 FROM target_queues WHERE target_queues.instance_id = deliveries.instance_id"
    " AND target_queues.target_id = deliveries.target_id)"
)
"""A condition on a row of deliveries."""


class SqlTargetQueues:
    """The target queues on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self) -> None:
        """Lock target queues, if there are any, until this transaction ends."""
        self._lock_any()

    def get(self, target_key: TargetKey) -> TargetQueue | None:
        """None: the target has none."""
        row = self._connection.execute(_SELECT, target_key).fetchone()
        return None if row is None else _target_queue(row)

    def get_many(self, target_keys: Iterable[TargetKey]) -> dict[TargetKey, TargetQueue]:
        """Return those that exist."""
        if not self._lock_any():
            return {}
        found: dict[TargetKey, TargetQueue] = {}
        for instance, targets in _by_instance(target_keys).items():
            clause, value = self._connection.dialect.one_of("target_id", targets)
            rows = self._connection.execute(
                f"SELECT target_id, {_COLUMNS} FROM target_queues WHERE instance_id = ? AND {clause}",  # noqa: S608
                (instance, value),
            )
            found.update({(instance, TargetId(row[0])): _target_queue(row[1:]) for row in rows})
        return found

    def ordering_of(
        self, instance: InstanceId, targets: Iterable[TargetId]
    ) -> dict[TargetId, bool]:
        """Which targets have a target queue, and whether it is ordered."""
        if not self._lock_any():
            return {}
        clause, value = self._connection.dialect.one_of("target_id", list(set(targets)))
        rows = self._connection.execute(
            f"SELECT target_id, is_ordered FROM target_queues WHERE instance_id = ? AND {clause}",  # noqa: S608
            (instance, value),
        )
        return {TargetId(target): bool(is_ordered) for target, is_ordered in rows}

    def all(self) -> dict[TargetKey, TargetQueue]:
        """Every target queue there is."""
        if not self._lock_any():
            return {}
        rows = self._connection.execute(
            f"SELECT instance_id, target_id, {_COLUMNS} FROM target_queues"  # noqa: S608 - ours
        )
        return {
            (InstanceId(row[0]), TargetId(row[1])): _target_queue(row[2:])
            for row in rows.fetchall()
        }

    def of_owner(self, owner: str) -> dict[TargetKey, TargetQueue]:
        """The target queues of what a worker has claimed."""
        if not self._lock_any():
            return {}
        rows = self._connection.execute(
            "SELECT DISTINCT instance_id, target_id FROM deliveries WHERE owner = ?", (owner,)
        )
        return self.get_many([(InstanceId(row[0]), TargetId(row[1])) for row in rows])

    def ready(self, at: int, limit: int) -> list[tuple[TargetKey, TargetQueue, int]]:
        """Target queues to claim from, longest ready first, each with when it became ready."""
        if not self._lock_any():
            return []
        rows = self._connection.execute(
            f"SELECT instance_id, target_id, ready_at, {_COLUMNS} FROM target_queues WHERE ready_at <= ?"  # noqa: S608 - ours
            " ORDER BY ready_at, instance_id, target_id LIMIT ?",
            (at, limit),
        )
        return [
            ((InstanceId(row[0]), TargetId(row[1])), _target_queue(row[3:]), row[2]) for row in rows
        ]

    def first_ready(self, excluded: Iterable[TargetKey]) -> int | None:
        """When the first target queue is ready that is none of these."""
        excluded = set(excluded)
        rows = self._connection.execute(
            "SELECT ready_at, instance_id, target_id FROM target_queues WHERE ready_at IS NOT NULL"
            " ORDER BY ready_at, instance_id, target_id LIMIT ?",
            (len(excluded) + 1,),
        )
        return next((int(row[0]) for row in rows if (row[1], row[2]) not in excluded), None)

    def in_flight(self) -> dict[TargetKey, int]:
        """How many deliveries are being attempted, of every target with any."""
        # Counted here: asked to group, SQLite reads the index that has the names in order, whole.
        rows = self._connection.execute(
            "SELECT instance_id, target_id FROM deliveries WHERE owner IS NOT NULL"
        )
        return Counter((InstanceId(instance), TargetId(target)) for instance, target in rows)

    def put(self, target_key: TargetKey, target_queue: TargetQueue) -> None:
        """Write it; `refresh` sets when it is ready."""
        self._lock()
        self._connection.execute(
            f"INSERT INTO target_queues (instance_id, target_id, {_COLUMNS})"  # noqa: S608 - ours
            f" VALUES (?, ?, {', '.join('?' for _ in _COLUMN_NAMES)})"
            " ON CONFLICT (instance_id, target_id) DO UPDATE SET "
            + ", ".join(f"{column} = excluded.{column}" for column in _COLUMN_NAMES),
            (*target_key, *_row(target_queue)),
        )

    def refresh(self, target_queues: Mapping[TargetKey, TargetQueue]) -> None:
        """Write them, and set when each is ready.

        One that only its backlog kept is deleted when it is empty.
        """
        ready = self._ready(target_queues)
        if ready:
            self._connection.executemany(
                _REFRESH,
                [
                    (at, *_row(target_queues[target_key]), *target_key)
                    for target_key, at in ready.items()
                ],
            )

    def refresh_ready(self, target_queues: Mapping[TargetKey, TargetQueue]) -> None:
        """`refresh` of target queues that are as they were read: of thousands it costs less."""
        alike: dict[tuple[InstanceId, int | None], list[TargetId]] = {}
        for (instance, target), at in self._ready(target_queues).items():
            alike.setdefault((instance, at), []).append(target)
        for (instance, at), targets in alike.items():
            clause, value = self._connection.dialect.one_of("target_id", targets)
            self._connection.execute(
                f"UPDATE target_queues SET ready_at = {_READY_AT} WHERE instance_id = ? AND {clause}",  # noqa: S608
                (at, instance, value),
            )

    def refresh_targets(self, target_keys: Iterable[TargetKey]) -> None:
        """`refresh_ready` of those of these targets that have a target queue."""
        self.refresh_ready(self.get_many(target_keys))

    def refresh_due(self, target_keys: Iterable[TargetKey], at: int) -> None:
        """`refresh_targets` where deliveries have come to be due at this time, and nothing else.

        A target queue that is paused, or was ready before, is so afterwards.
        """
        if not self._lock_any():
            return
        later: list[TargetKey] = []
        for instance, targets in _by_instance(target_keys).items():
            clause, value = self._connection.dialect.one_of("target_id", targets)
            rows = self._connection.execute(f"{_READY_LATER} AND {clause}", (instance, at, value))
            later += [(instance, TargetId(target)) for (target,) in rows]
        self.refresh_targets(later)

    def _ready(self, target_queues: Mapping[TargetKey, TargetQueue]) -> dict[TargetKey, int | None]:
        """When each is ready; those that are empty and only had a backlog are gone."""
        if not target_queues:
            return {}
        counts: Mapping[TargetKey, int] = {}
        if any(
            queue.max_concurrency or queue.slow_start_window or queue.state.open_until
            for queue in target_queues.values()
        ):
            counts = self.in_flight()
        firsts = self._first_due(target_queues)
        removed = self._remove(
            [
                target_key
                for target_key, target_queue in target_queues.items()
                if firsts.get(target_key) is None and not target_queue.is_limited
            ]
        )
        return {
            target_key: from_optional_time(
                ready_at(
                    target_queue,
                    counts.get(target_key, 0),
                    to_optional_time(firsts.get(target_key)),
                )
            )
            for target_key, target_queue in target_queues.items()
            if target_key not in removed
        }

    def _lock_any(self) -> bool:
        """Whether there are any; if so they are this transaction's until it ends.

        So the limits of a target hold over all nodes: what is read is still so when it is written.
        """
        if self._connection.execute("SELECT 1 FROM target_queues LIMIT 1").fetchone() is None:
            return False
        self._lock()
        return True

    def _lock(self) -> None:
        lock = self._connection.dialect.lock_target_queues
        if lock:
            self._connection.execute(lock)

    def _first_due(self, target_keys: Iterable[TargetKey]) -> dict[TargetKey, int | None]:
        found: dict[TargetKey, int | None] = {}
        for instance, targets in _by_instance(target_keys).items():
            clause, value = self._connection.dialect.one_of("target_id", targets)
            rows = self._connection.execute(f"{_FIRST_DUE} AND {clause}", (instance, value))
            found.update({(instance, TargetId(target)): due_at for target, due_at in rows})
        return found

    def _remove(self, target_keys: Sequence[TargetKey]) -> set[TargetKey]:
        """Which are gone: keys that are being promoted keep one, and other transactions do.

        These may be about to put a delivery into it.
        """
        is_alone = self._connection.dialect.is_alone
        if not target_keys or (is_alone and not self._connection.execute(is_alone).fetchone()[0]):
            return set()
        rows = self._connection.first_of_each(_REMOVE, target_keys)
        return {
            target_key for target_key, row in zip(target_keys, rows, strict=True) if row is not None
        }


def _by_instance(target_keys: Iterable[TargetKey]) -> dict[InstanceId, list[TargetId]]:
    found: dict[InstanceId, list[TargetId]] = {}
    for instance, target in set(target_keys):
        found.setdefault(instance, []).append(target)
    return found


def _target_queue(row: Row) -> TargetQueue:
    return TargetQueue(
        is_paused=bool(row[0]),
        max_concurrency=row[1],
        rate_per_second=row[2],
        is_ordered=bool(row[3]),
        halts_on_dead=bool(row[4]),
        breaker=Breaker(row[5], to_duration(row[6])),
        state=BreakerState(row[7], to_optional_time(row[8])),
        tokens=row[9],
        tokens_at=to_optional_time(row[10]),
        slow_start_window=row[11],
        last_claimed_at=to_optional_time(row[12]),
    )


def _row(target_queue: TargetQueue) -> Row:
    return (
        int(target_queue.is_paused),
        target_queue.max_concurrency,
        target_queue.rate_per_second,
        int(target_queue.is_ordered),
        int(target_queue.halts_on_dead),
        target_queue.breaker.failures,
        from_duration(target_queue.breaker.open_for),
        target_queue.state.failures,
        from_optional_time(target_queue.state.open_until),
        target_queue.tokens,
        from_optional_time(target_queue.tokens_at),
        target_queue.slow_start_window,
        from_optional_time(target_queue.last_claimed_at),
    )
