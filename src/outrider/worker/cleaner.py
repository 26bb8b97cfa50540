"""The cleaner: counts what was settled, and forgets what is kept no longer.

It works in small parts and rests between them, so that deliveries come first. Every worker has one;
they take turns, and only one works at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from outrider.domain.delivery.delivery import DeliveryState
from outrider.runtime import Runtime
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.store import Store, Unit
from outrider.worker.testsignal import TestSignal


@dataclass(frozen=True, slots=True)
class RetentionPeriods:
    """`delivered` is for cancelled deliveries, too; both count from when a delivery was settled.

    `events` counts from when an event was published. Until then a second one with its id is a
    duplicate, also when its deliveries are forgotten already. An event that has deliveries stays
    as long as they do.
    """

    delivered: timedelta
    dead: timedelta
    events: timedelta


T = TypeVar("T")

EVERY_S = 5.0
TURN = timedelta(seconds=30)
_AT_ONCE = 500
_TALLIED_AT_ONCE = 2000
# It rests so many times longer than it has worked: others have the store most of the time.
_REST = 3
_LEAST_REST_S = 0.001
# Looks at events that are still owed lead to nothing: each round has so many, then goes on later.
_IDLE_LOOKS = 10


class LeadershipLost(Exception):
    """Another cleaner works: this one was away for too long."""


@dataclass(slots=True)
class Cleaner:
    """Runs beside every worker. `owner` names it and is never used twice."""

    store: Store
    runtime: Runtime
    retention: RetentionPeriods
    log: Log
    owner: str
    swept_signal: TestSignal = field(default_factory=TestSignal)
    # Where the next look at old events begins.
    _events_after: int = 0

    async def run(self) -> None:
        """Sweep at once, then every few seconds, until cancelled."""
        while True:
            try:
                swept = await self.sweep()
            except LeadershipLost:
                swept = 0
            except Exception:
                # It outlives a store that is down.
                self.log.exception("cleaner.failed")
                swept = 0
            self.swept_signal.fire(swept)
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """Count and forget all there is; return how many deliveries and events are gone.

        Raise `LeadershipLost` when another one is at work.
        """
        while await self._part(self._roll_up) == _TALLIED_AT_ONCE:
            pass
        deliveries = await self._forget_deliveries()
        events = await self._forget_events()
        if deliveries or events:
            self.log.info("retention.deleted", deliveries=deliveries, events=events)
        return deliveries + events

    async def _forget_deliveries(self) -> int:
        kept = {
            DeliveryState.DELIVERED: self.retention.delivered,
            DeliveryState.CANCELLED: self.retention.delivered,
            DeliveryState.DEAD: self.retention.dead,
        }
        forgotten = 0
        for state, period in kept.items():
            part = partial(_forget, state, self.runtime.now() - period)
            count = _AT_ONCE
            while count == _AT_ONCE:
                count = await self._part(part)
                forgotten += count
        return forgotten

    async def _forget_events(self) -> int:
        before = self.runtime.now() - self.retention.events
        forgotten, idle = 0, 0
        while idle < _IDLE_LOOKS:
            count, rest = await self._part(
                lambda unit: unit.retention.delete_expired_events(
                    before, self._events_after, _AT_ONCE
                )
            )
            forgotten += count
            idle += not count
            self._events_after = rest or 0
            if rest is None:
                break
        return forgotten

    def _roll_up(self, unit: Unit) -> int:
        return unit.delivery_counts.roll_up(self.runtime.now(), _TALLIED_AT_ONCE)

    async def _part(self, work: Callable[[Unit], T]) -> T:
        """One transaction of ours, in our turn, and a rest."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        result = await self.store.write(lambda unit: self._in_turn(unit, work))
        await asyncio.sleep(max(_LEAST_REST_S, _REST * (loop.time() - began)))
        return result

    def _in_turn(self, unit: Unit, work: Callable[[Unit], T]) -> T:
        now = self.runtime.now()
        if not unit.retention.acquire_leadership(self.owner, now, now + TURN):
            raise LeadershipLost
        return work(unit)


def _forget(state: DeliveryState, before: datetime, unit: Unit) -> int:
    return unit.retention.delete_expired_deliveries(state, before, _AT_ONCE)
