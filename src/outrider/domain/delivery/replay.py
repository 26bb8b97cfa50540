"""Deliveries that a caller wants again, sooner or not at all: what is found, and what is skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from typing import Self

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.ids import DeliveryId, TargetId

OPEN = (DeliveryState.PENDING, DeliveryState.DELIVERING, DeliveryState.RETRYING)
"""The states of what is not finished."""
FINAL = (DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.CANCELLED)


class SkipReason(IntEnum):
    """The reason why a delivery was skipped. The numbers are those of `outrider.v1.SkipReason`."""

    OPEN = 1
    FINISHED = 2
    TARGET_DELETED = 3
    REPLAYED = 4
    ATTEMPT_RUNNING = 5
    WAITING = 6
    DUE = 7


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A delivery that a caller named or found.

    `waits`: another delivery has to end before it is due. `is_replayed`: a replay of it, of what it
    repeats, or of another replay of that is open or was delivered; of a replay also itself.
    """

    id: DeliveryId
    state: DeliveryState
    target_id: TargetId
    has_target: bool = True
    waits: bool = False
    due_at: datetime | None = None
    is_replayed: bool = False

    @property
    def is_replayable(self) -> bool:
        """Return whether the delivery is finished, and its target exists."""
        return self.state.is_final and self.has_target


def replay_skip(entry: LogEntry, *, include_replayed: bool) -> SkipReason | None:
    """Return why a delivery is not replayed, or None when it is."""
    if not entry.state.is_final:
        return SkipReason.OPEN
    if not entry.has_target:
        return SkipReason.TARGET_DELETED
    return SkipReason.REPLAYED if entry.is_replayed and not include_replayed else None


def retry_skip(entry: LogEntry, now: datetime) -> SkipReason | None:
    """Return why a delivery does not become due now, or None when it does."""
    if entry.state.is_final:
        return SkipReason.FINISHED
    if entry.state is DeliveryState.DELIVERING:
        return SkipReason.ATTEMPT_RUNNING
    if not entry.has_target:
        return SkipReason.TARGET_DELETED
    # Without a due time and without one in front of it, it is being cancelled.
    if entry.waits or entry.due_at is None:
        return SkipReason.WAITING
    return SkipReason.DUE if entry.due_at <= now else None


def cancel_skip(entry: LogEntry) -> SkipReason | None:
    """Return why a delivery is not cancelled; None: it is, now or when its attempt has failed."""
    return SkipReason.FINISHED if entry.state.is_final else None


@dataclass(frozen=True, slots=True)
class LogRange:
    """Deliveries after `after`, up to and with `until`: what is made later is not found."""

    after: DeliveryId
    until: DeliveryId


@dataclass(frozen=True, slots=True)
class LogWindow:
    """The result of a bounded scan of the log, in the order of the scan.

    `reached` is the last delivery that was scanned, None: there is none left in the range.
    """

    found: Sequence[LogEntry]
    reached: DeliveryId | None
    reached_at: datetime | None


@dataclass(frozen=True, slots=True)
class Replay:
    """A new delivery, and the one that it repeats."""

    id: DeliveryId
    of: DeliveryId


@dataclass(frozen=True, slots=True)
class BulkCounts:
    """The result for some deliveries: how many were changed as asked, and why others were not.

    `deferred` counts those of `count` that wait: for the end of an attempt, or a target's resumption.
    """

    count: int = 0
    skips: Mapping[SkipReason, int] = field(default_factory=dict)
    deferred: int = 0

    @property
    def skipped(self) -> int:
        """Return how many deliveries were skipped."""
        return sum(self.skips.values())


@dataclass(frozen=True, slots=True)
class PagedResult:
    """The result of one call; `rest` is the part of the log that is still to be scanned."""

    counts: BulkCounts = field(default_factory=BulkCounts)
    rest: LogRange | None = None
    reached_at: datetime | None = None

    @property
    def made(self) -> int:
        """Return how many deliveries were changed as asked."""
        return self.counts.count

    @property
    def skipped(self) -> int:
        """Return how many deliveries were skipped."""
        return self.counts.skipped

    def plus(self, counts: BulkCounts) -> Self:
        """The result with what was done after that."""
        skips = Counter(self.counts.skips)
        skips.update(counts.skips)
        total = BulkCounts(
            self.counts.count + counts.count, skips, self.counts.deferred + counts.deferred
        )
        return replace(self, counts=total)
