"""The store's part of deliveries: the log, the queue that it is as well, and leases."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from outrider.domain.delivery.circuit_breaker import BreakerChange
from outrider.domain.delivery.delivery import (
    ClaimedDelivery,
    Delivery,
    PlannedDelivery,
    Settlement,
)
from outrider.domain.delivery.target_queue import NO_CLAIM_LIMITS, ClaimLimits, TargetKey
from outrider.domain.events.event import Event
from outrider.domain.ids import DeliveryId, EventId, ExecutionId, InstanceId, TargetId
from outrider.domain.search import DeliverySearch


@dataclass(frozen=True, slots=True)
class NotableSettlement:
    """A settlement that operators are told of: a death, a target that is gone, a breaker's change."""

    settlement: Settlement
    instance_id: InstanceId
    target_id: TargetId
    event_id: EventId
    event_type: str
    breaker: BreakerChange | None = None


@dataclass(frozen=True, slots=True)
class SettleResult:
    """How many settlements were written, and those of them that are remarkable, in order."""

    count: int = 0
    notable: Sequence[NotableSettlement] = ()


class Deliveries(Protocol):
    """The delivery log, and the queue that it is as well."""

    def search(self, instance: InstanceId, wanted: DeliverySearch) -> Sequence[Delivery]:
        """At most `wanted.limit`, newest first, without attempts and payload."""
        ...

    def get(self, instance: InstanceId, delivery: DeliveryId) -> Delivery | None:
        """With attempts in order and payload."""
        ...

    def claim(
        self, owner: str, now: datetime, limit: int, claim_limits: ClaimLimits = NO_CLAIM_LIMITS
    ) -> Sequence[ClaimedDelivery]:
        """Take deliveries that are due; nobody else gets them while the lease holds.

        Targets with a target queue get equal shares, within their limits; all others are one queue, longest
        due first, which has a share, too. Nothing is left while something may be taken. No target
        gets more than its cap.
        """
        ...

    def settle(self, owner: str, settlements: Sequence[Settlement], now: datetime) -> SettleResult:
        """Write attempts and next states, in the order in which the attempts ended.

        What `owner` no longer holds is left alone: somebody else recorded it as LOST. A retry of
        a deleted target's delivery is a cancellation. Breakers and recovering targets move on.
        """
        ...

    def release_claims(self, owner: str, deliveries: Collection[DeliveryId], now: datetime) -> None:
        """Make claimed deliveries due again; no attempt is recorded."""
        ...

    def held(self, owner: str) -> set[DeliveryId]:
        """All that the owner has claimed and neither settled nor given back."""
        ...

    def next_due(self, passed_over: Collection[TargetKey] = ()) -> datetime | None:
        """When something can be claimed that is of none of these targets; in the past when now."""
        ...

    def shut(self, names: Collection[TargetKey], now: datetime) -> set[TargetKey]:
        """Return those of the targets that are paused, or whose breaker is open."""
        ...

    def newest(self) -> datetime | None:
        """When the delivery with the largest id was made; None: there is none."""
        ...

    def clock_went_back(self, now: datetime) -> None:
        """Let nothing wait for a time that only the clock before it went back would have shown.

        What was never attempted is due now at the latest; target queues are served, and filled with tokens,
        as if they had been now; a breaker is open for its time from now at the most. Retries keep
        the time of day that they were given.
        """
        ...

    def resume_key(self, instance: InstanceId, dead: DeliveryId, replay: DeliveryId) -> bool:
        """Put a replay, which is written already, into the line that a dead delivery holds up.

        What waits behind the dead one waits for the replay then. Return whether it held a line.
        """
        ...


@dataclass(frozen=True, slots=True)
class OrphanedDelivery:
    """A delivery whose worker lost its lease, and when it was claimed.

    The rescuer settles it in the name of `owner`, so that of two rescuers one does.
    """

    claimed: ClaimedDelivery
    owner: str
    claimed_at: datetime


class Leases(Protocol):
    """Which workers are alive. A worker's lease covers all that it has claimed."""

    def renew(self, owner: str, until: datetime) -> None:
        """Extend the lease, or begin it."""
        ...

    def drop(self, owner: str) -> None:
        """End the lease of a worker that gave everything back."""
        ...

    def orphans(self, now: datetime, limit: int) -> Sequence[OrphanedDelivery]:
        """Claimed deliveries of workers whose lease is over, or that have none."""
        ...

    def secure(self, orphans: Sequence[OrphanedDelivery]) -> Sequence[OrphanedDelivery]:
        """Return those that nobody has settled meanwhile: until this unit ends, nobody else can."""
        ...

    def tidy(self, now: datetime, latest: datetime) -> None:
        """Forget leases that are over and cover nothing, and let none end after `latest`.

        One that does was given by a clock that has gone back since: its worker may be dead.
        """
        ...

    def expire_all(self) -> None:
        """End every lease: for the process that holds the data directory alone."""
        ...


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with the body that its targets get and the deliveries that it creates.

    `trace` is that of the publish (`TraceContext.text`), empty when it had none.
    """

    event: Event
    body: bytes
    execution: ExecutionId | None
    deliveries: Sequence[PlannedDelivery]
    trace: str = ""


class Events(Protocol):
    """Events with their deliveries."""

    def append(
        self, instance: InstanceId, events: Sequence[StoredEvent], now: datetime
    ) -> list[int | None]:
        """Write events and deliveries; for an id that is known already, write nothing.

        Return, in order, how many deliveries were written, None for a known id: also for the
        second of two with the same id in one call.
        """
        ...

    def delivery_counts(
        self, instance: InstanceId, events: Collection[EventId]
    ) -> dict[EventId, int]:
        """How many deliveries each of these events has."""
        ...
