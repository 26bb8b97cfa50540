"""The rescuer: makes due again what dead workers had claimed, and records it in the delivery log.

It also notices that the clock went back, and lets nothing wait for the time before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outrider.domain.delivery.delivery import Attempt, ClaimedDelivery, Settlement, cancel, settle
from outrider.domain.targets.policy import NOTHING_STORED, TargetPolicy
from outrider.domain.targets.retry_schedule import RetrySchedule
from outrider.domain.targets.target import Target
from outrider.runtime import Runtime
from outrider.usecases.delivery.operator_events import record_and_notify
from outrider.usecases.failure_log import FailureLog
from outrider.usecases.ports.deliveries import OrphanedDelivery
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.ports.telemetry import NO_METRICS, DeliveryMetrics
from outrider.worker.attempts import report_attempt, schedule_of
from outrider.worker.testsignal import TestSignal
from outrider.worker.worker import LEASE

_CHECK_EVERY_S = 5.0
_AT_ONCE = 500
# Clocks of nodes differ a little, and what is due waits no longer than that.
_TOLERATED = timedelta(seconds=1)
_REASON = "the node died between sending and recording"


@dataclass(slots=True)
class Rescuer:
    """Record the attempts of dead workers as LOST.

    One runs in every worker; if several find the same attempt, one records it.
    """

    store: Store
    runtime: Runtime
    schedule: RetrySchedule
    log: Log
    rescued_signal: TestSignal = field(default_factory=TestSignal)
    metrics: DeliveryMetrics = field(default=NO_METRICS, repr=False)
    # What the clock showed at the last check that was committed, and at the last one.
    _seen: datetime | None = None
    _checked_at: datetime | None = None
    # What the last check has settled. The store may run it again before it commits.
    _settled: list[tuple[ClaimedDelivery, Settlement]] = field(default_factory=list, repr=False)
    # Whether orphans are left that were too heavy for one transaction.
    _is_rest: bool = False
    # The clock went back: up to which delivery that has been set right; None: there is nothing to do.
    _clock_after: int | None = None

    async def run(self) -> None:
        """Check immediately, then every few seconds, until cancelled."""
        failures = FailureLog(self.log)
        while True:
            try:
                rescued = await self.check()
            except Exception as failure:  # noqa: BLE001 - it outlives a store that is down
                failures.failed("rescuer.failed", failure)
                rescued = 0
            else:
                failures.succeeded()
            if rescued:
                self.metrics.rescued(rescued)
                self.log.warning("delivery.rescued", deliveries=rescued)
                self.rescued_signal.send(rescued)
            if rescued < _AT_ONCE and not self._is_rest:
                await asyncio.sleep(_CHECK_EVERY_S)

    async def check(self) -> int:
        """Make one check: `rescue` in a separate transaction, then a log event for each LOST attempt."""
        if self._clock_after is None and await self.store.read(self._clock_went_back):
            self.log.warning("clock.moved_backwards")
            self._clock_after = 0
        while self._clock_after is not None:
            self._clock_after = await self.store.write(self._set_clock_back, shared=True)
        rescued = await self.store.write(self.rescue, shared=True)
        self._seen = self._checked_at
        for claimed, settlement in self._settled:
            if settlement.attempt is not None:
                report_attempt(self.log.info, claimed, settlement.attempt)
        return rescued

    def rescue(self, unit: Unit) -> int:
        """Record a LOST attempt for up to 500 orphans; return how many."""
        now = self._checked_at = self.runtime.now()
        self._settled, self._is_rest = [], False
        rescued = self._rescue(unit, now)
        unit.cancellations.take_effect(now)
        unit.leases.tidy(now, now + LEASE)
        return rescued

    def _clock_went_back(self, unit: Unit) -> bool:
        # Before the first check it may have, too: then the newest delivery is of the future.
        seen = self._seen or unit.deliveries.newest()
        return seen is not None and self.runtime.now() + _TOLERATED < seen

    def _set_clock_back(self, unit: Unit) -> int | None:
        return unit.deliveries.clock_went_back(self.runtime.now(), self._clock_after or 0)

    def _rescue(self, unit: Unit, now: datetime) -> int:
        orphans = unit.leases.orphans(now, _AT_ONCE)
        orphans = unit.leases.secure(orphans) if orphans else ()
        if not orphans:
            return 0
        target_keys = {(orphan.claimed.instance_id, orphan.claimed.target_id) for orphan in orphans}
        targets, policies = unit.targets.get_many(target_keys), unit.policies.get_many(target_keys)
        by_owner: dict[str, list[Settlement]] = {}
        for orphan in orphans:
            target_key = (orphan.claimed.instance_id, orphan.claimed.target_id)
            policy = policies.get(target_key, NOTHING_STORED).policy
            settlement = self._settlement(orphan, targets.get(target_key), policy, now)
            by_owner.setdefault(orphan.owner, []).append(settlement)
            self._settled.append((orphan.claimed, settlement))
        recorded = [
            record_and_notify(unit, self.runtime, owner, settlements, now)
            for owner, settlements in by_owner.items()
        ]
        self._is_rest = any(done.rest for done in recorded)
        rest = {settlement.delivery_id for done in recorded for settlement in done.rest}
        self._settled = [pair for pair in self._settled if pair[0].id not in rest]
        return sum(done.count for done in recorded)

    def _settlement(
        self, orphan: OrphanedDelivery, target: Target | None, policy: TargetPolicy, now: datetime
    ) -> Settlement:
        if target is None:
            return cancel(orphan.claimed)
        # A clock that went back since then would put the next attempt off for as long.
        claimed_at = min(orphan.claimed_at, now)
        attempt = Attempt.lost(orphan.claimed, claimed_at, _REASON)
        schedule, draw = schedule_of(policy, self.schedule), self.runtime.draw()
        return settle(orphan.claimed, attempt, target, schedule, draw=draw)
