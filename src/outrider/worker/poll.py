"""One poll of a worker: a unit of work that records finished attempts and claims due deliveries.

It has no state. The store may run it again before it commits, and runs it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.delivery.delivery import ClaimedDelivery, Settlement
from outrider.domain.delivery.target_queue import ClaimLimits, TargetKey
from outrider.domain.ids import DeliveryId
from outrider.runtime import Runtime
from outrider.usecases.delivery.operator_events import record_and_notify
from outrider.usecases.ports.store import Unit
from outrider.usecases.routing.target_cache import load_resolved_targets


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRequest:
    """What a worker hands to a poll, as copies of what changes meanwhile.

    `finished` is recorded, `released` is made due again. Up to `capacity` deliveries are claimed;
    `reserve` of it no target takes alone. `ready` are the targets of what was claimed before and
    has not begun. `resolved_targets` are known as of `revision`. `claimed_ids` is all that the
    worker knows to have claimed; None: it knows all of it.
    """

    owner: str
    finished: Sequence[Settlement]
    released: Sequence[ClaimedDelivery]
    capacity: int
    reserve: int
    claim_limits: ClaimLimits
    ready: set[TargetKey]
    resolved_targets: Mapping[TargetKey, ResolvedTarget]
    revision: int
    claimed_ids: set[DeliveryId] | None


@dataclass(frozen=True, slots=True)
class PollResult:
    """What was claimed, with what is needed to call its targets as of a revision of the routes.

    `next_due` is when there may be more, None: that is not known. The targets in `suspended` are
    not to be called now, though claims of theirs are ready. `unrecorded` is for the next poll: this
    one was full.
    """

    claimed: Sequence[ClaimedDelivery]
    resolved_targets: dict[TargetKey, ResolvedTarget]
    revision: int
    next_due: datetime | None
    suspended: set[TargetKey]
    unrecorded: Sequence[Settlement] = ()


def poll(unit: Unit, request: PollRequest, runtime: Runtime) -> PollResult:
    """Record, release, claim, and load the targets of what was claimed."""
    now = runtime.now()
    unrecorded = _record_and_release(unit, request, runtime, now)
    claimed: Sequence[ClaimedDelivery] = ()
    if request.capacity > 0:
        claimed = unit.deliveries.claim(request.owner, now, request.capacity, request.claim_limits)
    revision = unit.routing_revision()
    next_due = _next_due(unit, request, len(claimed))
    suspended = unit.deliveries.suspended(request.ready, now) if request.ready else set()
    missing = _unresolved(request, claimed, revision)
    resolved_targets = load_resolved_targets(unit, missing)
    return PollResult(claimed, resolved_targets, revision, next_due, suspended, unrecorded)


def leave(
    unit: Unit,
    runtime: Runtime,
    owner: str,
    finished: Sequence[Settlement],
    released: Iterable[DeliveryId],
) -> Sequence[Settlement]:
    """Record and release what a worker has left, and end its lease.

    Return what is to be recorded by another unit before that.
    """
    now = runtime.now()
    recorded = record_and_notify(unit, runtime, owner, finished, now)
    if not recorded.rest:
        unit.deliveries.release_claims(owner, list(released), now)
        unit.leases.drop(owner)
    return recorded.rest


def _record_and_release(
    unit: Unit, request: PollRequest, runtime: Runtime, now: datetime
) -> Sequence[Settlement]:
    """Return what is not recorded."""
    owner = request.owner
    unrecorded: Sequence[Settlement] = ()
    if request.finished:
        unrecorded = record_and_notify(unit, runtime, owner, request.finished, now).rest
    if request.released:
        unit.deliveries.release_claims(owner, [claimed.id for claimed in request.released], now)
    if request.claimed_ids is not None:
        # Claimed by a poll that was committed although its result was lost: they would never begin.
        known = request.claimed_ids | {settlement.delivery_id for settlement in unrecorded}
        unit.deliveries.release_claims(owner, unit.deliveries.claimed_by(owner) - known, now)
    return unrecorded


def _unresolved(
    request: PollRequest, claimed: Sequence[ClaimedDelivery], revision: int
) -> set[TargetKey]:
    """The targets that have to be loaded: all of them when the routes have changed."""
    target_keys = {(delivery.instance_id, delivery.target_id) for delivery in claimed}
    if revision != request.revision:
        return target_keys | request.ready
    # Not by `-`: that goes through all that are known, and there may be many thousands.
    known = request.resolved_targets
    return {target_key for target_key in target_keys if target_key not in known}


def _next_due(unit: Unit, request: PollRequest, claimed_count: int) -> datetime | None:
    # The reserve is there for targets that have none: it is not a reason to poll at once.
    if claimed_count >= request.capacity - request.reserve:
        return None
    limits = request.claim_limits.by_target
    return unit.deliveries.next_due(
        {target_key for target_key, limit in limits.items() if not limit}
    )
