"""Divide the worker's slots between targets, so that a hanging or failing receiver cannot use all.

Nothing here is stored. Each worker observes its own attempts, so it can act before the first
time-out.

- A target may use seven times as many slots as are free, so one slot always stays free for a target
  that has none. A single target gets 7/8, two get nearly half each (dynamic thresholds: Choudhury
  and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998).
- Targets whose last attempt did not succeed leave, together, a quarter of the slots to the others.
- A target that failed five times in a row is failing. It gets a sixteenth of the slots, and all
  failing targets together get half, until its next success.
- The worker claims deliveries ahead only for a target that answers quickly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from outrider.domain.delivery.circuit_breaker import ANSWERS, is_to_blame
from outrider.domain.delivery.delivery import ClaimedDelivery, DeliveryState, Settlement
from outrider.domain.delivery.target_queue import ClaimLimits, TargetKey
from outrider.domain.ids import DeliveryId

_TIMES_FREE = 7
# How many deliveries for each slot may be here at once: one runs, the others are ready.
_TIMES_CLAIMED = 3
_FAILING_AFTER = 5
# What a quick target may take, and how long one of its attempts may go on until it is suspect.
_QUICK_S = 0.1
_SUSPECT_S = 0.25
_EWMA_WEIGHT = 0.125
# Targets that are remembered while nothing of theirs is here; failing ones with a claim limit.
_REMEMBERED = 16384
_FAILING_REMEMBERED = 256


class _Health(IntEnum):
    HEALTHY = 0
    UNPROVEN = 1
    FAILING = 2


@dataclass(slots=True, eq=False)
class _Target:
    target_key: TargetKey
    ready: deque[ClaimedDelivery] = field(default_factory=deque)
    started: dict[int, float] = field(default_factory=dict)
    health: _Health = _Health.UNPROVEN
    failures: int = 0
    # Exponentially weighted moving average of how long its answers took, in seconds.
    latency_ewma: float = 1.0

    @property
    def is_idle(self) -> bool:
        return not self.ready and not self.started


class FairScheduler:
    """What is ready and what runs, by target. `clock` is monotonic, in seconds.

    `reserve` is how much capacity no target takes alone.
    """

    def __init__(self, concurrency: int, clock: Callable[[], float]) -> None:
        self._concurrency = concurrency
        self._clock = clock
        self.reserve = concurrency // 8 or min(1, concurrency - 1)
        self._max_unproven = max(1, concurrency - concurrency // 4)
        self._max_failing = max(1, concurrency // 2)
        self._max_of_one_failing = max(1, concurrency // 16)
        self._targets: dict[TargetKey, _Target] = {}
        self._active: dict[TargetKey, _Target] = {}
        self._failing: dict[TargetKey, _Target] = {}
        # The targets with ready deliveries, next one first.
        self._rotation: deque[_Target] = deque()
        # By health.
        self._running_of = [0, 0, 0]
        self._ready_of = [0, 0, 0]
        self._running = 0
        self._ready = 0

    def __repr__(self) -> str:
        return (
            f"<FairScheduler [running: {self._running} of {self._concurrency}"
            f" | ready: {self._ready}]>"
        )

    @property
    def ready_count(self) -> int:
        """How many deliveries are claimed and not begun."""
        return self._ready

    @property
    def capacity(self) -> int:
        """How many more may be claimed, until three for each slot are here.

        A poll comes when two for each slot have ended, and what runs goes on during it.
        What cannot begin for now, because its target is not known to answer, takes capacity from
        others only when there is twice as much of it again.
        """
        capacity = _TIMES_CLAIMED * self._concurrency - self._ready - self._running
        if self._free_for_unproven > 0:
            return capacity
        waiting = self._ready_of[_Health.UNPROVEN] + self._ready_of[_Health.FAILING]
        return capacity + min(waiting, 2 * self._concurrency)

    @property
    def ready_targets(self) -> set[TargetKey]:
        """The targets of what is claimed and not begun."""
        return {target.target_key for target in self._rotation}

    @property
    def ready_ids(self) -> set[DeliveryId]:
        """What is claimed and not begun."""
        return {delivery.id for target in self._rotation for delivery in target.ready}

    def add(self, claimed: Iterable[ClaimedDelivery]) -> None:
        """Take what was claimed."""
        for delivery in claimed:
            target_key = (delivery.instance_id, delivery.target_id)
            target = self._targets.get(target_key)
            if target is None:
                target = self._targets[target_key] = _Target(target_key)
            self._active[target_key] = target
            if not target.ready:
                self._rotation.append(target)
            target.ready.append(delivery)
            self._ready += 1
            self._ready_of[target.health] += 1
        if len(self._targets) > 2 * _REMEMBERED + len(self._active):
            self._drop_idle()

    def begin_next(self) -> ClaimedDelivery | None:
        """Take a slot for the next delivery, target by target; None: none may begin now."""
        if self._running >= self._concurrency:
            return None
        for _ in range(len(self._rotation)):
            target = self._rotation.popleft()
            if not self._may_begin(target):
                self._rotation.append(target)
                continue
            claimed = target.ready.popleft()
            if target.ready:
                self._rotation.append(target)
            # By the object: what was thought lost may come twice, with the same delivery id.
            target.started[id(claimed)] = self._clock()
            self._ready -= 1
            self._ready_of[target.health] -= 1
            self._running += 1
            self._running_of[target.health] += 1
            return claimed
        return None

    def end(self, claimed: ClaimedDelivery, settlement: Settlement | None) -> None:
        """Free the slot of a delivery that was begun. `settlement` None: nothing was learnt."""
        target = self._targets[claimed.instance_id, claimed.target_id]
        duration = self._clock() - target.started.pop(id(claimed))
        self._running -= 1
        self._running_of[target.health] -= 1
        if settlement is not None:
            self._learn(target, settlement, duration)
        if target.is_idle:
            self._active.pop(target.target_key, None)

    def claim_limits(self) -> ClaimLimits:
        """How much of each target may be claimed now."""
        by_target = {
            target_key: self._claim_limit(target) for target_key, target in self._failing.items()
        }
        by_target.update(
            (target_key, self._claim_limit(target)) for target_key, target in self._active.items()
        )
        free = self._concurrency - self._running
        return ClaimLimits(max(1, free * _TIMES_FREE // (_TIMES_FREE + 1)), by_target)

    def release(self, suspended: Iterable[TargetKey] = ()) -> list[ClaimedDelivery]:
        """Return what is ready and should not be: of `suspended` targets, and what is too much."""
        suspended, released = set(suspended), []
        for target in list(self._rotation):
            kept = 0 if target.target_key in suspended else self._max_ready(target)
            while len(target.ready) > kept:
                released.append(target.ready.pop())
                self._ready_of[target.health] -= 1
            if not target.ready:
                self._rotation.remove(target)
                if target.is_idle:
                    self._active.pop(target.target_key, None)
        self._ready -= len(released)
        return released

    def release_all(self) -> list[ClaimedDelivery]:
        """Return all that is ready."""
        return self.release(self.ready_targets)

    def _may_begin(self, target: _Target) -> bool:
        running, free = len(target.started), self._concurrency - self._running
        if target.health is not _Health.HEALTHY:
            free = min(free, self._free_for_unproven)
        if free <= 0 or (running and running + 1 > _TIMES_FREE * (free - 1)):
            return False
        return target.health is not _Health.FAILING or (
            running < self._max_of_one_failing
            and self._running_of[_Health.FAILING] < self._max_failing
        )

    @property
    def _free_for_unproven(self) -> int:
        return (
            self._max_unproven
            - self._running_of[_Health.UNPROVEN]
            - self._running_of[_Health.FAILING]
        )

    def _max_slots(self, target: _Target) -> int:
        if target.health is _Health.FAILING:
            return self._max_of_one_failing
        others = self._running - len(target.started)
        return max(1, (self._concurrency - others) * _TIMES_FREE // (_TIMES_FREE + 1))

    def _claim_limit(self, target: _Target) -> int:
        if self._is_suspect(target):
            return max(0, self._max_slots(target) - len(target.started) - len(target.ready))
        # Never nothing: a target of which there is nothing at all is moved out of the way.
        if target.latency_ewma <= _QUICK_S:
            return max(1, self.capacity - self.reserve)
        return max(1, self._max_slots(target) - len(target.started) - len(target.ready))

    def _max_ready(self, target: _Target) -> int:
        if self._is_suspect(target):
            return max(0, self._max_slots(target) - len(target.started))
        return _TIMES_CLAIMED * self._concurrency

    def _is_suspect(self, target: _Target) -> bool:
        """Whether it fails, or has not ended an attempt for a while."""
        if target.failures:
            return True
        oldest = next(iter(target.started.values()), None)
        return oldest is not None and self._clock() - oldest >= _SUSPECT_S

    def _learn(self, target: _Target, settlement: Settlement, duration: float) -> None:
        attempt = settlement.attempt
        if attempt is None:
            return
        if settlement.state is DeliveryState.DELIVERED or attempt.outcome in ANSWERS:
            target.failures = 0
            weight = _EWMA_WEIGHT if target.health is _Health.HEALTHY else 1.0
            target.latency_ewma += (duration - target.latency_ewma) * weight
        elif is_to_blame(attempt):
            target.failures += 1
        else:
            return
        health = _Health.HEALTHY if not target.failures else _Health.UNPROVEN
        if target.failures >= _FAILING_AFTER:
            health = _Health.FAILING
        if health is not target.health:
            self._set_health(target, health)

    def _set_health(self, target: _Target, health: _Health) -> None:
        self._running_of[target.health] -= len(target.started)
        self._running_of[health] += len(target.started)
        self._ready_of[target.health] -= len(target.ready)
        self._ready_of[health] += len(target.ready)
        target.health = health
        self._failing.pop(target.target_key, None)
        if health is _Health.FAILING:
            self._failing[target.target_key] = target
            if len(self._failing) > _FAILING_REMEMBERED:
                del self._failing[next(iter(self._failing))]

    def _drop_idle(self) -> None:
        idle = [target_key for target_key, target in self._targets.items() if target.is_idle]
        for target_key in idle[: len(idle) - _REMEMBERED]:
            del self._targets[target_key]
