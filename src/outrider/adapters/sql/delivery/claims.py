"""Claiming: who gets the next attempts, when more is due than there is room for.

The shared queue and the target queues that can be served are participants: each gets an equal share, and
what one leaves over goes to the others. The shared queue is in the order of due times. Deliveries
of targets with a target queue that are still in it are moved over when they come up, a bounded number at a
time; until all that is in the way is moved, the shared queue is served from its other end, too, so
that nobody waits for the move.
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
_LOOKED_AT = 1000
_HOLDS_AT_ONCE = 2
_TARGET_QUEUES_AT_ONCE = 64
# Below this, a claim is too small to tell whether a target crowds the queue.
_CROWD = 8
_CLAIMED = (
    "deliveries.id, deliveries.instance_id, deliveries.target_id, deliveries.attempt_count,"
    " deliveries.created_at, deliveries.has_dependents, events.body, events.trace,"
    " coalesce(deliveries.due_at, deliveries.queued_due_at)"
)
_DUE_ROWS = (
    f"SELECT {_CLAIMED}, {HAS_TARGET_QUEUE} FROM deliveries"  # noqa: S608 - ours
    " JOIN events ON events.number = deliveries.event_number"
    " WHERE deliveries.due_at <= ? ORDER BY deliveries.due_at, deliveries.id LIMIT ?"
)
_NEWEST = "SELECT id FROM deliveries WHERE due_at <= ? ORDER BY due_at DESC, id DESC LIMIT ?"
_NEWEST_ROWS = (
    f"SELECT {_CLAIMED} FROM deliveries JOIN events ON events.number = deliveries.event_number"  # noqa: S608 - ours
    f" WHERE deliveries.id IN ({_NEWEST}) AND NOT {HAS_TARGET_QUEUE}"
    " ORDER BY deliveries.due_at DESC, deliveries.id DESC LIMIT ?"
)
_TARGET_QUEUE_ROWS = (
    f"SELECT {_CLAIMED} FROM deliveries JOIN events ON events.number = deliveries.event_number"  # noqa: S608 - ours
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
    _general: list[Row] = field(default_factory=list)
    _taken: list[Row] = field(default_factory=list)
    _served: dict[TargetKey, tuple[TargetQueue, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._at = from_time(self.now)
        self._target_queues = SqlTargetQueues(self.connection)

    def run(self) -> Sequence[Row]:
        """Hand deliveries to `owner`: nobody else finds them due."""
        self._general = self._look()
        share_evenly(self._participants(), self.limit)
        self._target_queues.refresh(
            {
                name: after_claim(target_queue, count, self.now)
                for name, (target_queue, count) in self._served.items()
            }
        )
        return self._taken

    def _participants(self) -> list[Callable[[int], int]]:
        ready = self._target_queues.ready(
            self._at, _TARGET_QUEUES_AT_ONCE + len(self.claim_limits.of)
        )
        target_queues = [each for each in ready if self.claim_limits.get(each[0]) > 0]
        takers: list[Callable[[int], int]] = [
            partial(self._take_target_queue, name, target_queue, most)
            for name, target_queue, most in self._rooms(target_queues)
        ]
        if self._general:
            takers.insert(self._turn(target_queues), self._take_general)
        return takers

    def _rooms(
        self, target_queues: Sequence[tuple[TargetKey, TargetQueue, int]]
    ) -> Sequence[tuple[TargetKey, TargetQueue, int]]:
        counts = self._target_queues.in_flight() if target_queues else {}
        rooms = []
        for name, target_queue, _ in target_queues:
            is_in_order = ordering.put_in_order(self.connection, name)
            most = capacity(target_queue, counts.get(name, 0), self.now) if is_in_order else 0
            if most:
                rooms.append((name, target_queue, min(most, self.claim_limits.get(name))))
            else:
                self._served[name] = target_queue, 0
        return rooms

    def _turn(self, target_queues: Sequence[tuple[TargetKey, TargetQueue, int]]) -> int:
        """The place of the shared queue among the target queues: first, unless there is too little."""
        if self.limit > len(target_queues):
            return 0
        (last_claimed_at,) = self.connection.execute(
            "SELECT last_claimed_at FROM shared_queue"
        ).fetchone()
        place = sum(became_ready <= last_claimed_at for *_, became_ready in target_queues)
        if place < self.limit:
            self.connection.execute("UPDATE shared_queue SET last_claimed_at = ?", (self._at,))
        return int(place)

    def _take_general(self, count: int) -> int:
        taken, self._general = self._general[:count], self._general[count:]
        self._mark(taken)
        return len(taken)

    def _take_target_queue(
        self, name: TargetKey, target_queue: TargetQueue, most: int, count: int
    ) -> int:
        _, before = self._served.get(name, (target_queue, 0))
        rows = self._free(_TARGET_QUEUE_ROWS, *name, self._at, max(min(count, most - before), 0))
        self._served[name] = target_queue, before + len(rows)
        self._mark(rows)
        return len(rows)

    def _mark(self, rows: Sequence[Row]) -> None:
        if rows:
            clause, value = self.connection.dialect.one_of("id", [row[0] for row in rows])
            self.connection.execute(
                "UPDATE deliveries SET state = ?, due_at = NULL, queued_due_at = NULL, owner = ?,"  # noqa: S608 - ours
                f" claimed_at = ? WHERE {clause}",
                (_DELIVERING, self.owner, self._at, value),
            )
            self._taken.extend(rows)

    def _look(self) -> list[Row]:
        """What the shared queue has for this worker, longest due first."""
        for _ in range(_HOLDS_AT_ONCE):
            rows = self._free(_DUE_ROWS, self._at, self.limit)
            if not any(row[-1] for row in rows):
                counts = _counts(rows)
                crowd = self._crowd(counts)
                if crowd is None:
                    return self._capped(rows, counts)
                self._target_queues.put(crowd, TargetQueue())
            hold(self.connection, self._at)
        rows = self._free(_DUE_ROWS, self._at, self.limit)
        if any(row[-1] for row in rows):
            rows = self._free(_NEWEST_ROWS, self._at, _LOOKED_AT, self.limit)
        return self._capped(rows, _counts(rows))

    def _free(self, query: str, *values: object) -> list[Row]:
        """Rows that no other worker is about to take; nobody takes them from now on."""
        free_only = self.connection.dialect.free_only.format("deliveries")
        return self.connection.execute(query + free_only, values).fetchall()

    def _capped(self, rows: Sequence[Row], counts: Counter[TargetKey]) -> list[Row]:
        if all(count <= self.claim_limits.get(name) for name, count in counts.items()):
            return list(rows)
        left = {name: self.claim_limits.get(name) for name in counts}
        allowed = []
        for row in rows:
            name = (row[1], row[2])
            left[name] -= 1
            if left[name] >= 0:
                allowed.append(row)
        return allowed

    def _crowd(self, counts: Counter[TargetKey]) -> TargetKey | None:
        """The target that others wait behind, if there is one."""
        found = counts.total()
        is_full = found >= self.limit
        for name, count in counts.items():
            if not self.claim_limits.get(name) and (is_full or count >= _CROWD):
                return name
        if not is_full or not counts:
            return None
        name, count = counts.most_common(1)[0]
        is_crowd = self.limit >= _CROWD and 2 * count >= found
        if not is_crowd and count <= self.claim_limits.get(name):
            return None
        return name if len(counts) > 1 or self._others_wait(name) else None

    def _others_wait(self, name: TargetKey) -> bool:
        found = self.connection.execute(
            f"SELECT 1 FROM deliveries WHERE id IN ({_NEWEST})"  # noqa: S608 - ours
            " AND NOT (instance_id = ? AND target_id = ?) LIMIT 1",
            (self._at, 4 * _CROWD, *name),
        )
        return found.fetchone() is not None


def _counts(rows: Sequence[Row]) -> Counter[TargetKey]:
    return Counter([row[1:3] for row in rows])


def hold(connection: Connection, at: int) -> None:
    """Move deliveries of targets with a target queue over: those among the first `_LOOKED_AT` due."""
    first = f"SELECT id, {HAS_TARGET_QUEUE} AS has_target_queue FROM deliveries WHERE due_at <= ?"  # noqa: S608 - ours
    free_only = connection.dialect.free_only.format("deliveries")
    moved = connection.execute(
        "UPDATE deliveries SET queued_due_at = due_at, due_at = NULL WHERE id IN"  # noqa: S608 - ours
        f" (SELECT id FROM ({first} ORDER BY due_at, id LIMIT ?{free_only}) AS first WHERE has_target_queue)"
        " RETURNING instance_id, target_id",
        (at, _LOOKED_AT),
    ).fetchall()
    SqlTargetQueues(connection).refresh_names({(each[0], each[1]) for each in moved})


def next_due(connection: Connection, passed_over: Collection[TargetKey]) -> int | None:
    """When the first delivery can be claimed that is of none of these targets."""
    target_queues = SqlTargetQueues(connection)
    moments = [
        target_queues.first_ready(passed_over),
        _next_in_general(connection, target_queues, passed_over),
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def _next_in_general(
    connection: Connection, target_queues: SqlTargetQueues, passed_over: Collection[TargetKey]
) -> int | None:
    """As above, in the shared queue.

    When more than `_LOOKED_AT` in front are of others, when the last of these is: whoever claims
    then moves them out of the way.
    """
    rows = connection.execute(
        f"SELECT due_at, instance_id, target_id, {HAS_TARGET_QUEUE} FROM deliveries"  # noqa: S608 - ours
        " WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT ?",
        (_LOOKED_AT,),
    )
    seen = set(passed_over)
    moments: list[int | None] = []
    for position, (due_at, instance, target, has_target_queue) in enumerate(rows, start=1):
        name = (instance, target)
        if position == _LOOKED_AT or (name not in seen and not has_target_queue):
            moments.append(int(due_at))
            break
        if has_target_queue and name not in seen:
            moments.append(_due_in_target_queue(target_queues, name, due_at))
            seen.add(name)
    return min((moment for moment in moments if moment is not None), default=None)


def _due_in_target_queue(
    target_queues: SqlTargetQueues, name: TargetKey, due_at: int
) -> int | None:
    target_queue = target_queues.get(name)
    if target_queue is None:
        return due_at
    ready = ready_at(target_queue, target_queues.in_flight().get(name, 0), to_time(due_at))
    return None if ready is None else from_time(ready)
