"""What deliveries are called on the command line."""

from __future__ import annotations

from enum import StrEnum

STATE_PREFIX = "DELIVERY_STATE_"
OUTCOME_PREFIX = "OUTCOME_"


class State(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    DELIVERING = "delivering"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"
