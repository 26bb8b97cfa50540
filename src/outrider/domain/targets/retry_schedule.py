"""Compute the time of the next attempt, without clock, network or randomness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from outrider.domain.outcome import Outcome

# retry   wait      since the first attempt
#   1      5 s       5 s            a restart of the receiver
#   2      5 min     5 min          a deploy
#   3      30 min    35 min
#   4      2 h       2 h 35 min     an incident
#   5      5 h       7 h 35 min
#   6      10 h      17 h 35 min    a night
#   7      14 h      1 d 7 h
#   8      20 h      2 d 3 h
#   9      24 h      3 d 3 h        a weekend
# Standard Webhooks 1.0 recommends this schedule.
DEFAULT_WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
GONE = 410
_MAX_RETRY_AFTER_CHARS = 64
_MAX_RETRY_AFTER_DIGITS = 9


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The waits between attempts, and what is never tried again.

    A wait is lengthened by up to `jitter` of itself. `final_statuses` end a delivery at once.
    Nothing is tried again when the delivery would be older than `max_age` by then; None: no bound.
    """

    waits: tuple[timedelta, ...] = DEFAULT_WAITS
    jitter: float = 0.2
    final_statuses: frozenset[int] = frozenset({GONE})
    max_age: timedelta | None = None
    honor_retry_after: bool = True

    def wait_after(
        self,
        attempt_number: int,
        outcome: Outcome,
        status_code: int,
        draw: float,
        retry_after: timedelta | None = None,
        *,
        age: timedelta = timedelta(0),
    ) -> timedelta | None:
        """Return the wait after failed attempt `attempt_number` (from 1), None: not again.

        Never below `retry_after`, which is itself bounded by the longest wait: a receiver may slow
        us down, it may not put a delivery off for a month. `age` is how old the delivery was when the
        attempt ended.
        """
        if status_code in self.final_statuses or attempt_number > len(self.waits):
            return None
        wait = self._wait(attempt_number, outcome, draw, retry_after)
        is_too_late = self.max_age is not None and age + wait > self.max_age
        return None if is_too_late else wait

    def _wait(
        self, attempt_number: int, outcome: Outcome, draw: float, retry_after: timedelta | None
    ) -> timedelta:
        if outcome is Outcome.LOST:
            # Our node died, the receiver did nothing wrong. The attempt still counts, so that a
            # delivery which kills its node ends.
            return timedelta(0)
        wait = self.waits[attempt_number - 1]
        wait += wait * self.jitter * draw
        if retry_after is not None and self.honor_retry_after:
            wait = max(wait, min(retry_after, max(self.waits)))
        return wait


def parse_retry_after(text: str, now: datetime) -> timedelta | None:
    """Return how long from `now` a Retry-After header asks to wait (RFC 9110, section 10.2.3).

    Seconds, or an HTTP date in any of its three formats; None when it is neither, zero when the
    date is past.
    """
    text = text.strip()
    if len(text) > _MAX_RETRY_AFTER_CHARS:
        return None
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text)) if len(text) <= _MAX_RETRY_AFTER_DIGITS else None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)  # the oldest of the three date formats does not say so
    return max(at - now, timedelta(0))
