"""Make many open deliveries due, or cancel them: a bounded part in each transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from outrider.domain.access.permission import Actor
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import (
    BulkCounts,
    LogEntry,
    LogRange,
    PagedResult,
    cancel_skip,
    retry_skip,
)
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, InstanceId
from outrider.runtime import Runtime
from outrider.usecases.delivery.log_pages import (
    MAX_FOUND,
    PART,
    LogPages,
    ids_of,
    named,
    skips_of,
)
from outrider.usecases.ports.store import Load, Store, Unit


@dataclass(frozen=True, slots=True)
class RetryDeliveries:
    """Waiting deliveries become due now; each keeps its id, its attempts and its schedule.

    What waits on another delivery stays behind it. A target that is paused, limited, or whose
    breaker is open is called no sooner for it.
    """

    store: Store
    runtime: Runtime

    async def named(self, actor: Actor, ids: Collection[DeliveryId]) -> PagedResult:
        """Make these due now. Raise `NotFound` when one does not exist: then all stay as they are."""

        def work(unit: Unit) -> BulkCounts:
            entries = named(unit, actor.instance_id, ids)
            return self._make_due(unit, actor.instance_id, entries)

        done = await self.store.write(work, load=Load(actor.instance_id, len(ids)))
        return PagedResult(done)

    async def found(
        self,
        actor: Actor,
        query: DeliverySearch,
        rest: LogRange | None = None,
        limit: int = MAX_FOUND,
    ) -> PagedResult:
        """Make due now what is found, oldest first, at most `limit` of it; see `LogPages`."""
        instance = actor.instance_id

        async def retry(found: Sequence[LogEntry]) -> BulkCounts:
            now = self.runtime.now()
            skips = skips_of([retry_skip(entry, now) for entry in found])
            if skips.total() == len(found):
                return BulkCounts(0, skips)
            return await self.store.write(
                lambda unit: self._make_due(
                    unit, instance, unit.log_scans.named(instance, ids_of(found))
                ),
                load=Load(instance, len(found)),
            )

        return await LogPages(self.store, self.runtime).run(instance, query, rest, limit, retry)

    def _make_due(
        self, unit: Unit, instance: InstanceId, entries: Sequence[LogEntry]
    ) -> BulkCounts:
        now = self.runtime.now()
        skips = skips_of([retry_skip(entry, now) for entry in entries])
        targets = unit.deliveries.make_due(instance, ids_of(entries), now)
        suspended = unit.deliveries.suspended([(instance, target) for target in set(targets)], now)
        deferred = sum((instance, target) in suspended for target in targets)
        return BulkCounts(len(targets), skips, deferred)


@dataclass(frozen=True, slots=True)
class CancelDeliveries:
    """Cancel many deliveries. `deferred` of the result counts those whose attempt is in flight."""

    store: Store
    runtime: Runtime

    async def named(self, actor: Actor, ids: Collection[DeliveryId]) -> PagedResult:
        """Cancel these. Raise `NotFound` when one does not exist: then none is cancelled."""
        instance = actor.instance_id
        entries = await self.store.read(lambda unit: named(unit, instance, ids))
        # As in `found`: what depends on another goes before it, and does not move up first.
        newest_first = list(reversed(entries))
        result = PagedResult()
        for first in range(0, len(newest_first), PART):
            part = newest_first[first : first + PART]
            result = result.plus(await self._cancel(instance, part))
        return result

    async def found(
        self,
        actor: Actor,
        query: DeliverySearch,
        rest: LogRange | None = None,
        limit: int = MAX_FOUND,
    ) -> PagedResult:
        """Cancel what is found, newest first, at most `limit` of it; see `LogPages`."""
        instance = actor.instance_id
        pages = LogPages(self.store, self.runtime, newest_first=True)
        return await pages.run(
            instance, query, rest, limit, lambda found: self._cancel(instance, found)
        )

    async def _cancel(self, instance: InstanceId, entries: Sequence[LogEntry]) -> BulkCounts:
        """Cancel them, in as many transactions as it takes."""
        result, left = PagedResult(), list(entries)
        while left:
            part = left

            def work(unit: Unit, part: Sequence[LogEntry] = part) -> tuple[int, BulkCounts]:
                return self._cancel_some(unit, instance, part)

            count, done = await self.store.write(work, load=Load(instance, len(part)))
            result, left = result.plus(done), left[count:]
        return result.counts

    def _cancel_some(
        self, unit: Unit, instance: InstanceId, entries: Sequence[LogEntry]
    ) -> tuple[int, BulkCounts]:
        """Return how many of the first deliveries were examined, and the result for each."""
        ids = ids_of(entries)
        before = {entry.id: entry for entry in unit.log_scans.named(instance, ids)}
        count = unit.cancellations.cancel_some(instance, ids, self.runtime.now())
        seen = [before[delivery_id] for delivery_id in ids[:count] if delivery_id in before]
        cancelled = [entry for entry in seen if cancel_skip(entry) is None]
        running = sum(entry.state is DeliveryState.DELIVERING for entry in cancelled)
        return count, BulkCounts(
            len(cancelled), skips_of([cancel_skip(entry) for entry in seen]), running
        )
