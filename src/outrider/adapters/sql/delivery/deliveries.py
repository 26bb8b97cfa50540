"""The delivery log and the worker's queue operations in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from outrider.adapters.sql.delivery import cancellations, ordering, transitions
from outrider.adapters.sql.delivery.claims import Claim, next_due
from outrider.adapters.sql.delivery.target_queues import SqlTargetQueues
from outrider.adapters.sql.delivery.transitions import MOVED_AT_ONCE, Moved
from outrider.adapters.sql.schema.connection import (
    Connection,
    Row,
    from_time,
    to_duration,
    to_number,
    to_optional_time,
    to_time,
)
from outrider.adapters.sql.schema.filters import Where
from outrider.domain.calls.request import Stage
from outrider.domain.delivery.circuit_breaker import BreakerChange
from outrider.domain.delivery.delivery import (
    Attempt,
    ClaimedDelivery,
    Delivery,
    DeliveryState,
    Dependents,
    Settlement,
)
from outrider.domain.delivery.replay import Replay
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.target_queue import (
    NO_CLAIM_LIMITS,
    ClaimLimits,
    TargetKey,
    TargetQueue,
    after_settlement,
    not_after,
)
from outrider.domain.ids import DeliveryId, EventId, ExecutionId, InstanceId, TargetId
from outrider.domain.outcome import Outcome
from outrider.domain.routing.condition import ConditionKind
from outrider.usecases.ports.deliveries import NotableSettlement, SettleResult, Weigh, no_weight

_EVENT = ConditionKind.EVENT.value
_SELECT = (
    "SELECT deliveries.id, events.id, events.type, deliveries.target_id, events.execution_id,"
    " deliveries.state, deliveries.attempt_count, deliveries.created_at,"
    " CASE WHEN deliveries.waits_on IS NULL THEN coalesce(deliveries.due_at, deliveries.queued_due_at)"
    " END,"
    " deliveries.finished_at, deliveries.replay_of{more}"
    " FROM deliveries JOIN events ON events.number = deliveries.event_number"
)
_ANY_HALTED = (
    f"SELECT 1 FROM deliveries WHERE instance_id = ? AND state = {DeliveryState.DEAD.value}"  # noqa: S608 - ours
    " AND aggregate IS NOT NULL LIMIT 1"
)
# A delivery goes back to the first that it repeats, as do all others that repeat that one.
_HALTED = (
    "SELECT halted.id, CAST(? AS BIGINT), halted.aggregate, halted.target_id FROM deliveries AS source"  # noqa: S608 - ours
    " JOIN deliveries AS halted ON halted.id IN (source.id, source.replay_root)"
    " OR halted.replay_root = coalesce(source.replay_root, source.id)"
    f" WHERE source.id = ? AND source.instance_id = ? AND halted.state = {DeliveryState.DEAD.value}"
    " AND halted.aggregate IS NOT NULL LIMIT 1"
)


class _ClaimedRow(NamedTuple):
    """A settlement of a delivery that its owner has still claimed."""

    number: int
    settlement: Settlement
    target_key: TargetKey
    has_key: bool

    def cancelled(self) -> _ClaimedRow:
        """Its target was deleted while it was attempted: it is not tried again."""
        cancelled = replace(
            self.settlement,
            state=DeliveryState.CANCELLED,
            due_at=None,
            dependents=Dependents.RELEASE,
        )
        return self._replace(settlement=cancelled)

    def gives_up_key(self, target_queue: TargetQueue | None) -> bool:
        """Whether those behind it move up."""
        state = self.settlement.state
        is_halted = (
            state is DeliveryState.DEAD and target_queue is not None and target_queue.halts_on_dead
        )
        return self.has_key and state.is_final and not is_halted


class SqlDeliveries:
    """`Deliveries` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._target_queues = SqlTargetQueues(connection)

    def search(self, instance: InstanceId, query: DeliverySearch) -> Sequence[Delivery]:
        where = _where(instance, query)
        rows = self._connection.execute(
            f"{_SELECT.format(more='')} WHERE {where.text} ORDER BY deliveries.id DESC LIMIT ?",
            (*where.values, query.limit),
        )
        return [_delivery(row) for row in rows]

    def get(self, instance: InstanceId, delivery: DeliveryId) -> Delivery | None:
        number = to_number(delivery)
        row = self._connection.execute(
            f"{_SELECT.format(more=', events.body')} WHERE deliveries.instance_id = ?"
            " AND deliveries.id = ?",
            (instance, number),
        ).fetchone()
        if row is None:
            return None
        attempts = self._connection.execute(
            "SELECT number, started_at, duration, outcome, stage, status_code, error, body_prefix"
            " FROM attempts WHERE delivery_id = ? ORDER BY number",
            (number,),
        )
        return replace(_delivery(row), payload=row[11], attempts=tuple(map(_attempt, attempts)))

    def claim(
        self, owner: str, now: datetime, limit: int, claim_limits: ClaimLimits = NO_CLAIM_LIMITS
    ) -> Sequence[ClaimedDelivery]:
        rows = Claim(self._connection, owner, now, limit, claim_limits).run()
        return [claimed_from_row(row) for row in rows]

    def settle(
        self, owner: str, settlements: Sequence[Settlement], now: datetime, weigh: Weigh = no_weight
    ) -> SettleResult:
        at = from_time(now)
        target_queues = self._target_queues.of_owner(owner)
        known = self._claimed(owner, settlements)
        gone = self._of_deleted_targets(
            [row.number for row in known if row.settlement.state is DeliveryState.RETRYING]
        )
        if gone:
            known = [row.cancelled() if row.number in gone else row for row in known]
        claimed, moved = self._within_bounds(known, target_queues, at, weigh)
        changes = _move_on(target_queues, claimed)
        transitions.settle_claimed(
            self._connection,
            [(row.number, row.settlement, row.target_key) for row in claimed],
            target_queues,
            at,
        )
        if target_queues:
            given_up = [
                row.number for row in claimed if row.gives_up_key(target_queues.get(row.target_key))
            ]
            ordering.promote_next(self._connection, given_up)
        self._target_queues.refresh(target_queues)
        self._target_queues.refresh_targets(moved - target_queues.keys())
        cancellations.take_effect(self._connection, at)
        rest = tuple(row.settlement for row in known[len(claimed) :])
        return SettleResult(len(claimed), self._notable(claimed, changes), rest)

    def _within_bounds(
        self,
        known: Sequence[_ClaimedRow],
        target_queues: Mapping[TargetKey, TargetQueue],
        at: int,
        weigh: Weigh,
    ) -> tuple[Sequence[_ClaimedRow], set[TargetKey]]:
        """The first ones, with which this transaction is full; the targets of their dependents."""
        moved, weight = Moved(), 0
        breakers = {
            target_key
            for target_key, target_queue in target_queues.items()
            if target_queue.breaker.failures
        }
        for position, row in enumerate(known):
            settlement = row.settlement
            has_breaker = row.target_key in breakers
            if has_breaker or settlement.state is DeliveryState.DEAD:
                weight += weigh(row.target_key[0], settlement, has_breaker)
            if position and (moved.rows >= MOVED_AT_ONCE or weight > MOVED_AT_ONCE):
                return known[:position], moved.target_keys
            if settlement.dependents is not Dependents.WAIT:
                transitions.move_dependents(
                    self._connection, row.number, settlement.dependents, at, moved
                )
        return known, moved.target_keys

    def release_claims(self, owner: str, deliveries: Collection[DeliveryId], now: datetime) -> None:
        transitions.release_claims(self._connection, owner, map(int, deliveries), from_time(now))
        cancellations.take_effect(self._connection, from_time(now))

    def claimed_by(self, owner: str) -> set[DeliveryId]:
        rows = self._connection.execute("SELECT id FROM deliveries WHERE owner = ?", (owner,))
        return {DeliveryId(str(number)) for (number,) in rows}

    def next_due(self, excluded: Collection[TargetKey] = ()) -> datetime | None:
        return to_optional_time(next_due(self._connection, excluded))

    def suspended(self, target_keys: Collection[TargetKey], now: datetime) -> set[TargetKey]:
        target_queues = self._target_queues.get_many(target_keys)
        return {
            target_key
            for target_key, target_queue in target_queues.items()
            if target_queue.is_suspended(now)
        }

    def newest(self) -> datetime | None:
        row = self._connection.execute(
            "SELECT created_at FROM deliveries ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return None if row is None else to_time(row[0])

    def clock_went_back(self, now: datetime, after: int = 0) -> int | None:
        last = transitions.first_attempts_now(self._connection, from_time(now), after)
        if last is not None:
            return last
        target_queues = self._target_queues.all()
        self._target_queues.refresh(
            {
                target_key: not_after(target_queue, now)
                for target_key, target_queue in target_queues.items()
            }
        )
        return None

    def resume_keys(
        self, instance: InstanceId, replays: Sequence[Replay]
    ) -> Collection[DeliveryId]:
        if self._connection.execute(_ANY_HALTED, (instance,)).fetchone() is None:
            return set()
        rows = self._connection.first_of_each(
            _HALTED, [(int(replay.id), int(replay.of), instance) for replay in replays]
        )
        halted = [row for row in rows if row is not None]
        ordering.resume_keys(self._connection, [(row[0], row[1], row[2]) for row in halted])
        self._target_queues.refresh_targets({(instance, TargetId(row[3])) for row in halted})
        return {DeliveryId(str(row[0])) for row in halted}

    def make_due(
        self, instance: InstanceId, deliveries: Collection[DeliveryId], now: datetime
    ) -> Collection[TargetId]:
        numbers = [number for id_ in deliveries if (number := to_number(id_)) is not None]
        targets = transitions.make_due(self._connection, instance, numbers, from_time(now))
        self._target_queues.refresh_targets({(instance, target) for target in targets})
        return targets

    def _claimed(self, owner: str, settlements: Sequence[Settlement]) -> Sequence[_ClaimedRow]:
        """Those that the owner may write, one for each delivery.

        A worker that was thought dead may claim a delivery again while its first attempt is still
        under way: that one was recorded as LOST, and its number gives it away.
        """
        dialect = self._connection.dialect
        clause, value = dialect.one_of(
            "id", [int(settlement.delivery_id) for settlement in settlements]
        )
        rows = self._connection.execute(
            # Not "owner = ?": found by owner it would be all that it has claimed, thrice as much.
            "SELECT id, attempt_count + 1, instance_id, target_id, aggregate FROM deliveries"  # noqa: S608 - ours
            f" WHERE {clause} AND coalesce(owner, '') = ?{dialect.locked.format('deliveries')}",
            (value, owner),
        )
        known: dict[int, Row] = {row[0]: row for row in rows}
        claimed: dict[int, _ClaimedRow] = {}
        for settlement in settlements:
            number = int(settlement.delivery_id)
            row = known.get(number)
            if row is not None and (
                settlement.attempt is None or settlement.attempt.number == row[1]
            ):
                claimed.setdefault(
                    number, _ClaimedRow(number, settlement, (row[2], row[3]), row[4] is not None)
                )
        return list(claimed.values())

    def _notable(
        self, claimed: Sequence[_ClaimedRow], changes: Mapping[int, BreakerChange]
    ) -> list[NotableSettlement]:
        return [
            self._noted(row, changes.get(row.number))
            for row in claimed
            if row.settlement.state is DeliveryState.DEAD or row.number in changes
        ]

    def _noted(self, row: _ClaimedRow, change: BreakerChange | None) -> NotableSettlement:
        event_id, event_type, hops = self._connection.execute(
            "SELECT events.id, events.type, events.hops FROM events JOIN deliveries"
            " ON deliveries.event_number = events.number WHERE deliveries.id = ?",
            (row.number,),
        ).fetchone()
        return NotableSettlement(
            row.settlement, *row.target_key, EventId(event_id), event_type, hops, change
        )

    def _of_deleted_targets(self, numbers: Sequence[int]) -> set[int]:
        if not numbers:
            return set()
        clause, value = self._connection.dialect.one_of("deliveries.id", numbers)
        rows = self._connection.execute(
            "SELECT deliveries.id FROM deliveries LEFT JOIN targets"  # noqa: S608 - ours
            " ON targets.instance_id = deliveries.instance_id AND targets.id = deliveries.target_id"
            " AND targets.deleted_at IS NULL"
            f" WHERE {clause} AND targets.id IS NULL",
            (value,),
        )
        return {number for (number,) in rows}


def claimed_from_row(row: Row) -> ClaimedDelivery:
    """From the columns of `claims.CLAIMED_COLUMNS`."""
    return ClaimedDelivery(
        DeliveryId(str(row[0])),
        row[1],
        row[2],
        row[3] + 1,
        to_time(row[4]),
        bool(row[5]),
        row[6],
        row[7],
        to_optional_time(row[8]),
        # Calls of asynchronous targets of requests, responses and functions are no events.
        EventId(row[9] if row[10] is None or row[10].startswith(_EVENT) else ""),
        None if row[11] is None else DeliveryId(str(row[11])),
        row[12],
    )


def _move_on(
    target_queues: dict[TargetKey, TargetQueue], claimed: Sequence[_ClaimedRow]
) -> dict[int, BreakerChange]:
    """Let target queues see how attempts ended; return what that did to breakers, by delivery."""
    changes: dict[int, BreakerChange] = {}
    for row in claimed if target_queues else ():
        target_queue = target_queues.get(row.target_key)
        if target_queue is not None:
            target_queues[row.target_key], change = after_settlement(target_queue, row.settlement)
            if change is not None:
                changes[row.number] = change
    return changes


def _where(instance: InstanceId, query: DeliverySearch) -> Where:
    where = Where("deliveries.instance_id = ?", instance)
    if query.states:
        # Numbers of an enumeration: with a parameter SQLite does not see that the dead have an index.
        states = ", ".join(str(state.value) for state in query.states)
        where.add(f"deliveries.state IN ({states})")
    if query.target_id is not None:
        where.add("deliveries.target_id = ?", query.target_id)
    if query.event_type is not None:
        where.add("events.type = ?", query.event_type)
    if query.event_id is not None:
        where.add("events.instance_id = ? AND events.id = ?", instance, query.event_id)
    if query.created_since is not None:
        where.add("deliveries.created_at >= ?", from_time(query.created_since))
    if query.created_until is not None:
        where.add("deliveries.created_at < ?", from_time(query.created_until))
    if query.before is not None:
        where.add("deliveries.id < ?", to_number(query.before))
    return where


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=DeliveryId(str(row[0])),
        event_id=EventId(row[1]),
        event_type=row[2],
        target_id=TargetId(row[3]),
        execution=ExecutionId(row[4] or ""),
        state=DeliveryState(row[5]),
        attempt_count=row[6],
        created_at=to_time(row[7]),
        next_attempt_at=to_optional_time(row[8]),
        finished_at=to_optional_time(row[9]),
        replay_of=None if row[10] is None else DeliveryId(str(row[10])),
    )


def _attempt(row: Row) -> Attempt:
    return Attempt(
        number=row[0],
        started_at=to_time(row[1]),
        duration=to_duration(row[2]),
        outcome=Outcome(row[3]),
        stage=Stage(row[4]),
        status_code=row[5],
        error=row[6],
        body_prefix=row[7],
    )
