"""The store's part of deliveries: the log, the queue that it is as well, and leases."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from outrider.domain.delivery.circuit_breaker import BreakerChange
from outrider.domain.delivery.delivery import (
    ClaimedDelivery,
    Delivery,
    PlannedDelivery,
    Settlement,
)
from outrider.domain.delivery.replay import Replay
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.target_queue import NO_CLAIM_LIMITS, ClaimLimits, TargetKey
from outrider.domain.events.event import Event
from outrider.domain.ids import DeliveryId, EventId, ExecutionId, InstanceId, TargetId


@dataclass(frozen=True, slots=True)
class NotableSettlement:
    """A settlement that raises an operator event: a death, a target that responded 410, a breaker's change."""

    settlement: Settlement
    instance_id: InstanceId
    target_id: TargetId
    event_id: EventId
    event_type: str
    hops: int = 0
    breaker: BreakerChange | None = None


@dataclass(frozen=True, slots=True)
class SettleResult:
    """The number of settlements that were written, and the notable ones of them, in order.

    `rest` is for another transaction: this one was full. Its deliveries are still claimed.
    """

    count: int = 0
    notable: Sequence[NotableSettlement] = ()
    rest: Sequence[Settlement] = ()


Weigh = Callable[[InstanceId, Settlement, bool], int]
"""About how many rows the caller writes because of a settlement, in the same transaction.

The last argument is whether the target has a breaker, which may change.
"""


def no_weight(_instance: InstanceId, _settlement: Settlement, _has_breaker: bool) -> int:  # noqa: FBT001 - a `Weigh`
    """A caller that writes nothing more."""
    return 0


class Deliveries(Protocol):
    """The delivery log, and the queue that it is as well."""

    def search(self, instance: InstanceId, query: DeliverySearch) -> Sequence[Delivery]:
        """At most `query.limit`, newest first, without attempts and payload."""
        ...

    def get(self, instance: InstanceId, delivery: DeliveryId) -> Delivery | None:
        """With attempts in order and payload."""
        ...

    def claim(
        self, owner: str, now: datetime, limit: int, claim_limits: ClaimLimits = NO_CLAIM_LIMITS
    ) -> Sequence[ClaimedDelivery]:
        """Claim deliveries that are due; no other worker gets them while the lease holds.

        Target queues get equal shares, within their limits; so does the shared queue, longest due
        first. Nothing is left while something may be claimed. No target gets more than its claim
        limit.
        """
        ...

    def settle(
        self, owner: str, settlements: Sequence[Settlement], now: datetime, weigh: Weigh = no_weight
    ) -> SettleResult:
        """Write attempts and next states, in the order in which the attempts ended.

        Of settlements with many dependents, or that are heavy, it writes the first ones.

        What `owner` has no longer claimed is left alone: a rescuer recorded it as LOST. A retry of
        a deleted target's delivery is a cancellation. Breakers and recovering targets move on.
        """
        ...

    def release_claims(self, owner: str, deliveries: Collection[DeliveryId], now: datetime) -> None:
        """Make claimed deliveries due again; no attempt is recorded."""
        ...

    def claimed_by(self, owner: str) -> set[DeliveryId]:
        """All that the owner has claimed and neither settled nor released."""
        ...

    def next_due(self, excluded: Collection[TargetKey] = ()) -> datetime | None:
        """When something can be claimed that is of none of these targets; in the past when now."""
        ...

    def suspended(self, target_keys: Collection[TargetKey], now: datetime) -> set[TargetKey]:
        """Return those of the targets that are paused, or whose breaker is open."""
        ...

    def newest(self) -> datetime | None:
        """When the delivery with the largest id was made; None: there is none."""
        ...

    def clock_went_back(self, now: datetime, after: int = 0) -> int | None:
        """Let nothing wait for a time that only the clock before it went back would have shown.

        What was never attempted is due now at the latest; target queues count as claimed from, and
        filled with tokens, now at the latest; a breaker is open for its time from now at the most.
        Retries keep the time of day that they were given. Look at some deliveries `after` a
        position, return the next position; None: all is done. 0 is the beginning.
        """
        ...

    def resume_keys(
        self, instance: InstanceId, replays: Sequence[Replay]
    ) -> Collection[DeliveryId]:
        """Give replays, which are written already, the places of dead deliveries that halt keys.

        The dead one is what a replay repeats, or the last replay of that. What waits on it waits on
        the new one then. Return the dead ones that halted one.
        """
        ...

    def make_due(
        self, instance: InstanceId, deliveries: Collection[DeliveryId], now: datetime
    ) -> Collection[TargetId]:
        """Make those of these due now that are due later; return the target of each.

        What waits on another delivery, is being attempted or is finished stays as it is.
        """
        ...


@dataclass(frozen=True, slots=True)
class OrphanedDelivery:
    """A delivery whose worker lost its lease, and when it was claimed.

    The rescuer settles it as `owner`, so that only one of two rescuers succeeds.
    """

    claimed: ClaimedDelivery
    owner: str
    claimed_at: datetime


class Leases(Protocol):
    """The workers that are alive. A worker's lease covers all that it has claimed."""

    def renew(self, owner: str, until: datetime) -> None:
        """Extend the lease, or begin it."""
        ...

    def drop(self, owner: str) -> None:
        """End the lease of a worker that has released all its claims."""
        ...

    def orphans(self, now: datetime, limit: int) -> Sequence[OrphanedDelivery]:
        """Claimed deliveries of workers whose lease is over, or that have none."""
        ...

    def secure(self, orphans: Sequence[OrphanedDelivery]) -> Sequence[OrphanedDelivery]:
        """Return those that are not settled yet: until this unit ends, no other one can settle them."""
        ...

    def tidy(self, now: datetime, latest: datetime) -> None:
        """Delete leases that are over and cover nothing, and let none end after `latest`.

        One that does was given by a clock that has gone back since: its worker may be dead.
        """
        ...

    def expire_all(self) -> None:
        """End every lease: for the process that holds the data directory alone."""
        ...


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with the body that its targets get and the deliveries that it creates.

    `trace` is that of the publish (`TraceContext.text`), empty when it had none. `digest` is that
    of the content (`domain.events.content`), empty for an operator event: no other is the same.
    `id_with_source` is what a CloudEvent is stored under when another source's event has its id.
    """

    event: Event
    body: bytes
    execution: ExecutionId | None
    deliveries: Sequence[PlannedDelivery]
    trace: str = ""
    digest: bytes = field(default=b"", repr=False)
    id_with_source: EventId | None = None


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """An event whose id came again: how many deliveries it has, and the digest of its content.

    `digest` is None for an event of a release that stored none.
    """

    deliveries: int
    digest: bytes | None = field(repr=False)


class Events(Protocol):
    """Events with their deliveries."""

    def append(
        self, instance: InstanceId, events: Sequence[StoredEvent], now: datetime
    ) -> list[int | None]:
        """Write events and deliveries; for an id that is known already, write nothing.

        Nothing is written either when an event has the `id_with_source`.
        Return, in order, how many deliveries were written, None for a known id: also for the
        second of two with the same id in one call.
        """
        ...

    def known(self, instance: InstanceId, events: Collection[EventId]) -> dict[EventId, KnownEvent]:
        """Return those of these events that are stored, also by this unit."""
        ...

    def body(self, instance: InstanceId, event: EventId) -> bytes:
        """The body of an event that is known."""
        ...
