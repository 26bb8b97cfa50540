"""What a turn of the worker brings, and what is under way between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.calls.resolved_target import Callee
from outrider.domain.delivery.delivery import ClaimedDelivery, Settlement
from outrider.domain.delivery.target_queue import LaneName


@dataclass(frozen=True, slots=True)
class Turn:
    """What was claimed, with what is needed to call its targets as of a revision of the routes.

    `next_due` is when there may be more, None: nobody knows. The targets in `shut` are not to be
    called now, though deliveries of theirs are here.
    """

    claimed: Sequence[ClaimedDelivery]
    callees: dict[LaneName, Callee]
    revision: int
    next_due: datetime | None
    shut: set[LaneName]


@dataclass(slots=True)
class Running:
    """An attempt under way; it has ended when there is a settlement."""

    claimed: ClaimedDelivery
    callee: Callee
    started_at: datetime
    settlement: Settlement | None = None
