"""The cleaner: rolls up counts of what was settled, and deletes what is kept no longer.

It also finishes deletions whose process ended amid them. It works in small parts and rests between them, so that deliveries come first. Every worker has one;
a leader lease lets only one work at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.ids import InstanceId, TargetId
from outrider.runtime import Runtime
from outrider.usecases.failure_log import FailureLog
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.store import Store, Unit
from outrider.worker.testsignal import TestSignal


@dataclass(frozen=True, slots=True)
class RetentionPeriods:
    """`delivered` is for cancelled deliveries, too; both count from when a delivery was settled.

    `events` counts from when an event was published. Until then a second one with its id is a
    duplicate, also when its deliveries are deleted already. An event that has deliveries stays
    as long as they do.
    """

    delivered: timedelta
    dead: timedelta
    events: timedelta


T = TypeVar("T")

EVERY_S = 5.0
LEADER_LEASE = timedelta(seconds=30)
_DELETED_AT_ONCE = 500
_ROLLED_UP_AT_ONCE = 2000
# The pause after a step, as a multiple of the step's time: others have the store most of the time.
_REST = 3
_LEAST_REST_S = 0.001
# Scans of events that still have deliveries delete nothing: a sweep makes this number, and the next
# one continues from there.
_IDLE_SCANS = 10


class LeadershipLost(Exception):
    """Another cleaner leads: this one has not worked for too long."""


@dataclass(slots=True)
class Cleaner:
    """Roll up counts and delete what has expired. One runs in every worker.

    `owner` names it; a name is never used twice.
    """

    store: Store
    runtime: Runtime
    retention: RetentionPeriods
    log: Log
    owner: str
    swept_signal: TestSignal = field(default_factory=TestSignal)
    # The position where the next scan of old events begins.
    _events_after: int = 0

    async def run(self) -> None:
        """Sweep immediately, then every few seconds, until cancelled."""
        failures = FailureLog(self.log)
        while True:
            swept = 0
            try:
                swept = await self.sweep()
            except LeadershipLost:
                failures.succeeded()
            except Exception as failure:  # noqa: BLE001 - it outlives a store that is down
                failures.failed("cleaner.failed", failure)
            else:
                failures.succeeded()
            self.swept_signal.send(swept)
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """Roll up and delete all there is; return how many deliveries and events were deleted.

        Raise `LeadershipLost` when another one leads.
        """
        while await self._part(self._roll_up) == _ROLLED_UP_AT_ONCE:
            pass
        await self._finish_deletions()
        deliveries = await self._delete_deliveries()
        events = await self._delete_events()
        if deliveries or events:
            self.log.info("retention.deleted", deliveries=deliveries, events=events)
        return deliveries + events

    async def _finish_deletions(self) -> None:
        """Of targets and instances whose process ended amid them."""
        for target_key in await self.store.read(lambda unit: unit.targets.unfinished_deletions()):
            finish = partial(_finish_target, *target_key, self.runtime.now())
            while not await self._part(finish):
                pass
        for instance in await self.store.read(lambda unit: unit.instances.unfinished_deletions()):
            while not await self._part(partial(_finish_instance, instance)):
                pass

    async def _delete_deliveries(self) -> int:
        periods = {
            DeliveryState.DELIVERED: self.retention.delivered,
            DeliveryState.CANCELLED: self.retention.delivered,
            DeliveryState.DEAD: self.retention.dead,
        }
        deleted = 0
        for state, period in periods.items():
            part = partial(_delete_some, state, self.runtime.now() - period)
            count = _DELETED_AT_ONCE
            while count == _DELETED_AT_ONCE:
                count = await self._part(part)
                deleted += count
        return deleted

    async def _delete_events(self) -> int:
        before = self.runtime.now() - self.retention.events
        deleted, idle = 0, 0
        while idle < _IDLE_SCANS:
            count, rest = await self._part(
                lambda unit: unit.retention.delete_expired_events(
                    before, self._events_after, _DELETED_AT_ONCE
                )
            )
            deleted += count
            idle += not count
            self._events_after = rest or 0
            if rest is None:
                break
        return deleted

    def _roll_up(self, unit: Unit) -> int:
        return unit.delivery_counts.roll_up(self.runtime.now(), _ROLLED_UP_AT_ONCE)

    async def _part(self, work: Callable[[Unit], T]) -> T:
        """One transaction of ours, as the leader, and a rest."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        result = await self.store.write(lambda unit: self._as_leader(unit, work))
        await asyncio.sleep(max(_LEAST_REST_S, _REST * (loop.time() - began)))
        return result

    def _as_leader(self, unit: Unit, work: Callable[[Unit], T]) -> T:
        now = self.runtime.now()
        if not unit.retention.acquire_leadership(self.owner, now, now + LEADER_LEASE):
            raise LeadershipLost
        return work(unit)


def _delete_some(state: DeliveryState, before: datetime, unit: Unit) -> int:
    return unit.retention.delete_expired_deliveries(state, before, _DELETED_AT_ONCE)


def _finish_target(instance: InstanceId, target: TargetId, now: datetime, unit: Unit) -> bool:
    return unit.targets.finish_deletion(instance, target, now)


def _finish_instance(instance: InstanceId, unit: Unit) -> bool:
    return unit.instances.finish_deletion(instance)
