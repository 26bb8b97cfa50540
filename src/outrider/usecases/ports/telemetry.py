"""What happens, told to whoever counts it. Every method is quick and raises nothing."""

from __future__ import annotations

from typing import Protocol

from outrider.domain.delivery.delivery import Attempt, DeliveryState
from outrider.domain.outcome import Outcome


class PublishMetrics(Protocol):
    """Told by who publishes, after the commit."""

    def published(self, stored: int, duplicates: int, deliveries: int) -> None:
        """So many events are stored, so many were known, so many deliveries were made."""
        ...


class InterceptionMetrics(Protocol):
    """Told by who runs requests, responses and functions through their targets."""

    def intercepted(self, kind: str, result: str) -> None:
        """One was asked about. `result`: unmatched, passed or interrupted."""
        ...

    def call_began(self) -> None:
        """A target is called; `call_ended` follows, whatever happens."""
        ...

    def call_ended(self, outcome: Outcome | None, seconds: float) -> None:
        """Its answer was judged; None: its caller left."""
        ...


class DeliveryMetrics(Protocol):
    """Told by who delivers."""

    def claimed(self, deliveries: int) -> None:
        """So many were taken at once, maybe none."""
        ...

    def attempted(self, attempt: Attempt, state: DeliveryState, delay: float) -> None:
        """An attempt ended, and that is the delivery's state. It began `delay` seconds late."""
        ...

    def rescued(self, deliveries: int) -> None:
        """Attempts of dead workers were recorded as LOST."""
        ...


class NoMetrics:
    """Counts nothing of all that."""

    def published(self, stored: int, duplicates: int, deliveries: int) -> None:
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
