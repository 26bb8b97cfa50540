"""Deliveries and suspended targets of all instances together: the numbers that monitoring shows."""

from __future__ import annotations

from dataclasses import dataclass

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.stats import StateCounts, StatsSearch, SuspendedTargets
from outrider.domain.ids import InstanceId
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Store, Unit

_NO_TARGETS = StatsSearch(targets=0)


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Counts the whole store. `default_instance` is counted before the store lists it."""

    store: Store
    runtime: Runtime
    default_instance: InstanceId

    async def read(self) -> tuple[StateCounts, SuspendedTargets]:
        """Count in one snapshot. It costs more the more is not settled."""
        return await self.store.read(self._count)

    def _count(self, unit: Unit) -> tuple[StateCounts, SuspendedTargets]:
        total, now = StateCounts(), self.runtime.now()
        instances = {self.default_instance, *(instance.id for instance in unit.instances.list())}
        for instance in instances:
            stats = unit.delivery_counts.get(instance, _NO_TARGETS, now)
            for state, count in stats.counts.items():
                total.add(state, count)
            total.add(DeliveryState.PENDING, 0, stats.oldest_open_at)
        return total, unit.delivery_counts.suspended_targets(now)
