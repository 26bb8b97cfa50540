"""Names of states and results of deliveries on the command line."""

from __future__ import annotations

from enum import StrEnum

STATE_PREFIX = "DELIVERY_STATE_"
OUTCOME_PREFIX = "OUTCOME_"
SKIP_PREFIX = "SKIP_REASON_"


class State(StrEnum):
    """A state of a delivery."""

    PENDING = "pending"
    DELIVERING = "delivering"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


OPEN = (State.PENDING, State.DELIVERING, State.RETRYING)
FINAL = (State.DELIVERED, State.DEAD, State.CANCELLED)
