"""Claim deliveries: choose the next ones if more are due than there is capacity for.

The shared queue and the ready target queues get equal shares of the capacity, and unused capacity
goes to the others. The shared queue is ordered by due time. A delivery whose target has a target
queue may still be in the shared queue; a claim moves a bounded number of these. Until all of them
have moved, claims also take deliveries from the other end of the shared queue, so that no delivery
waits for the move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from outrider.adapters.sql.delivery import ordering
from outrider.adapters.sql.delivery.target_queues import HAS_TARGET_QUEUE, SqlTargetQueues
from outrider.adapters.sql.schema.connection import Connection, Row, from_time, to_time
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.target_queue import (
    ClaimLimits,
    TargetKey,
    TargetQueue,
    after_claim,
    capacity,
    ready_at,
    share_evenly,
)

_DELIVERING = DeliveryState.DELIVERING.value
_MAX_SCANNED = 1000
_MOVES_AT_ONCE = 2
_TARGET_QUEUES_AT_ONCE = 64
# Below this, a claim is too small to tell whether a target floods the queue.
_FLOOD = 8
CLAIMED_COLUMNS = (
    "deliveries.id, deliveries.instance_id, deliveries.target_id, deliveries.attempt_count,"
    " deliveries.created_at, deliveries.has_dependents, events.body, events.trace,"
    " coalesce(deliveries.due_at, deliveries.queued_due_at), events.id, events.execution_id,"
    " deliveries.replay_of, events.hops"
)
_DUE_ROWS = (
    f"SELECT {CLAIMED_COLUMNS}, {HAS_TARGET_QUEUE} FROM deliveries"  # noqa: S608 - ours
    " JOIN events ON events.number = deliveries.event_number"
    " WHERE deliveries.due_at <= ? ORDER BY deliveries.due_at, deliveries.id LIMIT ?"
)
_NEWEST = "SELECT id FROM deliveries WHERE due_at <= ? ORDER BY due_at DESC, id DESC LIMIT ?"
_NEWEST_ROWS = (
    f"SELECT {CLAIMED_COLUMNS} FROM deliveries JOIN events ON events.number = deliveries.event_number"  # noqa: S608 - ours
    f" WHERE deliveries.id IN ({_NEWEST}) AND NOT {HAS_TARGET_QUEUE}"
    " ORDER BY deliveries.due_at DESC, deliveries.id DESC LIMIT ?"
)
_TARGET_QUEUE_ROWS = (
    f"SELECT {CLAIMED_COLUMNS} FROM deliveries JOIN events ON events.number = deliveries.event_number"  # noqa: S608 - ours
    " WHERE deliveries.instance_id = ? AND deliveries.target_id = ?"
    " AND deliveries.queued_due_at IS NOT NULL AND deliveries.waits_on IS NULL"
    " AND deliveries.queued_due_at <= ?"
    " ORDER BY deliveries.queued_due_at, deliveries.id LIMIT ?"
)


@dataclass(slots=True)
class Claim:
    """One claim of one worker. `run` returns rows for `deliveries.claimed_from_row`."""

    connection: Connection
    owner: str
    now: datetime
    limit: int
    claim_limits: ClaimLimits
    _at: int = field(init=False)
    _target_queues: SqlTargetQueues = field(init=False)
    _shared: list[Row] = field(default_factory=list)
    _taken: list[Row] = field(default_factory=list)
    _claimed_from: dict[TargetKey, tuple[TargetQueue, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._at = from_time(self.now)
        self._target_queues = SqlTargetQueues(self.connection)

    def run(self) -> Sequence[Row]:
        """Hand deliveries to `owner`: no other worker finds them due."""
        self._shared = self._due_in_shared_queue()
        share_evenly(self._participants(), self.limit)
        self._target_queues.refresh(
            {
                target_key: after_claim(target_queue, count, self.now)
                for target_key, (target_queue, count) in self._claimed_from.items()
            }
        )
        return self._taken

    def _participants(self) -> list[Callable[[int], int]]:
        ready = self._target_queues.ready(
            self._at, _TARGET_QUEUES_AT_ONCE + len(self.claim_limits.by_target)
        )
        target_queues = [entry for entry in ready if self.claim_limits.get(entry[0]) > 0]
        takers: list[Callable[[int], int]] = [
            partial(self._take_target_queue, target_key, target_queue, limit)
            for target_key, target_queue, limit in self._claimable(target_queues)
        ]
        if self._shared:
            takers.insert(self._shared_position(target_queues), self._take_shared)
        return takers

    def _claimable(
        self, target_queues: Sequence[tuple[TargetKey, TargetQueue, int]]
    ) -> Sequence[tuple[TargetKey, TargetQueue, int]]:
        counts = self._target_queues.in_flight() if target_queues else {}
        claimable, is_full = [], False
        for target_key, target_queue, _ in target_queues:
            # One part of one target's is enough for a transaction: the others are next in turn.
            is_in_order = ordering.put_in_order(self.connection, target_key, only_ask=is_full)
            is_full = is_full or not is_in_order
            limit = (
                capacity(target_queue, counts.get(target_key, 0), self.now) if is_in_order else 0
            )
            if limit:
                limit = min(limit, self.claim_limits.get(target_key))
                claimable.append((target_key, target_queue, limit))
            else:
                self._claimed_from[target_key] = target_queue, 0
        return claimable

    def _shared_position(self, target_queues: Sequence[tuple[TargetKey, TargetQueue, int]]) -> int:
        """The position of the shared queue among the target queues: first, unless too few fit."""
        if self.limit > len(target_queues):
            return 0
        (last_claimed_at,) = self.connection.execute(
            "SELECT last_claimed_at FROM shared_queue"
        ).fetchone()
        position = sum(became_ready <= last_claimed_at for *_, became_ready in target_queues)
        if position < self.limit:
            self.connection.execute("UPDATE shared_queue SET last_claimed_at = ?", (self._at,))
        return int(position)

    def _take_shared(self, count: int) -> int:
        taken, self._shared = self._shared[:count], self._shared[count:]
        self._mark_claimed(taken)
        return len(taken)

    def _take_target_queue(
        self, target_key: TargetKey, target_queue: TargetQueue, limit: int, count: int
    ) -> int:
        _, before = self._claimed_from.get(target_key, (target_queue, 0))
        rows = self._free(
            _TARGET_QUEUE_ROWS, *target_key, self._at, max(min(count, limit - before), 0)
        )
        self._claimed_from[target_key] = target_queue, before + len(rows)
        self._mark_claimed(rows)
        return len(rows)

    def _mark_claimed(self, rows: Sequence[Row]) -> None:
        if rows:
            clause, value = self.connection.dialect.one_of("id", [row[0] for row in rows])
            self.connection.execute(
                "UPDATE deliveries SET state = ?, due_at = NULL, queued_due_at = NULL, owner = ?,"  # noqa: S608 - ours
                f" claimed_at = ? WHERE {clause}",
                (_DELIVERING, self.owner, self._at, value),
            )
            self._taken.extend(rows)

    def _due_in_shared_queue(self) -> list[Row]:
        """What the shared queue has for this worker, longest due first."""
        for _ in range(_MOVES_AT_ONCE):
            rows = self._free(_DUE_ROWS, self._at, self.limit)
            if not any(row[-1] for row in rows):
                counts = _counts(rows)
                flooding_target = self._flooding_target(counts)
                if flooding_target is None:
                    return self._within_limits(rows, counts)
                self._target_queues.put(flooding_target, TargetQueue())
            move_to_target_queues(self.connection, self._at)
        rows = self._free(_DUE_ROWS, self._at, self.limit)
        if any(row[-1] for row in rows):
            rows = self._free(_NEWEST_ROWS, self._at, _MAX_SCANNED, self.limit)
        return self._within_limits(rows, _counts(rows))

    def _free(self, query: str, *values: object) -> list[Row]:
        """Rows that no other worker is about to take; none takes them from now on."""
        free_only = self.connection.dialect.free_only.format("deliveries")
        return self.connection.execute(query + free_only, values).fetchall()

    def _within_limits(self, rows: Sequence[Row], counts: Counter[TargetKey]) -> list[Row]:
        if all(count <= self.claim_limits.get(target_key) for target_key, count in counts.items()):
            return list(rows)
        left = {target_key: self.claim_limits.get(target_key) for target_key in counts}
        allowed = []
        for row in rows:
            target_key = (row[1], row[2])
            left[target_key] -= 1
            if left[target_key] >= 0:
                allowed.append(row)
        return allowed

    def _flooding_target(self, counts: Counter[TargetKey]) -> TargetKey | None:
        """The target that keeps others waiting, if there is one."""
        found = counts.total()
        is_full = found >= self.limit
        for target_key, count in counts.items():
            if not self.claim_limits.get(target_key) and (is_full or count >= _FLOOD):
                return target_key
        if not is_full or not counts:
            return None
        target_key, count = counts.most_common(1)[0]
        is_flood = self.limit >= _FLOOD and 2 * count >= found
        if not is_flood and count <= self.claim_limits.get(target_key):
            return None
        return target_key if len(counts) > 1 or self._others_wait(target_key) else None

    def _others_wait(self, target_key: TargetKey) -> bool:
        found = self.connection.execute(
            f"SELECT 1 FROM deliveries WHERE id IN ({_NEWEST})"  # noqa: S608 - ours
            " AND NOT (instance_id = ? AND target_id = ?) LIMIT 1",
            (self._at, 4 * _FLOOD, *target_key),
        )
        return found.fetchone() is not None


def _counts(rows: Sequence[Row]) -> Counter[TargetKey]:
    return Counter([row[1:3] for row in rows])


def move_to_target_queues(connection: Connection, at: int) -> None:
    """Move deliveries of targets with a target queue to it: of the first `_MAX_SCANNED` due."""
    first = f"SELECT id, {HAS_TARGET_QUEUE} AS has_target_queue FROM deliveries WHERE due_at <= ?"  # noqa: S608 - ours
    free_only = connection.dialect.free_only.format("deliveries")
    moved = connection.execute(
        "UPDATE deliveries SET queued_due_at = due_at, due_at = NULL WHERE id IN"  # noqa: S608 - ours
        f" (SELECT id FROM ({first} ORDER BY due_at, id LIMIT ?{free_only}) AS first WHERE has_target_queue)"
        " RETURNING instance_id, target_id",
        (at, _MAX_SCANNED),
    ).fetchall()
    SqlTargetQueues(connection).refresh_targets({(row[0], row[1]) for row in moved})


def next_due(connection: Connection, excluded: Collection[TargetKey]) -> int | None:
    """When the first delivery can be claimed that is of none of these targets."""
    target_queues = SqlTargetQueues(connection)
    moments = [
        target_queues.first_ready(excluded),
        _next_in_shared_queue(connection, target_queues, excluded),
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def _next_in_shared_queue(
    connection: Connection, target_queues: SqlTargetQueues, excluded: Collection[TargetKey]
) -> int | None:
    """As above, in the shared queue.

    When more than `_MAX_SCANNED` in front are of others, when the last of these is: the next claim
    moves them out of the way.
    """
    rows = connection.execute(
        f"SELECT due_at, instance_id, target_id, {HAS_TARGET_QUEUE} FROM deliveries"  # noqa: S608 - ours
        " WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT ?",
        (_MAX_SCANNED,),
    )
    seen = set(excluded)
    moments: list[int | None] = []
    for position, (due_at, instance, target, has_target_queue) in enumerate(rows, start=1):
        target_key = (instance, target)
        if position == _MAX_SCANNED or (target_key not in seen and not has_target_queue):
            moments.append(int(due_at))
            break
        if has_target_queue and target_key not in seen:
            moments.append(_due_in_target_queue(target_queues, target_key, due_at))
            seen.add(target_key)
    return min((moment for moment in moments if moment is not None), default=None)


def _due_in_target_queue(
    target_queues: SqlTargetQueues, target_key: TargetKey, due_at: int
) -> int | None:
    target_queue = target_queues.get(target_key)
    if target_queue is None:
        return due_at
    ready = ready_at(target_queue, target_queues.in_flight().get(target_key, 0), to_time(due_at))
    return None if ready is None else from_time(ready)
