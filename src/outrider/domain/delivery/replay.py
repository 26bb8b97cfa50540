"""Replays: new deliveries of finished ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.ids import DeliveryId


@dataclass(frozen=True, slots=True)
class ReplaySource:
    """A delivery that a caller wants again.

    `is_replayable`: it is finished, and its target exists.
    """

    id: DeliveryId
    is_replayable: bool


@dataclass(frozen=True, slots=True)
class ReplayRange:
    """Deliveries after `after`, up to and with `until`: what is made later is not replayed."""

    after: DeliveryId
    until: DeliveryId


@dataclass(frozen=True, slots=True)
class ReplayWindow:
    """What a bounded scan of the log has found, oldest first.

    `reached` is the last delivery that was scanned, None: there is none left in the range.
    """

    found: Sequence[ReplaySource]
    reached: DeliveryId | None
    reached_at: datetime | None


@dataclass(frozen=True, slots=True)
class Replay:
    """A new delivery, and the one that it repeats."""

    id: DeliveryId
    of: DeliveryId


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """How many were made and how many skipped; `rest` is what is still to be scanned."""

    made: int = 0
    skipped: int = 0
    rest: ReplayRange | None = None
    reached_at: datetime | None = None
