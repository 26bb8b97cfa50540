"""A clock that stands still, and identifiers and secrets that come in order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from outrider.runtime import Runtime

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
"""When tests happen, unless they say otherwise."""

FIRST_ID = 1_000_000_000_000_000_001
"""The first identifier of a fixed runtime; as long as real ones."""

FIRST_SONYFLAKE = 200_000_000_000_000_001
"""The first of a target, public key or web key; as long as real ones."""


class FixedClock:
    """Shows the same time until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def __call__(self) -> datetime:
        """What the clock shows: aware, in UTC."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move the clock, backwards for a negative duration; return what it shows then."""
        self._now += by
        return self._now


def fixed_runtime(clock: Callable[[], datetime] | None = None, *, draw: float = 0.0) -> Runtime:
    """A runtime in which nothing is left to chance.

    Identifiers count up from `FIRST_ID` and `FIRST_SONYFLAKE`, signing keys and tokens carry their number at the end:
    `SigningKey…0001`, 36 characters as real ones, and `otr_token_0001`.
    """
    ids, sonyflakes = count(FIRST_ID), count(FIRST_SONYFLAKE)
    keys, tokens = count(1), count(1)
    return Runtime(
        now=clock or FixedClock(),
        draw=lambda: draw,
        new_id=lambda: next(ids),
        new_sonyflake=lambda: next(sonyflakes),
        new_signing_key=lambda: f"SigningKey{next(keys):026d}",
        new_token=lambda: f"otr_token_{next(tokens):04d}",
    )
