"""The worker: claims due deliveries, runs their attempts, settles them in groups.

It takes turns with the store. One turn is one transaction: it settles what has ended since the
last turn and claims as many as there is room for. Between turns attempts run. A turn is taken
when enough has ended, when the store has news, when something falls due, or after a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.delivery.delivery import ClaimedDelivery, Settlement, cancel
from outrider.domain.delivery.target_queue import ClaimLimits, TargetKey
from outrider.domain.ids import DeliveryId
from outrider.runtime import Runtime
from outrider.usecases.delivery.operator_events import record_and_notify
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.routing.target_cache import load_resolved_targets
from outrider.worker.attempts import AttemptRunner, lost
from outrider.worker.fair_scheduler import FairScheduler
from outrider.worker.poll import InFlight, PollResult
from outrider.worker.testsignal import TestSignal

LEASE = timedelta(seconds=15)
_RENEW_EVERY_S = 5.0
# Ended attempts wait this long for those that still run: a commit costs about as much for one as
# for a hundred.
_LINGER_S = 0.01
_SETTLE_AT_ONCE = 128
# After news a turn is taken, but turns that come more often than this have less in them, and each
# is a commit.
_NEWS_SPACING_S = 0.005
# How often a worker looks whether the store has changed, in case that nobody told it.
_LOOK_EVERY_S = 0.05
# A turn is taken at least this often, whatever the hints say.
_TURN_EVERY_S = 1.0
# And this often while something is ready and may not begin: it is in the way of others.
_STUCK_S = 0.25
# How long a cancelled attempt may take to close its connection.
_CANCEL_S = 1.0
# After the store failed.
_PAUSE_S = 0.5
# How often a worker that ends tries to say so.
_LEAVE_TRIES = 4
# For so long after a turn whose end is not known its commit may still be under way.
_UNSURE_S = 20.0


@dataclass(slots=True)
class Worker:
    """Delivers until it is stopped. `owner` names its lease and is never used twice.

    `run` returns when `stop` was called and what runs has ended, at most `drain_timeout` seconds
    later. What was claimed and not begun is given back; what was cut off is recorded as LOST.
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
    _slots: FairScheduler = field(init=False)
    _running: dict[asyncio.Task[None], InFlight] = field(default_factory=dict)
    _ended: list[Settlement] = field(default_factory=list)
    # Claimed, not begun, and not to be begun here now: given back with the next turn.
    _withdrawn: list[ClaimedDelivery] = field(default_factory=list)
    _resolved_targets: dict[TargetKey, ResolvedTarget] = field(default_factory=dict)
    _revision: int = -1
    _next_due: datetime | None = None
    _seen_change: int = -1
    # On the loop's clock.
    _turned_at: float = 0.0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _linger: asyncio.TimerHandle | None = None
    _stopping: bool = False
    # On the monotonic clock: until then the store may hold more for this worker than it knows of.
    _unsure_until: float = 0.0
    # On the loop's clock; None until the worker stops.
    _drain_until: float | None = None

    def __post_init__(self) -> None:
        self._slots = FairScheduler(self.concurrency, time.monotonic)

    def __repr__(self) -> str:
        return (
            f"<Worker {self.owner} [running: {len(self._running)} of {self.concurrency}"
            f" | ready: {self._slots.ready_count} | to settle: {len(self._ended)}]>"
        )

    @property
    def running_count(self) -> int:
        """How many attempts are being made."""
        return len(self._running)

    def stop(self, *, within: float | None = None) -> None:
        """Claim nothing more; what runs has `within` seconds, `drain_timeout` when None.

        Belongs to the loop. May be called again, or before `run`: the earlier end counts.
        """
        end = asyncio.get_running_loop().time() + (self.drain_timeout if within is None else within)
        self._drain_until = end if self._drain_until is None else min(end, self._drain_until)
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `stop` is called."""
        await self._renew()
        self._listen_for_news()
        lease = asyncio.create_task(self._keep_lease())
        try:
            while not self._stopping:
                await self._survive(self._take_whole_turn)
                await self._survive(self._pause)
        except asyncio.CancelledError:
            self.stop(within=0)
            raise
        finally:
            try:
                await self._wind_down()
            finally:
                lease.cancel()

    def _listen_for_news(self) -> None:
        loop = asyncio.get_running_loop()

        def tell() -> None:
            # The store may outlive the loop, and its thread must outlive that.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._heard)

        self.store.subscribe(tell)

    def _heard(self) -> None:
        """Take a turn now, or as soon as the last one is long enough ago."""
        if self._slots.room <= 0:
            return
        loop = asyncio.get_running_loop()
        earliest = self._turned_at + _NEWS_SPACING_S
        if loop.time() >= earliest:
            self._wake.set()
        elif self._linger is None:
            self._linger = loop.call_at(earliest, self._wake.set)

    async def _take_whole_turn(self) -> None:
        """One turn to its end, also when cancelled: it would have claimed for nobody."""
        turn = asyncio.ensure_future(self._take_turn())
        try:
            await asyncio.shield(turn)
        except asyncio.CancelledError:
            self.stop(within=0)
            with suppress(Exception):
                await turn
            raise

    async def _take_turn(self) -> None:
        self._turned_at = asyncio.get_running_loop().time()
        # Read before the turn: what is committed during it must not go unseen.
        self._seen_change = await self.store.changes()
        ended, self._ended = self._ended, []
        self._withdrawn += self._slots.withdraw()
        given_back, self._withdrawn = self._withdrawn, []
        # The store's thread runs the turn: it gets copies of what changes meanwhile.
        room, claim_limits, ready = (
            self._slots.room,
            self._slots.claim_limits(),
            self._slots.ready_names,
        )
        known = self._known(given_back) if time.monotonic() < self._unsure_until else None

        def take(unit: Unit) -> PollResult:
            self._settle(unit, ended, given_back, known)
            return self._turn(unit, room, claim_limits, ready)

        try:
            turn = await self.store.write(take, shared=True)
        except BaseException:
            self._unsure_until = time.monotonic() + _UNSURE_S
            self._ended = ended + self._ended
            self._withdrawn += given_back
            raise
        if turn.revision != self._revision:
            self._resolved_targets, self._revision = {}, turn.revision
        self._resolved_targets.update(turn.resolved_targets)
        self._next_due = turn.next_due
        self._slots.add(turn.claimed)
        self.runner.metrics.claimed(len(turn.claimed))
        if turn.shut and (shut := self._slots.withdraw(turn.shut)):
            self._withdrawn += shut
            self._wake.set()
        self.settled_signal.fire(len(ended))
        self._begin_ready()

    def _known(self, given_back: Sequence[ClaimedDelivery]) -> set[DeliveryId]:
        """All that this worker knows to hold, once what has ended is settled."""
        running = {each.claimed.id for each in self._running.values()}
        return running | self._slots.ready_ids | {each.id for each in given_back}

    def _settle(
        self,
        unit: Unit,
        ended: Sequence[Settlement],
        given_back: Sequence[ClaimedDelivery],
        known: set[DeliveryId] | None,
    ) -> None:
        now = self.runtime.now()
        if ended:
            record_and_notify(unit, self.runtime, self.owner, ended, now)
        if given_back:
            unit.deliveries.release_claims(self.owner, [each.id for each in given_back], now)
        if known is not None:
            # Claimed by a turn that was committed although its answer was lost: nobody begins it.
            unit.deliveries.release_claims(
                self.owner, unit.deliveries.held(self.owner) - known, now
            )

    def _turn(
        self, unit: Unit, room: int, claim_limits: ClaimLimits, ready: set[TargetKey]
    ) -> PollResult:
        now = self.runtime.now()
        claimed = unit.deliveries.claim(self.owner, now, room, claim_limits) if room > 0 else ()
        revision = unit.routing_revision()
        known = self._resolved_targets if revision == self._revision else {}
        named = {(each.instance_id, each.target_id) for each in claimed}
        # Not by `-`: that looks at all that are known, and there may be many thousands.
        wanted = {name for name in named if name not in known}
        if revision != self._revision:
            wanted |= ready
        full = {name for name, cap in claim_limits.of.items() if not cap}
        # What is left over is there for targets that have none: it is not asked for at once.
        is_full = len(claimed) >= room - self._slots.reserve
        next_due = None if is_full else unit.deliveries.next_due(full)
        shut = unit.deliveries.shut(ready, now) if ready else set()
        return PollResult(claimed, load_resolved_targets(unit, wanted), revision, next_due, shut)

    def _begin_ready(self) -> None:
        while (running := self._next()) is not None:
            task = asyncio.create_task(self._attempt_on(running))
            self._running[task] = running
            task.add_done_callback(self._end)

    def _next(self) -> InFlight | None:
        """Take a slot for the next delivery; None: nobody may begin now."""
        while not self._stopping and (claimed := self._slots.begin_next()) is not None:
            resolved_target = self._resolved_targets.get((claimed.instance_id, claimed.target_id))
            if resolved_target is not None:
                return InFlight(claimed, resolved_target, self.runtime.now())
            self._slots.end(claimed, None)
            self._note(cancel(claimed))
        return None

    async def _attempt_on(self, running: InFlight | None) -> None:
        """Attempt this one, and others after it: a task for each would cost a tenth of it more."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        while running is not None:
            self._running[task] = running
            running.settlement = await self.runner.attempt(running.claimed, running.resolved_target)
            self._note(running.settlement)
            self._slots.end(running.claimed, running.settlement)
            running = self._next()
            # What was learnt may let more begin than the one whose slot is free now.
            self._begin_ready()

    def _end(self, task: asyncio.Task[None]) -> None:
        running = self._running.pop(task)
        if running.settlement is None:
            self._slots.end(running.claimed, None)
        if not task.cancelled() and (failure := task.exception()) is not None:
            # The runner raises nothing, so this is a bug of ours; the delivery must not hang on it.
            self.log.error("delivery.internal_error", delivery=running.claimed.id, exc_info=failure)
            if running.settlement is None:
                self._note(self._lost(running, "the attempt broke inside outrider"))
        self._begin_ready()
        if not self._running:
            # Nobody else will end: there is nothing to wait for.
            self._wake.set()

    def _note(self, settlement: Settlement) -> None:
        self._ended.append(settlement)
        # No more than twice what runs at once: what runs then goes on during the turn.
        if len(self._ended) >= min(_SETTLE_AT_ONCE, 2 * self.concurrency):
            self._wake.set()
        elif self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(_LINGER_S, self._wake.set)

    async def _pause(self) -> None:
        """Return when a turn is worth its transaction."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + (_STUCK_S if self._slots.ready_count else _TURN_EVERY_S)
        while not self._wake.is_set() and loop.time() < latest:
            try:
                async with asyncio.timeout(self._patience(latest - loop.time())):
                    await self._wake.wait()
            except TimeoutError:
                if self._is_due() or await self.store.changes() != self._seen_change:
                    break
        self._wake.clear()
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None

    def _patience(self, rest: float) -> float:
        if self._next_due is None or self._slots.room <= 0:
            return min(_LOOK_EVERY_S, rest)
        until_due = (self._next_due - self.runtime.now()).total_seconds()
        return max(0.0, min(_LOOK_EVERY_S, rest, until_due))

    def _is_due(self) -> bool:
        return (
            self._next_due is not None
            and self._next_due <= self.runtime.now()
            and self._slots.room > 0
        )

    async def _survive(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except Exception:
            # The worker outlives a store that is down.
            self.log.exception("worker.poll_failed", owner=self.owner)
            await asyncio.sleep(_PAUSE_S)

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            await self._survive(self._renew)

    async def _renew(self) -> None:
        until = self.runtime.now() + LEASE
        await self.store.write(lambda unit: unit.leases.renew(self.owner, until), shared=True)

    async def _wind_down(self) -> None:
        self.stop()
        await self._drain()
        await self._cut_off()
        ended = self._ended
        ready = [each.id for each in (*self._withdrawn, *self._slots.take_ready())]

        def leave(unit: Unit) -> None:
            now = self.runtime.now()
            record_and_notify(unit, self.runtime, self.owner, ended, now)
            unit.deliveries.release_claims(self.owner, ready, now)
            unit.leases.drop(self.owner)

        await self._leave(leave)

    async def _leave(self, leave: Callable[[Unit], None]) -> None:
        """Write it even when the store fails at first: else what was delivered comes twice."""
        for tries_left in reversed(range(_LEAVE_TRIES)):
            try:
                await self.store.write(leave, shared=True)
            except Exception:
                if not tries_left:
                    raise
                self.log.exception("worker.shutdown_failed", owner=self.owner)
                await asyncio.sleep(_PAUSE_S)
            else:
                return

    async def _drain(self) -> None:
        """Return when nothing runs, or when time is up; `stop` may bring that forward."""
        loop = asyncio.get_running_loop()
        while self._running and self._drain_until is not None and loop.time() < self._drain_until:
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._drain_until):
                    await self._wake.wait()

    async def _cut_off(self) -> None:
        late = dict(self._running)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_CANCEL_S)
        for task, running in late.items():
            if not task.done() or task.cancelled():
                self._note(self._lost(running, "the worker stopped before the answer came"))

    def _lost(self, running: InFlight, reason: str) -> Settlement:
        # A clock that went back since then would put the next attempt off for as long.
        started_at = min(running.started_at, self.runtime.now())
        attempt = lost(running.claimed, started_at, reason)
        return self.runner.settled(running.claimed, attempt, running.resolved_target)
