"""A lane: the queue of one target, where something holds it back or it would hold others back.

Most targets have none: their deliveries share the general queue. A target has a lane while it is
paused, while its policy limits it, until it has recovered from a pause or from an open breaker, or
because it crowds the general queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from outrider.domain.delivery.circuit_breaker import (
    ANSWERS,
    BreakerChange,
    BreakerState,
    after_attempt,
    is_to_blame,
)
from outrider.domain.delivery.delivery import DeliveryState, Settlement
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.targets.policy import Breaker, TargetPolicy

LaneName = tuple[InstanceId, TargetId]

_UNLIMITED = 1 << 30
_NO_BREAKER = Breaker()
_CLOSED = BreakerState()
# A bucket holds a fifth of a second: what a receiver gets in any second is at most 1.2 times its
# rate. A worker may come 50 ms late: a bucket that held less would not reach the rate.
_BURST_S = 0.2
# Fast lanes are looked at this often at most, and then give several at once.
_SERVING_S = 0.02
# No sum of times overflows, however low the rate is.
_LONGEST_S = 366 * 86_400.0
# From here on a target that recovers is treated as recovered.
_RECOVERED_AT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What holds a target back, and where that stands. Immutable: a change is a new value.

    Limits of 0: none. `ramp` is how many calls a recovering target may get at once, 0: it has
    recovered. `tokens` are those of `tokens_at`. `served_at` is when deliveries were last claimed
    from it: lanes take turns by it.
    """

    is_paused: bool = False
    max_concurrency: int = 0
    rate_per_second: float = 0.0
    is_ordered: bool = False
    parks: bool = False
    breaker: Breaker = _NO_BREAKER
    state: BreakerState = _CLOSED
    tokens: float = 0.0
    tokens_at: datetime | None = None
    ramp: int = 0
    served_at: datetime | None = None

    @property
    def is_gate(self) -> bool:
        """Whether anything but its backlog keeps it."""
        return bool(
            self.is_paused
            or self.max_concurrency
            or self.rate_per_second
            or self.is_ordered
            or self.breaker.failures
            or self.ramp
        )

    def is_shut(self, now: datetime) -> bool:
        """Whether even what was claimed from it should not be attempted now."""
        return self.is_paused or self.state.is_open(now)


@dataclass(frozen=True, slots=True)
class Caps:
    """How many deliveries of one target a worker takes at most: of each, or of some otherwise."""

    of_each: int = _UNLIMITED
    of: Mapping[LaneName, int] = field(default_factory=dict)

    def get(self, name: LaneName) -> int:
        """The cap of a target."""
        return self.of.get(name, self.of_each)


NO_CAPS = Caps()


def with_policy(lane: Lane, policy: TargetPolicy, now: datetime) -> Lane:
    """The lane under another policy. A breaker whose numbers stay keeps its state."""
    rate_stays = lane.rate_per_second == policy.rate_per_second
    return replace(
        lane,
        max_concurrency=policy.max_concurrency,
        rate_per_second=policy.rate_per_second,
        is_ordered=policy.is_ordered,
        parks=policy.parks,
        breaker=policy.breaker,
        state=lane.state if lane.breaker == policy.breaker else _CLOSED,
        tokens=lane.tokens if rate_stays else _burst(policy.rate_per_second),
        tokens_at=lane.tokens_at if rate_stays else now,
    )


def room(lane: Lane, in_flight: int, now: datetime) -> int:
    """How many deliveries may be claimed from it now, when so many are being attempted."""
    if lane.is_paused or lane.state.is_open(now):
        return 0
    limits = [lane.max_concurrency, lane.ramp, 1 if lane.state.is_half_open(now) else 0]
    most = min((each - in_flight for each in limits if each), default=_UNLIMITED)
    if lane.rate_per_second:
        most = min(most, int(_tokens(lane, now) + 1e-9))
    return max(most, 0)


def ready_at(lane: Lane, in_flight: int, first_due_at: datetime | None) -> datetime | None:
    """When something can be claimed from it; None: not before something else has changed.

    Lanes are served in the order of these times. One that was just served queues up behind those
    that wait, however long overdue its deliveries are.
    """
    if first_due_at is None or lane.is_paused:
        return None
    limits = [lane.max_concurrency, lane.ramp, 1 if lane.state.open_until else 0]
    if any(each and in_flight >= each for each in limits):
        return None
    gates = (first_due_at, lane.served_at, lane.state.open_until, _next_tokens_at(lane))
    return max(each for each in gates if each is not None)


def after_claim(lane: Lane, count: int, now: datetime) -> Lane:
    """The lane when `count` deliveries were claimed from it."""
    if not lane.rate_per_second:
        return replace(lane, served_at=now)
    return replace(lane, served_at=now, tokens=_tokens(lane, now) - count, tokens_at=now)


def after_settlement(lane: Lane, settled: Settlement) -> tuple[Lane, BreakerChange | None]:
    """The lane after an attempt, and what its breaker did."""
    attempt = settled.attempt
    if attempt is None or not (lane.breaker.failures or lane.ramp):
        return lane, None
    is_success = settled.state is DeliveryState.DELIVERED or attempt.outcome in ANSWERS
    if not is_success and not is_to_blame(attempt):
        return lane, None
    state, change = after_attempt(
        lane.state,
        lane.breaker,
        is_failure=not is_success,
        started_at=attempt.started_at,
        ended_at=attempt.started_at + attempt.duration,
    )
    ramp = 1 if change is BreakerChange.CLOSED else lane.ramp
    return replace(lane, state=state, ramp=_next_ramp(ramp, is_success=is_success)), change


def not_after(lane: Lane, now: datetime) -> Lane:
    """The lane under a clock that went back to `now`: it waits for nothing longer than from now."""
    open_until, latest = lane.state.open_until, now + lane.breaker.open_for
    state = lane.state
    if open_until is not None and open_until > latest:
        state = replace(state, open_until=latest)
    return replace(
        lane,
        state=state,
        tokens_at=lane.tokens_at and min(lane.tokens_at, now),
        served_at=lane.served_at and min(lane.served_at, now),
    )


def resumed(lane: Lane) -> Lane:
    """The lane of a target that goes on: first with one call at a time."""
    return replace(lane, is_paused=False, ramp=1) if lane.is_paused else lane


def serve(participants: Sequence[Callable[[int], int]], limit: int) -> None:
    """Let each take an equal share of `limit`, then the first of them what is left over.

    A participant is asked to take at most so many, and returns how many it took: fewer means that
    it has no more.
    """
    if not participants:
        return
    share, rest = max(1, limit // len(participants)), limit
    hungry = []
    for take in participants:
        asked = min(share, rest)
        taken = take(asked) if asked else 0
        rest -= taken
        if asked and taken == asked:
            hungry.append(take)
    for take in hungry:
        if rest:
            rest -= take(rest)


def _next_ramp(ramp: int, *, is_success: bool) -> int:
    """One more with each success, so that it doubles while all those calls succeed."""
    if not ramp:
        return 0
    if not is_success:
        return max(1, ramp // 2)
    return 0 if ramp >= _RECOVERED_AT else ramp + 1


def _burst(rate: float) -> float:
    return max(1.0, rate * _BURST_S)


def _tokens(lane: Lane, now: datetime) -> float:
    since = timedelta(0) if lane.tokens_at is None else max(now - lane.tokens_at, timedelta(0))
    earned = since.total_seconds() * lane.rate_per_second
    return min(lane.tokens + earned, _burst(lane.rate_per_second))


def _next_tokens_at(lane: Lane) -> datetime | None:
    if not lane.rate_per_second or lane.tokens_at is None:
        return None
    wanted = float(max(1, int(lane.rate_per_second * _SERVING_S)))
    missing = min(max(0.0, wanted - lane.tokens) / lane.rate_per_second, _LONGEST_S)
    # One microsecond more: what is asked for at that moment must be there.
    return lane.tokens_at + timedelta(seconds=missing, microseconds=1 if missing else 0)
