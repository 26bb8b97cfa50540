"""The conditions by which deliveries are searched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.ids import DeliveryId, EventId, TargetId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySearch:
    """A search for deliveries: conditions are ANDed, None and empty match everything.

    `created_since` is included, `created_until` is not. `before` is the key of the last row of the
    page before this one: newest come first.
    """

    states: tuple[DeliveryState, ...] = ()
    target_id: TargetId | None = None
    event_type: str | None = None
    event_id: EventId | None = None
    created_since: datetime | None = None
    created_until: datetime | None = None
    before: DeliveryId | None = None
    limit: int = 100
