"""The delivery log: reading, counting, and cancelling deliveries."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from outrider.domain.access.permission import Actor
from outrider.domain.delivery.delivery import Delivery, DeliveryState, delivery_not_found
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.stats import DeliveryStats, OpenCounts, StatsSearch
from outrider.domain.ids import DeliveryId, InstanceId, TargetId
from outrider.errors import FailedPrecondition
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Store, Unit

MANY = 50_000
"""Up to this many open deliveries are counted at each call, which takes 10 ms."""
_KEPT_TIMES = 10


@dataclass(frozen=True, slots=True)
class FindDeliveries:
    """Find deliveries and read one with its attempts."""

    store: Store

    async def search(
        self, actor: Actor, query: DeliverySearch
    ) -> tuple[Sequence[Delivery], DeliveryId | None]:
        """Return one page, newest first, and what `before` is for the next one; None: the end."""
        # One row more than asked for tells whether there is a next page.
        probe = replace(query, limit=query.limit + 1)
        rows = await self.store.read(lambda unit: unit.deliveries.search(actor.instance_id, probe))
        page = rows[: query.limit]
        return page, page[-1].id if len(rows) > query.limit else None

    async def get(self, actor: Actor, delivery_id: DeliveryId) -> Delivery:
        """With attempts in order and payload. Raise `NotFound` for another instance's."""
        delivery = await self.store.read(
            lambda unit: unit.deliveries.get(actor.instance_id, delivery_id)
        )
        if delivery is None:
            raise delivery_not_found(delivery_id)
        return delivery


@dataclass(frozen=True, slots=True)
class CancelDelivery:
    """Stop one delivery."""

    store: Store
    runtime: Runtime

    async def __call__(self, actor: Actor, delivery_id: DeliveryId) -> Delivery:
        """Return it as it is then, without attempts and payload.

        While it is attempted it stays DELIVERING until that attempt has ended, and then is tried
        no more. Raise `NotFound` for another instance's, `FailedPrecondition` when it was delivered
        or is dead; to cancel twice is as once.
        """
        instance = actor.instance_id

        def cancel(unit: Unit) -> Delivery:
            unit.cancellations.cancel(instance, delivery_id, self.runtime.now())
            delivery = unit.deliveries.get(instance, delivery_id)
            if delivery is None:
                raise delivery_not_found(delivery_id)
            if delivery.state in {DeliveryState.DELIVERED, DeliveryState.DEAD}:
                raise FailedPrecondition(
                    "Delivery is finished",
                    "OUTRIDER-finished",
                    reason=f"delivery {delivery_id} is {delivery.state.name.lower()}",
                    hint="only a delivery that is open can be cancelled",
                )
            return replace(delivery, attempts=(), payload=b"")

        return await self.store.write(cancel)


@dataclass(frozen=True, slots=True)
class _KeptCounts:
    """The count of open deliveries at one time. `until` is on the clock of durations."""

    state_counts: OpenCounts
    until: float


@dataclass(slots=True)
class CountDeliveries:
    """Count deliveries by state, and report throughput and suspended targets.

    A view that asks every second must not keep a core busy: where more than `many` deliveries are
    not settled, these are counted again only after ten times as long as counting them took. All
    else is of the moment. `clock` measures durations, in seconds.
    """

    store: Store
    runtime: Runtime
    many: int = MANY
    clock: Callable[[], float] = time.perf_counter
    _kept: dict[tuple[InstanceId, TargetId | None], _KeptCounts] = field(default_factory=dict)

    async def __call__(self, actor: Actor, query: StatsSearch) -> DeliveryStats:
        """Return the numbers of the actor's instance. No other unit of work waits meanwhile."""
        now = self.runtime.now()

        def count(unit: Unit) -> DeliveryStats:
            instance, target = actor.instance_id, query.target_id
            counted = None if query.is_narrow else self._open(unit, instance, target)
            return unit.delivery_counts.get(instance, query, now, counted)

        return await self.store.read(count)

    def _open(self, unit: Unit, instance: InstanceId, target: TargetId | None) -> OpenCounts:
        """Runs in threads of the store: two that come at the same time may both count."""
        began, scope = self.clock(), (instance, target)
        known = self._kept.get(scope)
        if known is not None and began < known.until:
            return known.state_counts
        state_counts = unit.delivery_counts.open(instance, target)
        ended = self.clock()
        # Another dictionary: another thread may be reading this one.
        kept = {of: counts for of, counts in self._kept.items() if ended < counts.until}
        if sum(state_count.trouble for state_count in state_counts.values()) > self.many:
            kept[scope] = _KeptCounts(state_counts, ended + _KEPT_TIMES * (ended - began))
        self._kept = kept
        return state_counts
