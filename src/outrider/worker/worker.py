"""The worker: claim due deliveries, run their attempts, record them in groups.

It polls the store in one transaction each. `poll` records the attempts that ended since the last
poll and claims as many deliveries as there is capacity for. Attempts run between polls. The worker
polls when enough attempts have ended, when the store notifies it, when a delivery falls due, or
after a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from outrider.domain.delivery.delivery import ClaimedDelivery, Settlement
from outrider.runtime import Runtime
from outrider.usecases.failure_log import FailureLog
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.store import Store, Unit
from outrider.worker.attempts import AttemptRunner
from outrider.worker.fair_scheduler import FairScheduler
from outrider.worker.in_flight import InFlightAttempts
from outrider.worker.poll import PollRequest, PollResult, leave, poll
from outrider.worker.testsignal import TestSignal
from outrider.worker.wake_up import WakeUp

LEASE = timedelta(seconds=15)
_RENEW_EVERY_S = 5.0
# A notification leads to a poll, but polls that come more often than this have less in them, and
# each is a commit.
_NOTIFICATION_SPACING_S = 0.005
# How often a worker checks whether the store has changed, in case that no notification came.
_CHECK_EVERY_S = 0.05
# The worker polls at least this often, whatever the notifications say,
_POLL_EVERY_S = 1.0
# and this often while something is ready and may not begin: it is in the way of others.
_STUCK_S = 0.25
# After the store failed.
_PAUSE_S = 0.5
# How often a worker that ends tries to record that.
_SHUTDOWN_TRIES = 4
# For so long after a poll whose end is not known its commit may still be under way.
_UNSURE_S = 20.0


@dataclass(slots=True)
class Worker:
    """Delivers until it is stopped. `owner` names its lease and is never used twice.

    `run` returns when `stop` was called and what runs has ended, at most `drain_timeout` seconds
    later. What was claimed and not begun is released; what was cut off is recorded as LOST.
    Cancelling `run` does the same without waiting for what runs.
    """

    store: Store
    runtime: Runtime
    runner: AttemptRunner
    log: Log
    owner: str
    concurrency: int
    drain_timeout: float
    settled_signal: TestSignal = field(default_factory=TestSignal)
    _wake_up: WakeUp = field(default_factory=WakeUp)
    _scheduler: FairScheduler = field(init=False)
    _attempts: InFlightAttempts = field(init=False)
    _failures: FailureLog = field(init=False)
    # Claimed, not begun, and not to be begun here now: the next poll releases them.
    _to_release: list[ClaimedDelivery] = field(default_factory=list)
    _revision: int = -1
    _next_due: datetime | None = None
    _seen_change: int = -1
    # On the loop's clock.
    _polled_at: float = 0.0
    # On the monotonic clock: until then the store may have claims of this worker unknown to it.
    _unsure_until: float = 0.0
    # On the loop's clock; None until the worker stops.
    _drain_until: float | None = None

    def __post_init__(self) -> None:
        self._failures = FailureLog(self.log)
        self._scheduler = FairScheduler(self.concurrency, time.monotonic)
        self._attempts = InFlightAttempts(
            self.runner, self.runtime, self.log, self._scheduler, self._wake_up, self.concurrency
        )

    def __repr__(self) -> str:
        return (
            f"<Worker {self.owner} [running: {self.running_count} of {self.concurrency}"
            f" | ready: {self._scheduler.ready_count}"
            f" | to record: {len(self._attempts.finished)}]>"
        )

    @property
    def running_count(self) -> int:
        """How many attempts are being made."""
        return len(self._attempts.tasks)

    def stop(self, *, within: float | None = None) -> None:
        """Claim nothing more; what runs has `within` seconds, `drain_timeout` when None.

        Belongs to the loop. May be called again, or before `run`: the earlier end counts.
        """
        end = asyncio.get_running_loop().time() + (self.drain_timeout if within is None else within)
        self._drain_until = end if self._drain_until is None else min(end, self._drain_until)
        self._attempts.is_stopping = True
        self._wake_up.now()

    async def run(self) -> None:
        """Deliver until `stop` is called."""
        while not await self._guarded(self._renew):
            if self._attempts.is_stopping:
                return
        self._subscribe()
        lease = asyncio.create_task(self._keep_lease())
        try:
            while not self._attempts.is_stopping:
                await self._guarded(self._poll_to_end)
                await self._guarded(self._wait)
        except asyncio.CancelledError:
            self.stop(within=0)
            raise
        finally:
            try:
                await self._shut_down()
            finally:
                lease.cancel()

    def _subscribe(self) -> None:
        loop = asyncio.get_running_loop()

        def notify() -> None:
            # The store may outlive the loop, and its thread must outlive that.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._on_notification)

        self.store.subscribe(notify)

    def _on_notification(self) -> None:
        """Poll now, or as soon as the last poll is long enough ago."""
        if self._scheduler.capacity <= 0:
            return
        earliest = self._polled_at + _NOTIFICATION_SPACING_S
        if asyncio.get_running_loop().time() >= earliest:
            self._wake_up.now()
        else:
            self._wake_up.at(earliest)

    async def _poll_to_end(self) -> None:
        """One poll to its end, also when cancelled: what it claims would never begin."""
        polling = asyncio.ensure_future(self._poll())
        try:
            await asyncio.shield(polling)
        except asyncio.CancelledError:
            self.stop(within=0)
            with suppress(Exception):
                await polling
            raise

    async def _poll(self) -> None:
        self._polled_at = asyncio.get_running_loop().time()
        # Read before the poll: what is committed during it must not go unseen.
        self._seen_change = await self.store.changes()
        request = self._next_request()
        try:
            result = await self.store.write(
                lambda unit: poll(unit, request, self.runtime), shared=True
            )
        except BaseException:
            self._unsure_until = time.monotonic() + _UNSURE_S
            self._attempts.finished = [*request.finished, *self._attempts.finished]
            self._to_release += request.released
            raise
        self._failures.succeeded()
        self._take(result)
        self.settled_signal.send(len(request.finished) - len(result.unrecorded))
        self._attempts.begin_ready()

    def _next_request(self) -> PollRequest:
        attempts, scheduler = self._attempts, self._scheduler
        finished, attempts.finished = attempts.finished, []
        released, self._to_release = [*self._to_release, *scheduler.release()], []
        claimed_ids = None
        if time.monotonic() < self._unsure_until:
            running = {in_flight.claimed.id for in_flight in attempts.tasks.values()}
            claimed_ids = running | scheduler.ready_ids | {claimed.id for claimed in released}
        return PollRequest(
            owner=self.owner,
            finished=finished,
            released=released,
            capacity=scheduler.capacity,
            reserve=scheduler.reserve,
            claim_limits=scheduler.claim_limits(),
            ready=scheduler.ready_targets,
            resolved_targets=attempts.resolved_targets,
            revision=self._revision,
            claimed_ids=claimed_ids,
        )

    def _take(self, result: PollResult) -> None:
        if result.revision != self._revision:
            self._attempts.resolved_targets, self._revision = {}, result.revision
        self._attempts.resolved_targets.update(result.resolved_targets)
        self._next_due = result.next_due
        self._scheduler.add(result.claimed)
        self.runner.metrics.claimed(len(result.claimed))
        if result.unrecorded:
            self._attempts.finished = [*result.unrecorded, *self._attempts.finished]
            self._wake_up.now()
        if result.suspended and (released := self._scheduler.release(result.suspended)):
            self._to_release += released
            self._wake_up.now()

    async def _wait(self) -> None:
        """Return when a poll is worth its transaction."""
        loop, wake = asyncio.get_running_loop(), self._wake_up.event
        latest = loop.time() + (_STUCK_S if self._scheduler.ready_count else _POLL_EVERY_S)
        while not wake.is_set() and loop.time() < latest:
            try:
                async with asyncio.timeout(self._poll_timeout(latest - loop.time())):
                    await wake.wait()
            except TimeoutError:
                if self._is_due() or await self.store.changes() != self._seen_change:
                    break
        self._wake_up.clear()

    def _poll_timeout(self, rest: float) -> float:
        if self._next_due is None or self._scheduler.capacity <= 0:
            return min(_CHECK_EVERY_S, rest)
        until_due = (self._next_due - self.runtime.now()).total_seconds()
        return max(0.0, min(_CHECK_EVERY_S, rest, until_due))

    def _is_due(self) -> bool:
        return (
            self._next_due is not None
            and self._next_due <= self.runtime.now()
            and self._scheduler.capacity > 0
        )

    async def _guarded(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Whether it succeeded."""
        try:
            await step()
        except Exception as failure:  # noqa: BLE001 - the worker outlives a store that is down
            self._failures.failed("worker.poll_failed", failure, owner=self.owner)
            await asyncio.sleep(_PAUSE_S)
            return False
        return True

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            await self._guarded(self._renew)

    async def _renew(self) -> None:
        until = self.runtime.now() + LEASE
        await self.store.write(lambda unit: unit.leases.renew(self.owner, until), shared=True)

    async def _shut_down(self) -> None:
        self.stop()
        await self._drain()
        await self._attempts.cut_off()
        finished: Sequence[Settlement] = self._attempts.finished
        released = [claimed.id for claimed in (*self._to_release, *self._scheduler.release_all())]
        while finished := await self._release_lease(
            partial(
                leave, runtime=self.runtime, owner=self.owner, finished=finished, released=released
            )
        ):
            pass

    async def _release_lease(
        self, work: Callable[[Unit], Sequence[Settlement]]
    ) -> Sequence[Settlement]:
        """Commit it even when the store fails at first: else what was delivered comes twice."""
        failures = FailureLog(self.log)
        for tries_left in reversed(range(_SHUTDOWN_TRIES)):
            try:
                return await self.store.write(work, shared=True)
            except Exception as failure:
                if not tries_left:
                    raise
                failures.failed("worker.shutdown_failed", failure, owner=self.owner)
                await asyncio.sleep(_PAUSE_S)
        return ()

    async def _drain(self) -> None:
        """Return when nothing runs, or when time is up; `stop` may bring that forward."""
        loop, wake = asyncio.get_running_loop(), self._wake_up.event
        while (
            self.running_count and self._drain_until is not None and loop.time() < self._drain_until
        ):
            wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._drain_until):
                    await wake.wait()
