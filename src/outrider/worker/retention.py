"""How long things are kept that nobody waits for any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Retention:
    """`delivered` is for cancelled deliveries, too; both count from when a delivery was settled.

    `events` counts from when an event was published. Until then a second one with its id is a
    duplicate, also when its deliveries are forgotten already. An event that has deliveries stays
    as long as they do.
    """

    delivered: timedelta
    dead: timedelta
    events: timedelta
