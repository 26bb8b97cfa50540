"""The metrics that use cases and workers report. Every method is quick and raises nothing."""

from __future__ import annotations

from typing import Protocol

from outrider.domain.delivery.delivery import Attempt, DeliveryState
from outrider.domain.outcome import Outcome


class PublishMetrics(Protocol):
    """`PublishEvents` reports to it after the commit."""

    def published(self, stored: int, duplicates: int, deliveries: int) -> None:
        """Count the events that were stored, those that were known, and the deliveries created."""
        ...

    def refused(self, reason: str) -> None:
        """Count a call that was refused. `reason`: conflict (an id with another content) or hops."""
        ...


class InterceptionMetrics(Protocol):
    """Requests, responses and functions that run through their targets report to it."""

    def intercepted(self, kind: str, result: str) -> None:
        """Count an interception. `result`: unmatched, passed or interrupted."""
        ...

    def call_began(self) -> None:
        """The call of a target begins; `call_ended` follows in every case."""
        ...

    def call_ended(self, outcome: Outcome | None, seconds: float) -> None:
        """The call has this outcome; None: its caller left."""
        ...


class DeliveryMetrics(Protocol):
    """Workers and the rescuer report to it."""

    def claimed(self, deliveries: int) -> None:
        """Count the deliveries of one claim, maybe none."""
        ...

    def attempted(self, attempt: Attempt, state: DeliveryState, delay: float) -> None:
        """An attempt ended, and the delivery is in `state`. It began `delay` seconds late."""
        ...

    def rescued(self, deliveries: int) -> None:
        """Count attempts of dead workers that were recorded as LOST."""
        ...


class NoMetrics:
    """Counts nothing."""

    def published(self, stored: int, duplicates: int, deliveries: int) -> None:
        """See `PublishMetrics`."""

    def refused(self, reason: str) -> None:
        """See `PublishMetrics`."""

    def intercepted(self, kind: str, result: str) -> None:
        """See `InterceptionMetrics`."""

    def call_began(self) -> None:
        """See `InterceptionMetrics`."""

    def call_ended(self, outcome: Outcome | None, seconds: float) -> None:
        """See `InterceptionMetrics`."""

    def claimed(self, deliveries: int) -> None:
        """See `DeliveryMetrics`."""

    def attempted(self, attempt: Attempt, state: DeliveryState, delay: float) -> None:
        """See `DeliveryMetrics`."""

    def rescued(self, deliveries: int) -> None:
        """See `DeliveryMetrics`."""


NO_METRICS = NoMetrics()
