"""Ordering keys in SQL: deliveries that wait for earlier ones of their aggregate.

`aggregate` is the ordering key of a delivery while the delivery is ordered. `waits_on` names the
delivery in front of it; the first delivery of a key has none. A final delivery gives its key up. If
the policy halts on dead, a dead delivery keeps its key and the others wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field

from outrider.adapters.sql.schema.connection import Connection
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.target_queue import TargetKey, TargetQueue
from outrider.domain.ids import InstanceId, TargetId

_PROMOTED_AT_ONCE = 1000
_MAX_SCANNED = 500
_OPEN = (DeliveryState.PENDING, DeliveryState.DELIVERING, DeliveryState.RETRYING)
_DEAD = DeliveryState.DEAD.value
_ALL, _HALTED = 1, 2
_LAST_OF_KEY = (
    "SELECT id FROM deliveries WHERE deliveries.instance_id = {instance}"
    " AND deliveries.target_id = {target} AND deliveries.aggregate = {aggregate}"
    " AND NOT EXISTS (SELECT 1 FROM deliveries AS later WHERE later.waits_on = deliveries.id)"
    " ORDER BY event_number DESC LIMIT 1"
)
_LAST = (
    "SELECT target_id, ("  # noqa: S608 - ours
    + _LAST_OF_KEY.format(
        instance="target_queues.instance_id", target="target_queues.target_id", aggregate="?"
    )
    + ") FROM target_queues WHERE instance_id = ?"
)
_BACKFILLING = "SELECT instance_id, target_id FROM target_queues WHERE backfill_after IS NOT NULL"


@dataclass(slots=True)
class OrderedPlaces:
    """Where new deliveries of ordered targets get their place, several in one transaction.

    `append` returns the ordering key of a delivery and the one that it waits on. Both are None
    where there is no order, and while older deliveries are still to be put in order: then the
    backfill gives it its place, after those before it.
    """

    connection: Connection
    ordered: InitVar[Sequence[TargetKey]]
    _in_order: set[TargetKey] = field(init=False)
    _last: dict[tuple[TargetKey, str], int | None] = field(default_factory=dict)

    def __post_init__(self, ordered: Sequence[TargetKey]) -> None:
        self._in_order = set(ordered)
        if ordered:
            self._in_order.difference_update(self.connection.execute(_BACKFILLING).fetchall())

    def look_up(self, instance: InstanceId, targets: Sequence[TargetId], aggregate: str) -> None:
        """Read which deliveries the next ones of an aggregate wait on, for `append`."""
        unknown = [
            target
            for target in targets
            if (instance, target) in self._in_order
            and ((instance, target), aggregate) not in self._last
        ]
        if unknown and aggregate:
            clause, value = self.connection.dialect.one_of("target_id", unknown)
            rows = self.connection.execute(f"{_LAST} AND {clause}", (aggregate, instance, value))
            for target, last in rows:
                self._last[(instance, target), aggregate] = last

    def append(
        self, target_key: TargetKey, aggregate: str, delivery: int
    ) -> tuple[str | None, int | None]:
        """Give a delivery the last place of its aggregate, which was looked up."""
        if not aggregate or target_key not in self._in_order:
            return None, None
        place = (target_key, aggregate)
        waits_on, self._last[place] = self._last[place], delivery
        return aggregate, waits_on


def promote_next(connection: Connection, numbers: Sequence[int]) -> None:
    """The deliveries give up their keys; those that waited on them are first now."""
    if numbers:
        rows = [(number,) for number in numbers]
        connection.executemany("UPDATE deliveries SET waits_on = NULL WHERE waits_on = ?", rows)
        connection.executemany(
            "UPDATE deliveries SET aggregate = NULL, waits_on = NULL WHERE id = ?", rows
        )


def resume_keys(connection: Connection, replays: Sequence[tuple[int, int, str]]) -> None:
    """Put replays in the places of dead deliveries that halt their keys: dead one, replay, key."""
    if not replays:
        return
    connection.executemany(
        "UPDATE deliveries SET waits_on = ? WHERE waits_on = ?",
        [(replay, dead) for dead, replay, _ in replays],
    )
    connection.executemany(
        "UPDATE deliveries SET aggregate = NULL WHERE id = ?", [(dead,) for dead, _, _ in replays]
    )
    connection.executemany(
        "UPDATE deliveries SET aggregate = ?, waits_on = NULL WHERE id = ?",
        [(aggregate, replay) for _, replay, aggregate in replays],
    )


def order_changed(
    connection: Connection, target_key: TargetKey, before: TargetQueue, after: TargetQueue
) -> None:
    """Note what is to be done with the keys of a target queue; `put_in_order` does it in parts."""
    if after.is_ordered and not before.is_ordered:
        work: tuple[int | None, int] = (0, 0)
    elif before.is_ordered and not after.is_ordered:
        work = (None, _ALL)
    elif before.halts_on_dead and not after.halts_on_dead:
        work = (None, _HALTED)
    else:
        return
    # Switched off before everything was in order, then on again: the backfill begins again.
    connection.execute(
        "UPDATE target_queues SET backfill_after = ?, promoting = ? WHERE instance_id = ?"
        " AND target_id = ?",
        (*work, *target_key),
    )


def put_in_order(connection: Connection, target_key: TargetKey, *, only_ask: bool = False) -> bool:
    """Do a bounded part of what is to be done, or nothing; whether all is done."""
    after, promoting = connection.execute(
        "SELECT backfill_after, promoting FROM target_queues WHERE instance_id = ? AND target_id = ?",
        target_key,
    ).fetchone() or (None, 0)
    if only_ask:
        return not promoting and after is None
    if promoting:
        last, is_done = None, _promote(connection, target_key, promoting)
    elif after is not None:
        last = _backfill(connection, target_key, after)
        is_done = last is None
    else:
        return True
    connection.execute(
        "UPDATE target_queues SET backfill_after = ?, promoting = ? WHERE instance_id = ?"
        " AND target_id = ?",
        (last, 0 if is_done else promoting, *target_key),
    )
    return is_done


def _promote(connection: Connection, target_key: TargetKey, what: int) -> bool:
    dead = f" AND state = {_DEAD}" if what == _HALTED else ""
    numbers = connection.execute(
        "SELECT id FROM deliveries WHERE instance_id = ? AND target_id = ?"  # noqa: S608 - ours
        f" AND aggregate IS NOT NULL{dead} LIMIT ?",
        (*target_key, _PROMOTED_AT_ONCE),
    ).fetchall()
    promote_next(connection, [number for (number,) in numbers])
    return len(numbers) < _PROMOTED_AT_ONCE


def _backfill(connection: Connection, target_key: TargetKey, after: int) -> int | None:
    """Order open deliveries that came before the order; return up to which id, None: all."""
    rows = connection.execute(
        "SELECT deliveries.id, deliveries.state, deliveries.aggregate, events.aggregate"
        " FROM deliveries JOIN events ON events.number = deliveries.event_number"
        " WHERE deliveries.instance_id = ? AND deliveries.target_id = ? AND deliveries.id > ?"
        " ORDER BY deliveries.id LIMIT ?",
        (*target_key, after, _MAX_SCANNED),
    ).fetchall()
    for number, state, ordering_key, aggregate in rows:
        if state in _OPEN and ordering_key is None and aggregate:
            connection.execute(
                "UPDATE deliveries SET aggregate = ?, waits_on = ?, due_at = NULL,"
                " queued_due_at = coalesce(queued_due_at, due_at) WHERE id = ?",
                (aggregate, _last_of_key(connection, target_key, aggregate), number),
            )
    return None if len(rows) < _MAX_SCANNED else int(rows[-1][0])


def _last_of_key(connection: Connection, target_key: TargetKey, aggregate: str) -> int | None:
    """The delivery that the next one of an aggregate waits on; None: there is none."""
    query = _LAST_OF_KEY.format(instance="?", target="?", aggregate="?")
    row = connection.execute(query, (*target_key, aggregate)).fetchone()
    return None if row is None else int(row[0])
