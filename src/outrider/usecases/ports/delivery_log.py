"""Ports of the store for replays, cancellations, counts and retention; `Unit` has them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import LogEntry, LogRange, LogWindow, Replay
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.stats import DeliveryStats, OpenCounts, StatsSearch, SuspendedTargets
from outrider.domain.ids import DeliveryId, InstanceId, TargetId


class LogScans(Protocol):
    """The log, looked at by those who change what they find."""

    def named(self, instance: InstanceId, ids: Collection[DeliveryId]) -> Sequence[LogEntry]:
        """Return those that exist, oldest first."""
        ...

    def scan(
        self,
        instance: InstanceId,
        query: DeliverySearch,
        within: LogRange,
        limit: int,
        *,
        newest_first: bool = False,
    ) -> LogWindow:
        """Look at the next `limit` deliveries of the range.

        `before` and `limit` of `query` do not count. Times are looked up by identifiers, which
        grow with time: a delivery made more than ten minutes out of their order may be missed.
        """
        ...


class Replays(Protocol):
    """Deliveries that are made again."""

    def add(
        self,
        instance: InstanceId,
        replays: Sequence[Replay],
        now: datetime,
        *,
        include_replayed: bool = True,
    ) -> Sequence[Replay]:
        """Write new deliveries that are due immediately and depend on none; return those.

        None is written of a delivery that is not finished or whose target is deleted; without
        `include_replayed` also of none that `is_replayed` (`LogEntry`), by these as well.
        """
        ...


class Cancellations(Protocol):
    """Deliveries that a caller stops."""

    def cancel(self, instance: InstanceId, delivery: DeliveryId, now: datetime) -> None:
        """Cancel an open delivery and release its dependents.

        One that is being attempted is not tried again: it is cancelled when the attempt has failed.
        """
        ...

    def cancel_some(
        self, instance: InstanceId, deliveries: Sequence[DeliveryId], now: datetime
    ) -> int:
        """`cancel` the first of these, until many others have moved up; return how many, at least one."""
        ...

    def take_effect(self, now: datetime) -> None:
        """Cancel some of what was to be cancelled and is not attempted any more.

        Where attempts end that happens by itself, but not to more than a transaction can hold.
        """
        ...


class DeliveryCounts(Protocol):
    """Numbers about the log, whose cost does not grow with it, but with what is not settled."""

    def get(
        self,
        instance: InstanceId,
        query: StatsSearch,
        now: datetime,
        counted: OpenCounts | None = None,
    ) -> DeliveryStats:
        """Count, and find suspended targets. Rates and outcomes are of what `roll_up` has seen.

        `counted` is what `open` returned before; None: it is counted now. A question about a type
        or a time does not need it.
        """
        ...

    def open(self, instance: InstanceId, target: TargetId | None) -> OpenCounts:
        """Count what is not settled; of all targets when None. It reads every one of them."""
        ...

    def suspended_targets(self, now: datetime) -> SuspendedTargets:
        """Count the targets that are not called now, of all instances."""
        ...

    def roll_up(self, now: datetime, limit: int) -> int:
        """Add up to `limit` deliveries that were settled to the counts; return how many.

        Those of the last ten seconds wait for the next time.
        """
        ...


class Retention(Protocol):
    """Deletes deliveries and events that are kept no longer. It never touches open deliveries."""

    def acquire_leadership(self, owner: str, now: datetime, until: datetime) -> bool:
        """Return whether `owner` leads until then: it alone rolls up counts and deletes."""
        ...

    def delete_expired_deliveries(
        self, state: DeliveryState, finished_before: datetime, limit: int
    ) -> int:
        """Delete the first `limit` of one final state, with their attempts; return how many.

        A dead delivery that others depend or wait on stays: it tells them to wait.
        """
        ...

    def delete_expired_events(
        self, published_before: datetime, after: int, limit: int
    ) -> tuple[int, int | None]:
        """Look at `limit` events after a position and delete those without deliveries.

        Return how many, and the position to continue from; None: there are no more. 0 is the beginning.
        """
        ...
