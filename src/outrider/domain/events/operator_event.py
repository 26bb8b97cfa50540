"""Events that outrider publishes for its operators.

They are routed like any other event of the instance. Their own deliveries make no operator events,
so that a broken receiver of operator events causes no loop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from outrider.domain.events.event import OWN_PREFIX, Event
from outrider.domain.ids import EventId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OperatorEvent(StrEnum):
    """Their types."""

    DELIVERY_DEAD = "outrider.delivery.dead"
    TARGET_PAUSED = "outrider.target.paused"
    TARGET_RESUMED = "outrider.target.resumed"
    BREAKER_OPENED = "outrider.target.breaker_opened"
    BREAKER_CLOSED = "outrider.target.breaker_closed"

    @property
    def aggregate_type(self) -> str:
        """`outrider.delivery` or `outrider.target`."""
        return self.value.rpartition(".")[0]


def is_own(event_type: str) -> bool:
    """Whether only outrider itself publishes events of this type."""
    return f"{event_type}.".startswith(OWN_PREFIX)


def operator_event(
    event_id: EventId,
    event_type: OperatorEvent,
    aggregate_id: str,
    payload: Mapping[str, object],
    now: datetime,
    *,
    hops: int = 0,
) -> Event:
    """The event about one delivery or one target. Values that are None are left out.

    `hops` is that of the event which it is about: a receiver that publishes when it hears of a
    death is part of a circle as well.
    """
    members = {name: value for name, value in payload.items() if value is not None}
    return Event(
        id=event_id,
        event_type=event_type,
        created_at_ns=(now - _EPOCH) // timedelta(microseconds=1) * 1000,
        aggregate_id=aggregate_id,
        aggregate_type=event_type.aggregate_type,
        payload_json=json.dumps(members),
        hops=hops,
    )
