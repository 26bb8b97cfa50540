"""Who may use the worker's slots: a receiver that hangs or fails must leave room for the others.

Nothing here is stored: each worker watches for itself, so that it can act before the first time-out.

- A target may hold seven times as many slots as are free, so one is always left for a target that
  has none. One target alone gets 7/8, two get nearly a half each (dynamic thresholds: Choudhury and
  Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998).
- Targets whose last attempt did not succeed together leave a quarter of the slots to the others.
- A target that failed five times in a row is troubled: it gets a sixteenth, all such together a
  half. Its next success ends that.
- Only a target that answers quickly has deliveries claimed ahead.
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
_TROUBLED_AFTER = 5
# What a quick target may take, and how long one of its attempts may go on until that is in doubt.
_QUICK_S = 0.1
_DOUBTFUL_S = 0.25
_PACE_WEIGHT = 0.125
# Targets that are remembered while nothing of theirs is here; troubled ones that are held down.
_REMEMBERED = 16384
_HELD_DOWN = 256


class _Kind(IntEnum):
    PROVEN = 0
    WEAK = 1
    TROUBLED = 2


@dataclass(slots=True, eq=False)
class _Target:
    name: TargetKey
    ready: deque[ClaimedDelivery] = field(default_factory=deque)
    started: dict[int, float] = field(default_factory=dict)
    kind: _Kind = _Kind.WEAK
    failures: int = 0
    pace: float = 1.0

    @property
    def is_idle(self) -> bool:
        return not self.ready and not self.started


class FairScheduler:
    """What is ready and what runs, by target. `clock` is monotonic, in seconds.

    `reserve` is how much room no target takes alone.
    """

    def __init__(self, concurrency: int, clock: Callable[[], float]) -> None:
        self._concurrency = concurrency
        self._clock = clock
        self.reserve = concurrency // 8 or min(1, concurrency - 1)
        self._most_weak = max(1, concurrency - concurrency // 4)
        self._most_troubled = max(1, concurrency // 2)
        self._each_troubled = max(1, concurrency // 16)
        self._targets: dict[TargetKey, _Target] = {}
        self._active: dict[TargetKey, _Target] = {}
        self._troubled: dict[TargetKey, _Target] = {}
        self._turns: deque[_Target] = deque()
        self._running_of = [0, 0, 0]
        self._ready_of = [0, 0, 0]
        self._running = 0
        self._ready = 0

    def __repr__(self) -> str:
        return f"<Slots [running: {self._running} of {self._concurrency} | ready: {self._ready}]>"

    @property
    def ready_count(self) -> int:
        """How many deliveries are claimed and not begun."""
        return self._ready

    @property
    def room(self) -> int:
        """How many more may be claimed, until three for each slot are here.

        A turn comes when two for each slot have ended, and what runs goes on during it.
        What cannot begin for now, because its target is not known to answer, takes room from others
        only when there is twice as much of it again.
        """
        room = _TIMES_CLAIMED * self._concurrency - self._ready - self._running
        if self._free_for_weak > 0:
            return room
        waiting = self._ready_of[_Kind.WEAK] + self._ready_of[_Kind.TROUBLED]
        return room + min(waiting, 2 * self._concurrency)

    @property
    def ready_names(self) -> set[TargetKey]:
        """The targets of what is claimed and not begun."""
        return {target.name for target in self._turns}

    @property
    def ready_ids(self) -> set[DeliveryId]:
        """What is claimed and not begun."""
        return {each.id for target in self._turns for each in target.ready}

    def add(self, claimed: Iterable[ClaimedDelivery]) -> None:
        """Take what was claimed."""
        for each in claimed:
            name = (each.instance_id, each.target_id)
            target = self._targets.get(name)
            if target is None:
                target = self._targets[name] = _Target(name)
            self._active[name] = target
            if not target.ready:
                self._turns.append(target)
            target.ready.append(each)
            self._ready += 1
            self._ready_of[target.kind] += 1
        if len(self._targets) > 2 * _REMEMBERED + len(self._active):
            self._forget()

    def begin_next(self) -> ClaimedDelivery | None:
        """Take a slot for the next delivery, target by target; None: nobody may begin now."""
        if self._running >= self._concurrency:
            return None
        for _ in range(len(self._turns)):
            target = self._turns.popleft()
            if not self._may_begin(target):
                self._turns.append(target)
                continue
            claimed = target.ready.popleft()
            if target.ready:
                self._turns.append(target)
            # By the object: what was thought lost may come twice, with the same delivery id.
            target.started[id(claimed)] = self._clock()
            self._ready -= 1
            self._ready_of[target.kind] -= 1
            self._running += 1
            self._running_of[target.kind] += 1
            return claimed
        return None

    def end(self, claimed: ClaimedDelivery, settled: Settlement | None) -> None:
        """Free the slot of a delivery that was begun. `settled` None: nothing was learnt."""
        target = self._targets[claimed.instance_id, claimed.target_id]
        duration = self._clock() - target.started.pop(id(claimed))
        self._running -= 1
        self._running_of[target.kind] -= 1
        if settled is not None:
            self._learn(target, settled, duration)
        if target.is_idle:
            self._active.pop(target.name, None)

    def claim_limits(self) -> ClaimLimits:
        """How much of each target may be claimed now."""
        of = {name: self._cap(target) for name, target in self._troubled.items()}
        of.update((name, self._cap(target)) for name, target in self._active.items())
        free = self._concurrency - self._running
        return ClaimLimits(max(1, free * _TIMES_FREE // (_TIMES_FREE + 1)), of)

    def withdraw(self, shut: Iterable[TargetKey] = ()) -> list[ClaimedDelivery]:
        """Take back what is ready and should not be: of `shut` targets, and beyond what they get."""
        shut, withdrawn = set(shut), []
        for target in list(self._turns):
            keep = 0 if target.name in shut else self._may_have_ready(target)
            while len(target.ready) > keep:
                withdrawn.append(target.ready.pop())
                self._ready_of[target.kind] -= 1
            if not target.ready:
                self._turns.remove(target)
                if target.is_idle:
                    self._active.pop(target.name, None)
        self._ready -= len(withdrawn)
        return withdrawn

    def take_ready(self) -> list[ClaimedDelivery]:
        """Take back all that is ready."""
        return self.withdraw(self.ready_names)

    def _may_begin(self, target: _Target) -> bool:
        held, free = len(target.started), self._concurrency - self._running
        if target.kind is not _Kind.PROVEN:
            free = min(free, self._free_for_weak)
        if free <= 0 or (held and held + 1 > _TIMES_FREE * (free - 1)):
            return False
        return target.kind is not _Kind.TROUBLED or (
            held < self._each_troubled and self._running_of[_Kind.TROUBLED] < self._most_troubled
        )

    @property
    def _free_for_weak(self) -> int:
        weak = self._running_of[_Kind.WEAK] + self._running_of[_Kind.TROUBLED]
        return self._most_weak - weak

    def _limit(self, target: _Target) -> int:
        if target.kind is _Kind.TROUBLED:
            return self._each_troubled
        others = self._running - len(target.started)
        return max(1, (self._concurrency - others) * _TIMES_FREE // (_TIMES_FREE + 1))

    def _cap(self, target: _Target) -> int:
        if self._is_doubtful(target):
            return max(0, self._limit(target) - len(target.started) - len(target.ready))
        # Never nothing: a target of which there is nothing at all is moved out of the way.
        if target.pace <= _QUICK_S:
            return max(1, self.room - self.reserve)
        return max(1, self._limit(target) - len(target.started) - len(target.ready))

    def _may_have_ready(self, target: _Target) -> int:
        if self._is_doubtful(target):
            return max(0, self._limit(target) - len(target.started))
        return _TIMES_CLAIMED * self._concurrency

    def _is_doubtful(self, target: _Target) -> bool:
        """Whether it fails, or has not ended an attempt for a while."""
        if target.failures:
            return True
        oldest = next(iter(target.started.values()), None)
        return oldest is not None and self._clock() - oldest >= _DOUBTFUL_S

    def _learn(self, target: _Target, settled: Settlement, duration: float) -> None:
        attempt = settled.attempt
        if attempt is None:
            return
        if settled.state is DeliveryState.DELIVERED or attempt.outcome in ANSWERS:
            target.failures = 0
            weight = _PACE_WEIGHT if target.kind is _Kind.PROVEN else 1.0
            target.pace += (duration - target.pace) * weight
        elif is_to_blame(attempt):
            target.failures += 1
        else:
            return
        kind = _Kind.PROVEN if not target.failures else _Kind.WEAK
        if target.failures >= _TROUBLED_AFTER:
            kind = _Kind.TROUBLED
        if kind is not target.kind:
            self._change(target, kind)

    def _change(self, target: _Target, kind: _Kind) -> None:
        self._running_of[target.kind] -= len(target.started)
        self._running_of[kind] += len(target.started)
        self._ready_of[target.kind] -= len(target.ready)
        self._ready_of[kind] += len(target.ready)
        target.kind = kind
        self._troubled.pop(target.name, None)
        if kind is _Kind.TROUBLED:
            self._troubled[target.name] = target
            if len(self._troubled) > _HELD_DOWN:
                del self._troubled[next(iter(self._troubled))]

    def _forget(self) -> None:
        idle = [name for name, target in self._targets.items() if target.is_idle]
        for name in idle[: len(idle) - _REMEMBERED]:
            del self._targets[name]
