"""One event for one target: its states, its attempts, and which deliveries depend on it.

    PENDING ──claimed──▶ DELIVERING ──accepted──▶ DELIVERED
       │                  │  ▲    └──schedule over──▶ DEAD
       │            failed│  │due again
       │                  ▼  │
       │               RETRYING
       └──────────┬──────┘
       target deleted, or a target in front of it died
                  ▼
              CANCELLED

A worker that dies leaves DELIVERING behind; the rescuer moves it to RETRYING with a LOST attempt.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, IntEnum

from outrider.domain.calls.classify import classify_response
from outrider.domain.calls.request import BODY_PREFIX_BYTES, RequestError, Response, Stage
from outrider.domain.ids import (
    DeliveryId,
    EventId,
    ExecutionId,
    InstanceId,
    TargetId,
    shown_id,
)
from outrider.domain.outcome import HAS_ANSWER, Outcome
from outrider.domain.records import fast_dataclass
from outrider.domain.targets.retry_schedule import GONE, RetrySchedule
from outrider.domain.targets.target import Target, TargetType
from outrider.errors import InvalidRequest, NotFound

_MAX_NAMED = 3
MAX_DELIVERIES = 5000
"""The number of deliveries that one call may make: they are one transaction, and other callers wait
for it (docs/deliveries.md#one-transaction)."""
MAX_TARGETS = 1000
"""The number of different targets of one call: each has its own pages of the store, which takes
three times as long."""


class DeliveryState(IntEnum):
    """Where a delivery stands. The numbers are those of `outrider.v1.DeliveryState`."""

    PENDING = 1
    DELIVERING = 2
    RETRYING = 3
    DELIVERED = 4
    DEAD = 5
    CANCELLED = 6

    @property
    def is_final(self) -> bool:
        """Whether nothing happens to it any more by itself."""
        return self >= DeliveryState.DELIVERED


@fast_dataclass(kw_only=True)
class Attempt:
    """One HTTP call for one delivery, also one that never left. Numbered from 1.

    `status_code` is 0 when there was no response; `body_prefix` is the first 2 KiB of its body. An
    UNREACHABLE attempt has them, too, when its response was cut: only for readers of the log.
    """

    number: int
    started_at: datetime
    duration: timedelta
    outcome: Outcome
    stage: Stage
    status_code: int = 0
    error: str = ""
    body_prefix: bytes = field(default=b"", repr=False)

    @classmethod
    def from_response(
        cls, number: int, started_at: datetime, duration: timedelta, response: Response
    ) -> Attempt:
        """Return the attempt that had this response, classified."""
        classification = classify_response(response)
        return cls(
            number=number,
            started_at=started_at,
            duration=duration,
            outcome=classification.outcome,
            stage=Stage.ANSWER,
            status_code=response.status,
            error=classification.error,
            body_prefix=response.body[:BODY_PREFIX_BYTES],
        )

    @classmethod
    def from_failure(
        cls, number: int, started_at: datetime, duration: timedelta, failure: RequestError
    ) -> Attempt:
        """Return the attempt that had no usable response, with what came of one that was cut."""
        partial = failure.partial
        return cls(
            number=number,
            started_at=started_at,
            duration=duration,
            outcome=failure.outcome,
            stage=failure.stage,
            status_code=0 if partial is None else partial.status,
            error=failure.reason,
            body_prefix=b"" if partial is None else partial.body[:BODY_PREFIX_BYTES],
        )

    @classmethod
    def lost(cls, claimed: ClaimedDelivery, started_at: datetime, reason: str) -> Attempt:
        """Return the attempt of a claimed delivery when no record says how it ended."""
        return cls(
            number=claimed.attempt_number,
            started_at=started_at,
            duration=timedelta(0),
            outcome=Outcome.LOST,
            stage=Stage.SEND,
            error=reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the delivery log shows. Lists leave `payload` and `attempts` empty."""

    id: DeliveryId
    event_id: EventId
    event_type: str
    target_id: TargetId
    execution: ExecutionId
    state: DeliveryState
    attempt_count: int
    created_at: datetime
    next_attempt_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    payload: bytes = field(default=b"", repr=False)
    replay_of: DeliveryId | None = None


@fast_dataclass()
class PlannedDelivery:
    """A delivery to be written with its event.

    `depends_on` is the delivery whose first attempt has to end before this one is due; None: due at
    once. `has_dependents`: another delivery depends on this one.
    """

    id: DeliveryId
    target_id: TargetId
    depends_on: DeliveryId | None
    has_dependents: bool


def delivery_not_found(*missing: DeliveryId) -> NotFound:
    """The error for deliveries that the instance does not have."""
    some = ", ".join(map(shown_id, sorted(missing)[:_MAX_NAMED]))
    more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
    return NotFound(
        "Delivery not found",
        "OUTRIDER-delivery",
        reason=f"there is no delivery {some}{more} in this instance, or it is older than the retention",
        hint="give ids that `outrider delivery list` shows",
    )


def check_delivery_count(fan_outs: Sequence[Collection[Hashable]]) -> None:
    """Raise `InvalidRequest` when events to these targets are too many for one call.

    The text says how many of them are not, or which one is too many alone.
    """
    total = sum(map(len, fan_outs))
    if total <= MAX_TARGETS:
        return
    for position, targets in enumerate(fan_outs):
        if len(targets) > MAX_TARGETS:
            raise InvalidRequest(
                f"invalid PublishEventsRequest.Events[{position}]: the event would go to"
                f" {len(targets)} targets, one call stores deliveries to at most {MAX_TARGETS}: let"
                " its execution have fewer"
            )
    fitting = _fitting(fan_outs)
    if fitting < len(fan_outs):
        raise InvalidRequest(
            f"invalid PublishEventsRequest.Events: {len(fan_outs)} events would become {total}"
            f" deliveries, one call stores at most {MAX_DELIVERIES}, to at most {MAX_TARGETS}"
            f" different targets: send the first {fitting} of them alone, and the others after it"
        )


def _fitting(fan_outs: Sequence[Collection[Hashable]]) -> int:
    """How many of the first events one call may have."""
    deliveries, last, seen = 0, None, set[Hashable]()
    for position, targets in enumerate(fan_outs):
        deliveries += len(targets)
        if targets is not last:
            last = targets
            seen.update(targets)
        if deliveries > MAX_DELIVERIES or len(seen) > MAX_TARGETS:
            return position
    return len(fan_outs)


def plan_deliveries(targets: Sequence[tuple[DeliveryId, TargetId, bool]]) -> list[PlannedDelivery]:
    """Put one execution's deliveries in order; each tuple ends with whether the target is awaited.

    A delivery depends on the last awaited one in front of it; none depends on a `rest_async` one.
    """
    planned: list[PlannedDelivery] = []
    last_awaited: DeliveryId | None = None
    for position, (delivery_id, target_id, is_awaited) in enumerate(targets):
        has_dependents = is_awaited and position + 1 < len(targets)
        planned.append(PlannedDelivery(delivery_id, target_id, last_awaited, has_dependents))
        if is_awaited:
            last_awaited = delivery_id
    return planned


@fast_dataclass()
class ClaimedDelivery:
    """A delivery that a worker has claimed, with what its next attempt needs.

    `trace` is that of the publish (`TraceContext.text`), empty when it had none. `due_at` is when
    the attempt was due, None where that is no longer known. `event_id` is empty for the call of an
    asynchronous target of a request, a response or a function: that is no event. `hops` is that of the event.
    """

    id: DeliveryId
    instance_id: InstanceId
    target_id: TargetId
    attempt_number: int
    created_at: datetime
    has_dependents: bool
    body: bytes = field(repr=False)
    trace: str = ""
    due_at: datetime | None = field(default=None, compare=False)
    event_id: EventId = field(default=EventId(""), compare=False)
    replay_of: DeliveryId | None = field(default=None, compare=False)
    hops: int = 0


class Dependents(Enum):
    """What becomes of the deliveries that depend on one that was just settled."""

    WAIT = "wait"
    RELEASE = "release"
    CANCEL = "cancel"


@fast_dataclass()
class Settlement:
    """What is written when an attempt has ended.

    `due_at` is set when `state` is RETRYING. `attempt` is None when nothing was tried.
    `pauses_target`: the receiver said that it is gone for good.
    """

    delivery_id: DeliveryId
    state: DeliveryState
    attempt: Attempt | None
    due_at: datetime | None
    dependents: Dependents
    pauses_target: bool = False


def settle(
    claimed: ClaimedDelivery,
    attempt: Attempt,
    target: Target,
    schedule: RetrySchedule,
    *,
    draw: float,
    retry_after: timedelta | None = None,
    checks_async: bool = False,
) -> Settlement:
    """Decide what an attempt means for its delivery and for the deliveries that depend on it.

    `draw` is uniform in [0, 1) and spreads retries; `retry_after` is what the receiver asked for.
    `checks_async`: the responses of a rest_async target count like a webhook's.
    """
    ended_at = attempt.started_at + attempt.duration
    # The status of a response that was cut is shown, and decides nothing.
    status = attempt.status_code if attempt.outcome in HAS_ANSWER else 0
    if _is_delivered(attempt.outcome, target, checks_async):
        return _settled(claimed, attempt, DeliveryState.DELIVERED, None, Dependents.RELEASE)
    wait = schedule.wait_after(
        attempt.number,
        attempt.outcome,
        status,
        draw,
        retry_after,
        age=ended_at - claimed.created_at,
    )
    if wait is None:
        dependents = Dependents.CANCEL if target.interrupt_on_error else Dependents.RELEASE
        dead = _settled(claimed, attempt, DeliveryState.DEAD, None, dependents)
        is_gone = status == GONE and GONE in schedule.final_statuses
        return replace(dead, pauses_target=True) if is_gone else dead
    dependents = Dependents.WAIT if target.interrupt_on_error else Dependents.RELEASE
    return _settled(claimed, attempt, DeliveryState.RETRYING, ended_at + wait, dependents)


def cancel(claimed: ClaimedDelivery) -> Settlement:
    """Settle a delivery whose target is deleted: no attempt, and its dependents go on."""
    return _settled(claimed, None, DeliveryState.CANCELLED, None, Dependents.RELEASE)


def _is_delivered(outcome: Outcome, target: Target, checks_async: bool) -> bool:  # noqa: FBT001 - as above
    # The response of a rest_async target is not checked: any response settles.
    if target.type is TargetType.REST_ASYNC and not checks_async:
        return outcome in HAS_ANSWER
    return outcome is Outcome.ACCEPTED


def _settled(
    claimed: ClaimedDelivery,
    attempt: Attempt | None,
    state: DeliveryState,
    due_at: datetime | None,
    dependents: Dependents,
) -> Settlement:
    if not claimed.has_dependents:
        dependents = Dependents.WAIT  # spares the store a query for rows that cannot be there
    return Settlement(claimed.id, state, attempt, due_at, dependents)
