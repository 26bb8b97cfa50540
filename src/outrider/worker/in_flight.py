"""The running attempts of a worker: started from ready deliveries, collected by a poll."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.delivery.delivery import Attempt, ClaimedDelivery, Settlement, cancel
from outrider.domain.delivery.target_queue import TargetKey
from outrider.runtime import Runtime
from outrider.usecases.ports.log import Log
from outrider.worker.attempts import AttemptRunner
from outrider.worker.fair_scheduler import FairScheduler
from outrider.worker.wake_up import WakeUp

# Ended attempts wait this long for those that still run: a commit costs about as much for one as
# for a hundred.
_BATCH_S = 0.01
_BATCH_SIZE = 128
# How long a cancelled attempt may take to close its connection.
_CANCEL_S = 1.0


@dataclass(slots=True)
class InFlight:
    """An attempt under way; it has ended when there is a settlement."""

    claimed: ClaimedDelivery
    resolved_target: ResolvedTarget
    started_at: datetime
    settlement: Settlement | None = None


@dataclass(slots=True)
class InFlightAttempts:
    """The attempts under way, each in a slot of the scheduler.

    `finished` grows until a poll takes it; `wake_up` ends the wait for that poll.
    `resolved_targets` has the targets of all that is ready; a delivery without one is cancelled.
    """

    runner: AttemptRunner
    runtime: Runtime
    log: Log
    scheduler: FairScheduler
    wake_up: WakeUp
    concurrency: int
    finished: list[Settlement] = field(default_factory=list)
    tasks: dict[asyncio.Task[None], InFlight] = field(default_factory=dict)
    resolved_targets: dict[TargetKey, ResolvedTarget] = field(default_factory=dict)
    is_stopping: bool = False
    _batch_size: int = field(init=False)

    def __post_init__(self) -> None:
        # No more than twice what runs at once: what runs then goes on during the poll.
        self._batch_size = min(_BATCH_SIZE, 2 * self.concurrency)

    def begin_ready(self) -> None:
        """Begin what is ready and gets a slot; nothing when stopping."""
        while (in_flight := self._next()) is not None:
            task = asyncio.create_task(self._attempt(in_flight))
            self.tasks[task] = in_flight
            task.add_done_callback(self._on_done)

    async def cut_off(self) -> None:
        """Cancel what is still under way, and record it as LOST."""
        late = dict(self.tasks)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_CANCEL_S)
        for task, in_flight in late.items():
            if not task.done() or task.cancelled():
                self._record(self._lost(in_flight, "the worker stopped before the answer came"))

    def _next(self) -> InFlight | None:
        """Take a slot for the next delivery; None: none may begin now."""
        while not self.is_stopping and (claimed := self.scheduler.begin_next()) is not None:
            resolved_target = self.resolved_targets.get((claimed.instance_id, claimed.target_id))
            if resolved_target is not None:
                return InFlight(claimed, resolved_target, self.runtime.now())
            self.scheduler.end(claimed, None)
            self._record(cancel(claimed))
        return None

    async def _attempt(self, in_flight: InFlight | None) -> None:
        """Attempt this one, and others after it: a task for each would cost a tenth of it more."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        while in_flight is not None:
            self.tasks[task] = in_flight
            settlement = await self.runner.attempt(in_flight.claimed, in_flight.resolved_target)
            in_flight.settlement = settlement
            self._record(settlement)
            self.scheduler.end(in_flight.claimed, settlement)
            in_flight = self._next()
            # What was learnt may let more begin than the one whose slot is free now.
            self.begin_ready()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        in_flight = self.tasks.pop(task)
        if in_flight.settlement is None:
            self.scheduler.end(in_flight.claimed, None)
        if not task.cancelled() and (failure := task.exception()) is not None:
            # The runner raises nothing, so this is a bug of ours; the delivery must not hang on it.
            delivery_id = in_flight.claimed.id
            self.log.error("delivery.internal_error", delivery=delivery_id, exc_info=failure)
            if in_flight.settlement is None:
                self._record(self._lost(in_flight, "the attempt broke inside outrider"))
        self.begin_ready()
        if not self.tasks:
            # No other attempt will end: there is nothing to wait for.
            self.wake_up.now()

    def _record(self, settlement: Settlement) -> None:
        self.finished.append(settlement)
        if len(self.finished) >= self._batch_size:
            self.wake_up.now()
        elif self.wake_up.timer is None:
            self.wake_up.at(asyncio.get_running_loop().time() + _BATCH_S)

    def _lost(self, in_flight: InFlight, reason: str) -> Settlement:
        # A clock that went back since then would put the next attempt off for as long.
        started_at = min(in_flight.started_at, self.runtime.now())
        attempt = Attempt.lost(in_flight.claimed, started_at, reason)
        return self.runner.settled(in_flight.claimed, attempt, in_flight.resolved_target)
