"""What a turn of the worker brings, and what is under way between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.delivery.delivery import ClaimedDelivery, Settlement
from outrider.domain.delivery.target_queue import TargetKey


@dataclass(frozen=True, slots=True)
class PollResult:
    """What was claimed, with what is needed to call its targets as of a revision of the routes.

    `next_due` is when there may be more, None: nobody knows. The targets in `shut` are not to be
    called now, though deliveries of theirs are here.
    """

    claimed: Sequence[ClaimedDelivery]
    resolved_targets: dict[TargetKey, ResolvedTarget]
    revision: int
    next_due: datetime | None
    shut: set[TargetKey]


@dataclass(slots=True)
class InFlight:
    """An attempt under way; it has ended when there is a settlement."""

    claimed: ClaimedDelivery
    resolved_target: ResolvedTarget
    started_at: datetime
    settlement: Settlement | None = None
