"""Delivery counts by state, throughput, and suspended targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.formats.rfc3339 import EPOCH
from outrider.domain.ids import TargetId
from outrider.domain.outcome import Outcome

BUCKET = timedelta(seconds=10)
"""What was settled is counted in buckets of this length, aligned to 1970."""

ROLLUP_LAG = timedelta(seconds=10)
"""What was settled within this time may not be committed yet: it is counted later.

Its last moment belongs to it: several are settled in one moment, and not in the order of ids.
"""

MEASURED_LAG = 2 * ROLLUP_LAG
"""Rates end so long ago: until then all is counted."""

WINDOWS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1))
"""What rates are measured over; outcomes over the last of them."""

MAX_SCANNED = 20_000
"""The number of newest deliveries that a query about types or times scans."""

DEFAULT_TARGETS = 10
DEFAULT_SUSPENDED = 10

_OPEN_OR_DEAD = (
    DeliveryState.PENDING,
    DeliveryState.DELIVERING,
    DeliveryState.RETRYING,
    DeliveryState.DEAD,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsSearch:
    """A selection of deliveries to count: conditions are ANDed, None matches everything.

    `created_since` is included, `created_until` is not. `targets` is how many targets are listed,
    `suspended` how many of those that are suspended.
    """

    target_id: TargetId | None = None
    event_type: str | None = None
    created_since: datetime | None = None
    created_until: datetime | None = None
    targets: int = DEFAULT_TARGETS
    suspended: int = DEFAULT_SUSPENDED

    @property
    def is_narrow(self) -> bool:
        """Return whether it selects by a property for which no counts are kept."""
        return (self.event_type, self.created_since, self.created_until) != (None, None, None)


@dataclass(slots=True)
class StateCounts:
    """Deliveries by state, and when the oldest that is not settled was made. Grows by `add`."""

    counts: dict[DeliveryState, int] = field(default_factory=dict)
    oldest_open_at: datetime | None = None

    def add(self, state: DeliveryState, count: int, oldest: datetime | None = None) -> None:
        """Count deliveries of one state; `oldest` when they are not settled."""
        if count:
            self.counts[state] = self.counts.get(state, 0) + count
        if oldest is not None:
            known = self.oldest_open_at
            self.oldest_open_at = oldest if known is None else min(known, oldest)

    def merge(self, other: StateCounts) -> None:
        """Add all that another one has counted."""
        for state, count in other.counts.items():
            self.add(state, count)
        self.add(DeliveryState.PENDING, 0, other.oldest_open_at)

    @property
    def trouble(self) -> int:
        """Return how many deliveries are dead or not settled."""
        return sum(self.counts.get(state, 0) for state in _OPEN_OR_DEAD)


@dataclass(frozen=True, slots=True)
class Suspension:
    """The reason why a target is not called now, or by one call at a time. Both None: none.

    `breaker_open_until` in the past: one call at a time tries whether it has recovered.
    """

    paused_at: datetime | None = None
    breaker_open_until: datetime | None = None


_NOT_SUSPENDED = Suspension()
Suspensions = Mapping[TargetId, Suspension]


@dataclass(frozen=True, slots=True)
class SuspendedTarget:
    """A target that is paused, or whose breaker is not closed."""

    target_id: TargetId
    name: str
    suspension: Suspension


@dataclass(frozen=True, slots=True)
class TargetStats:
    """The delivery counts of one target. `name` is empty when it is deleted."""

    target_id: TargetId
    name: str
    counts: Mapping[DeliveryState, int]
    oldest_open_at: datetime | None
    suspension: Suspension = _NOT_SUSPENDED


OpenCounts = Mapping[TargetId, StateCounts]
"""What is not settled, by target. It does not change once it is counted."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Deliveries a second, over a window."""

    window: timedelta
    delivered: float
    dead: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStats:
    """The result. States and outcomes that do not occur are absent.

    `is_partial`: only the newest `MAX_SCANNED` deliveries were scanned. `suspended` is in the order
    of ids, and empty where a type or a time was asked for.
    """

    counts: Mapping[DeliveryState, int]
    oldest_open_at: datetime | None
    targets: Sequence[TargetStats]
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    rates: Sequence[Rate] = ()
    is_partial: bool = False
    suspended: Sequence[SuspendedTarget] = ()


@dataclass(frozen=True, slots=True)
class SuspendedTargets:
    """Targets of all instances whose deliveries wait, and how many targets have a target queue."""

    paused: int = 0
    breaker_open: int = 0
    target_queues: int = 0


SettledBuckets = Sequence[tuple[int, DeliveryState, Outcome | None, int]]
"""Bucket, state, outcome of the last attempt (None: it had none), and how many."""


def bucket_of(at: datetime) -> int:
    """The number of the bucket that a time is in."""
    return (at - EPOCH) // BUCKET


def measured_buckets(now: datetime) -> tuple[int, int]:
    """The first bucket of the longest window, and the first one after all windows."""
    end = bucket_of(now - MEASURED_LAG)
    return end - WINDOWS[-1] // BUCKET, end


def rates(settled: SettledBuckets, now: datetime) -> list[Rate]:
    """One rate for each window."""
    _, end = measured_buckets(now)
    found = []
    for window in WINDOWS:
        counts = {DeliveryState.DELIVERED: 0, DeliveryState.DEAD: 0}
        for bucket, state, _, count in settled:
            if bucket >= end - window // BUCKET and state in counts:
                counts[state] += count
        delivered, dead = (count / window.total_seconds() for count in counts.values())
        found.append(Rate(window, delivered, dead))
    return found


def outcomes(settled: SettledBuckets) -> dict[Outcome, int]:
    """Return the outcomes of last attempts, in the order of their numbers."""
    counts: dict[Outcome, int] = {}
    for _, _, outcome, count in settled:
        if outcome is not None:
            counts[outcome] = counts.get(outcome, 0) + count
    return dict(sorted(counts.items()))


def total(state_counts: Mapping[TargetId, StateCounts]) -> StateCounts:
    """All targets together."""
    whole = StateCounts()
    for state_count in state_counts.values():
        whole.merge(state_count)
    whole.counts = dict(sorted(whole.counts.items()))
    return whole


def worst_first(state_counts: Mapping[TargetId, StateCounts], limit: int) -> list[TargetId]:
    """The targets with the most deliveries that are dead or not settled; then by their ids."""
    counted = {target_id: counts for target_id, counts in state_counts.items() if counts.counts}
    return sorted(counted, key=lambda target_id: (-counted[target_id].trouble, target_id))[:limit]


def stats_of(
    state_counts: Mapping[TargetId, StateCounts],
    names: Mapping[TargetId, str],
    query: StatsSearch,
    settled: SettledBuckets | None,
    now: datetime,
    *,
    suspensions: Suspensions,
    is_partial: bool = False,
) -> DeliveryStats:
    """Put the result together. `settled` is what fell into `measured_buckets`, None: not asked.

    `suspensions` has the first `query.suspended` of them, and those of the targets that are listed.
    """
    whole = total(state_counts)
    return DeliveryStats(
        counts=whole.counts,
        oldest_open_at=whole.oldest_open_at,
        targets=[
            TargetStats(
                target_id,
                names.get(target_id, ""),
                dict(sorted(state_counts[target_id].counts.items())),
                state_counts[target_id].oldest_open_at,
                suspensions.get(target_id, _NOT_SUSPENDED),
            )
            for target_id in worst_first(state_counts, query.targets)
        ],
        outcomes={} if settled is None else outcomes(settled),
        rates=() if settled is None else rates(settled, now),
        is_partial=is_partial,
        suspended=[
            SuspendedTarget(target_id, names.get(target_id, ""), suspensions[target_id])
            for target_id in sorted(suspensions)[: 0 if query.is_narrow else query.suspended]
        ],
    )
