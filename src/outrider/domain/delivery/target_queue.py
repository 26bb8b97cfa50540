"""The queue of one target that is limited, paused, recovering or flooding.

Most targets have none: their deliveries are in the shared queue. A target has a target queue while
it is paused, while its policy limits it, until it has recovered from a pause or from an open
breaker, or because it floods the shared queue.
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

TargetKey = tuple[InstanceId, TargetId]

_UNLIMITED = 1 << 30
_NO_BREAKER = Breaker()
_CLOSED = BreakerState()
# A bucket holds a fifth of a second: what a receiver gets in any second is at most 1.2 times its
# rate. A worker may come 50 ms late: a bucket that held less would not reach the rate.
_BURST_S = 0.2
# Deliveries are claimed from a fast target queue this often at most, and then several at once.
_CLAIM_EVERY_S = 0.02
# No sum of times overflows, however low the rate is.
_LONGEST_S = 366 * 86_400.0
# From here on a target that recovers is treated as recovered.
_RECOVERED_AT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetQueue:
    """What holds a target back, and where that stands. Immutable: a change is a new value.

    Limits of 0: none. `slow_start_window` is how many calls a recovering target may get at once,
    0: it has recovered. `tokens` are those of `tokens_at`. `last_claimed_at` is when deliveries
    were last claimed from it: claims go round the target queues by it.
    """

    is_paused: bool = False
    max_concurrency: int = 0
    rate_per_second: float = 0.0
    is_ordered: bool = False
    halts_on_dead: bool = False
    breaker: Breaker = _NO_BREAKER
    state: BreakerState = _CLOSED
    tokens: float = 0.0
    tokens_at: datetime | None = None
    slow_start_window: int = 0
    last_claimed_at: datetime | None = None

    @property
    def is_limited(self) -> bool:
        """Whether it has a reason to exist besides its backlog."""
        return bool(
            self.is_paused
            or self.max_concurrency
            or self.rate_per_second
            or self.is_ordered
            or self.breaker.failures
            or self.slow_start_window
        )

    def is_suspended(self, now: datetime) -> bool:
        """Whether even what was claimed from it should not be attempted now."""
        return self.is_paused or self.state.is_open(now)


@dataclass(frozen=True, slots=True)
class ClaimLimits:
    """How many deliveries of one target a worker claims at most; `default` for those not named."""

    default: int = _UNLIMITED
    by_target: Mapping[TargetKey, int] = field(default_factory=dict)

    def get(self, target_key: TargetKey) -> int:
        """The limit of a target."""
        return self.by_target.get(target_key, self.default)


NO_CLAIM_LIMITS = ClaimLimits()


def with_policy(target_queue: TargetQueue, policy: TargetPolicy, now: datetime) -> TargetQueue:
    """The target queue under another policy. A breaker whose numbers stay keeps its state."""
    rate_stays = target_queue.rate_per_second == policy.rate_per_second
    return replace(
        target_queue,
        max_concurrency=policy.max_concurrency,
        rate_per_second=policy.rate_per_second,
        is_ordered=policy.is_ordered,
        halts_on_dead=policy.halts_on_dead,
        breaker=policy.breaker,
        state=target_queue.state if target_queue.breaker == policy.breaker else _CLOSED,
        tokens=target_queue.tokens if rate_stays else _burst(policy.rate_per_second),
        tokens_at=target_queue.tokens_at if rate_stays else now,
    )


def capacity(target_queue: TargetQueue, in_flight: int, now: datetime) -> int:
    """How many deliveries may be claimed from it now, when so many are being attempted."""
    if target_queue.is_paused or target_queue.state.is_open(now):
        return 0
    limits = [
        target_queue.max_concurrency,
        target_queue.slow_start_window,
        1 if target_queue.state.is_half_open(now) else 0,
    ]
    most = min((limit - in_flight for limit in limits if limit), default=_UNLIMITED)
    if target_queue.rate_per_second:
        most = min(most, int(_tokens(target_queue, now) + 1e-9))
    return max(most, 0)


def ready_at(
    target_queue: TargetQueue, in_flight: int, first_due_at: datetime | None
) -> datetime | None:
    """When something can be claimed from it; None: not before something else has changed.

    Claims go through the target queues in the order of these times. One that was just claimed from
    comes after those that wait, however long overdue its deliveries are.
    """
    if first_due_at is None or target_queue.is_paused:
        return None
    limits = [
        target_queue.max_concurrency,
        target_queue.slow_start_window,
        1 if target_queue.state.open_until else 0,
    ]
    if any(limit and in_flight >= limit for limit in limits):
        return None
    constraints = (
        first_due_at,
        target_queue.last_claimed_at,
        target_queue.state.open_until,
        _next_tokens_at(target_queue),
    )
    return max(constraint for constraint in constraints if constraint is not None)


def after_claim(target_queue: TargetQueue, count: int, now: datetime) -> TargetQueue:
    """The target queue when `count` deliveries were claimed from it."""
    if not target_queue.rate_per_second:
        return replace(target_queue, last_claimed_at=now)
    return replace(
        target_queue, last_claimed_at=now, tokens=_tokens(target_queue, now) - count, tokens_at=now
    )


def after_settlement(
    target_queue: TargetQueue, settled: Settlement
) -> tuple[TargetQueue, BreakerChange | None]:
    """The target queue after an attempt, and what its breaker did."""
    attempt = settled.attempt
    if attempt is None or not (target_queue.breaker.failures or target_queue.slow_start_window):
        return target_queue, None
    is_success = settled.state is DeliveryState.DELIVERED or attempt.outcome in ANSWERS
    if not is_success and not is_to_blame(attempt):
        return target_queue, None
    state, change = after_attempt(
        target_queue.state,
        target_queue.breaker,
        is_failure=not is_success,
        started_at=attempt.started_at,
        ended_at=attempt.started_at + attempt.duration,
    )
    slow_start_window = 1 if change is BreakerChange.CLOSED else target_queue.slow_start_window
    return replace(
        target_queue,
        state=state,
        slow_start_window=_next_window(slow_start_window, is_success=is_success),
    ), change


def not_after(target_queue: TargetQueue, now: datetime) -> TargetQueue:
    """The target queue under a clock that went back to `now`: no wait began after `now`."""
    open_until, latest = target_queue.state.open_until, now + target_queue.breaker.open_for
    state = target_queue.state
    if open_until is not None and open_until > latest:
        state = replace(state, open_until=latest)
    return replace(
        target_queue,
        state=state,
        tokens_at=target_queue.tokens_at and min(target_queue.tokens_at, now),
        last_claimed_at=target_queue.last_claimed_at and min(target_queue.last_claimed_at, now),
    )


def resumed(target_queue: TargetQueue) -> TargetQueue:
    """The target queue of a target that goes on: first with one call at a time."""
    return (
        replace(target_queue, is_paused=False, slow_start_window=1)
        if target_queue.is_paused
        else target_queue
    )


def share_evenly(participants: Sequence[Callable[[int], int]], limit: int) -> None:
    """Let each participant take an equal share of `limit`, then the first of them what is left.

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


def _next_window(slow_start_window: int, *, is_success: bool) -> int:
    """One more with each success, so that it doubles while all those calls succeed."""
    if not slow_start_window:
        return 0
    if not is_success:
        return max(1, slow_start_window // 2)
    return 0 if slow_start_window >= _RECOVERED_AT else slow_start_window + 1


def _burst(rate: float) -> float:
    return max(1.0, rate * _BURST_S)


def _tokens(target_queue: TargetQueue, now: datetime) -> float:
    since = (
        timedelta(0)
        if target_queue.tokens_at is None
        else max(now - target_queue.tokens_at, timedelta(0))
    )
    earned = since.total_seconds() * target_queue.rate_per_second
    return min(target_queue.tokens + earned, _burst(target_queue.rate_per_second))


def _next_tokens_at(target_queue: TargetQueue) -> datetime | None:
    if not target_queue.rate_per_second or target_queue.tokens_at is None:
        return None
    needed = float(max(1, int(target_queue.rate_per_second * _CLAIM_EVERY_S)))
    missing = min(max(0.0, needed - target_queue.tokens) / target_queue.rate_per_second, _LONGEST_S)
    # One microsecond more: what is asked for at that moment must be there.
    return target_queue.tokens_at + timedelta(seconds=missing, microseconds=1 if missing else 0)
