"""The delivery log in SQL, and the worker's side of the queue."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from outrider.adapters.sql import queue
from outrider.adapters.sql.columns import (
    Connection,
    Row,
    from_time,
    marks,
    to_duration,
    to_number,
    to_optional_time,
    to_time,
)
from outrider.adapters.sql.search import Where
from outrider.domain.call import Stage
from outrider.domain.delivery import (
    Attempt,
    ClaimedDelivery,
    Delivery,
    DeliveryState,
    Followers,
    Settlement,
)
from outrider.domain.ids import DeliveryId, EventId, ExecutionId, InstanceId, TargetId
from outrider.domain.outcome import Outcome
from outrider.domain.search import DeliverySearch

_SELECT = (
    "SELECT deliveries.id, events.id, events.type, deliveries.target_id, events.execution_id,"
    " deliveries.state, deliveries.attempt_count, deliveries.created_at,"
    " coalesce(deliveries.due_at, deliveries.held_due_at),"
    " deliveries.finished_at, deliveries.replay_of{more}"
    " FROM deliveries JOIN events ON events.number = deliveries.event_number"
)


class SqlDeliveries:
    """`ports.Deliveries` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def search(self, instance: InstanceId, wanted: DeliverySearch) -> Sequence[Delivery]:
        """See the port."""
        where = _where(instance, wanted)
        query = f"{_SELECT.format(more='')} WHERE {where.text} ORDER BY deliveries.id DESC LIMIT ?"
        rows = self._connection.execute(query, (*where.values, wanted.limit))
        return [_delivery(row) for row in rows]

    def get(self, instance: InstanceId, delivery: DeliveryId) -> Delivery | None:
        """See the port."""
        number = to_number(delivery)
        query = f"{_SELECT.format(more=', events.body')} WHERE deliveries.instance_id = ? AND deliveries.id = ?"
        row = self._connection.execute(query, (instance, number)).fetchone()
        if row is None:
            return None
        attempts = self._connection.execute(
            "SELECT number, started_at, duration, outcome, stage, status_code, error, excerpt"
            " FROM attempts WHERE delivery_id = ? ORDER BY number",
            (number,),
        )
        return replace(_delivery(row), payload=row[11], attempts=tuple(map(_attempt, attempts)))

    def claim(self, owner: str, now: datetime, limit: int) -> Sequence[ClaimedDelivery]:
        """See the port."""
        at = from_time(now)
        rows = queue.due_rows(self._connection, at, limit)
        if rows:
            queue.mark_claimed(self._connection, owner, at, limit)
        return [claimed_from_row(row) for row in rows]

    def settle(self, owner: str, settlements: Sequence[Settlement], now: datetime) -> int:
        """See the port."""
        held = self._held(owner, settlements)
        gone = self._of_deleted_targets(
            [number for number, each in held if each.state is DeliveryState.RETRYING]
        )
        settled = [(number, _cancelled(each) if number in gone else each) for number, each in held]
        queue.settle_held(self._connection, settled, from_time(now))
        return len(settled)

    def give_back(self, owner: str, deliveries: Collection[DeliveryId], now: datetime) -> None:
        """See the port."""
        queue.give_back(self._connection, owner, map(int, deliveries), from_time(now))

    def next_due(self) -> datetime | None:
        """See the port."""
        return to_optional_time(queue.next_due(self._connection))

    def _held(
        self, owner: str, settlements: Sequence[Settlement]
    ) -> Sequence[tuple[int, Settlement]]:
        """Those that the owner may write, one for each delivery.

        A worker that was thought dead may claim a delivery again while its first attempt is still
        under way: that one was recorded as LOST, and its number gives it away.
        """
        next_attempts: dict[int, int] = dict(
            self._connection.execute(
                "SELECT id, attempt_count + 1 FROM deliveries WHERE owner = ?", (owner,)
            )
        )
        held: dict[int, Settlement] = {}
        for each in settlements:
            number = int(each.delivery_id)
            expected = next_attempts.get(number)
            if expected is not None and (each.attempt is None or each.attempt.number == expected):
                held.setdefault(number, each)
        return list(held.items())

    def _of_deleted_targets(self, numbers: Sequence[int]) -> set[int]:
        if not numbers:
            return set()
        rows = self._connection.execute(
            "SELECT deliveries.id FROM deliveries LEFT JOIN targets"
            " ON targets.instance_id = deliveries.instance_id AND targets.id = deliveries.target_id"
            " AND targets.deleted_at IS NULL"
            " WHERE deliveries.id IN (SELECT value FROM json_each(?)) AND targets.id IS NULL",
            (json.dumps(numbers),),
        )
        return {number for (number,) in rows}


def claimed_from_row(row: Row) -> ClaimedDelivery:
    """From the columns id, instance, target, attempt_count, created_at, is_waited_for, body."""
    return ClaimedDelivery(
        DeliveryId(str(row[0])),
        row[1],
        row[2],
        row[3] + 1,
        to_time(row[4]),
        bool(row[5]),
        row[6],
    )


def _cancelled(settlement: Settlement) -> Settlement:
    # Its target was deleted while it was attempted: nobody will try it again.
    return replace(
        settlement, state=DeliveryState.CANCELLED, due_at=None, followers=Followers.RELEASE
    )


def _where(instance: InstanceId, wanted: DeliverySearch) -> Where:
    where = Where("deliveries.instance_id = ?", instance)
    if wanted.states:
        where.add(
            f"deliveries.state IN ({marks(wanted.states)})", *(each.value for each in wanted.states)
        )
    if wanted.target_id is not None:
        where.add("deliveries.target_id = ?", wanted.target_id)
    if wanted.event_type is not None:
        where.add("events.type = ?", wanted.event_type)
    if wanted.event_id is not None:
        where.add("events.instance_id = ? AND events.id = ?", instance, wanted.event_id)
    if wanted.created_since is not None:
        where.add("deliveries.created_at >= ?", from_time(wanted.created_since))
    if wanted.created_until is not None:
        where.add("deliveries.created_at < ?", from_time(wanted.created_until))
    if wanted.before is not None:
        where.add("deliveries.id < ?", to_number(wanted.before))
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
        excerpt=row[7],
    )
