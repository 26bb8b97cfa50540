"""The circuit breaker of a target: closed, open, half-open.

    CLOSED ──`failures` in a row──▶ OPEN ──`open_for` later──▶ HALF-OPEN ──probe accepted──▶ CLOSED
                                     ▲                             │
                                     └────────probe failed─────────┘

While it is open, the target is not called. While it is half-open, one call at a time is sent as a
probe, and its result decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from outrider.domain.delivery.delivery import Attempt
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import Breaker

FAILURES = frozenset({Outcome.UNREACHABLE, Outcome.FAILED, Outcome.OVERLOADED})
"""What the receiver is to blame for. What never left, or was lost by us, says nothing about it."""
ANSWERS = frozenset({Outcome.ACCEPTED, Outcome.REFUSED})
"""A receiver that refuses one delivery with a 4xx is there, and works."""


def is_to_blame(attempt: Attempt) -> bool:
    """Whether an attempt failed by its receiver: the failure of a proxy on the way is not its."""
    return attempt.outcome in FAILURES and attempt.stage.concerns_target


class BreakerChange(Enum):
    """A change of which an operator event informs."""

    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """`failures` in a row so far; `open_until` None: closed, in the past: half-open."""

    failures: int = 0
    open_until: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether no call may be made."""
        return self.open_until is not None and now < self.open_until

    def is_half_open(self, now: datetime) -> bool:
        """Whether one at a time may try."""
        return self.open_until is not None and now >= self.open_until


def after_attempt(
    state: BreakerState,
    breaker: Breaker,
    *,
    is_failure: bool,
    started_at: datetime,
    ended_at: datetime,
) -> tuple[BreakerState, BreakerChange | None]:
    """Return the state after an attempt that says something, and what changed by it.

    Attempts count in the order in which they are handed in. While the breaker is not closed only
    those count that began after `open_until`: what was under way when it opened says nothing new.
    """
    if not breaker.failures:
        return BreakerState(), None
    if state.open_until is not None:
        return _not_closed(state, breaker, is_failure, started_at, ended_at)
    failures = state.failures + 1 if is_failure else 0
    if failures < breaker.failures:
        return BreakerState(failures), None
    return BreakerState(failures, ended_at + breaker.open_for), BreakerChange.OPENED


def _not_closed(
    state: BreakerState,
    breaker: Breaker,
    is_failure: bool,  # noqa: FBT001 - as above
    started_at: datetime,
    ended_at: datetime,
) -> tuple[BreakerState, BreakerChange | None]:
    if state.open_until is None or started_at < state.open_until:
        return state, None
    if not is_failure:
        return BreakerState(), BreakerChange.CLOSED
    return replace(state, open_until=ended_at + breaker.open_for), None
