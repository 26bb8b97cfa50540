"""Going through the log and doing something with what is found, a bounded part at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace

from outrider.domain.delivery.delivery import delivery_not_found
from outrider.domain.delivery.replay import BulkCounts, LogEntry, LogRange, PagedResult, SkipReason
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, InstanceId
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Store, Unit

MAX_FOUND = 10_000
PART = 500
# A call that finds nothing ends, too: then it has scanned 200 000 deliveries.
_SCANS = 400

Change = Callable[[Sequence[LogEntry]], Awaitable[BulkCounts]]
"""Does what is to be done with some deliveries, which may have changed since they were found."""


@dataclass(frozen=True, slots=True)
class LogPages:
    """Finds the deliveries of one instance that match, and hands them on in parts.

    Each part is committed on its own: a call that is cut off has done some. `rest` of a result is
    where the next call continues; None: all has been scanned. What is made after the first call is
    not found.
    """

    store: Store
    runtime: Runtime
    newest_first: bool = False

    async def run(
        self,
        instance: InstanceId,
        query: DeliverySearch,
        rest: LogRange | None,
        limit: int,
        change: Change,
    ) -> PagedResult:
        """Do it with at most `limit` deliveries. `rest` is where the call before ended."""
        within = rest or LogRange(DeliveryId("0"), DeliveryId(str(self.runtime.new_id())))
        result = PagedResult(rest=within)
        for _ in range(_SCANS):
            left = limit - result.made - result.skipped
            if result.rest is None or left <= 0:
                break
            result = await self._part(instance, query, result, min(PART, left), change)
        return result

    async def _part(
        self,
        instance: InstanceId,
        query: DeliverySearch,
        result: PagedResult,
        limit: int,
        change: Change,
    ) -> PagedResult:
        within = result.rest
        if within is None:
            return result
        # Searched concurrently with the writer, and checked again when they are changed.
        window = await self.store.read(
            lambda unit: unit.log_scans.scan(
                instance, query, within, limit, newest_first=self.newest_first
            )
        )
        if window.found:
            result = result.plus(await change(window.found))
        return replace(
            result,
            rest=None if window.reached is None else self._behind(within, window.reached),
            reached_at=window.reached_at or result.reached_at,
        )

    def _behind(self, within: LogRange, reached: DeliveryId) -> LogRange:
        if self.newest_first:
            return replace(within, until=DeliveryId(str(int(reached) - 1)))
        return replace(within, after=reached)


def named(unit: Unit, instance: InstanceId, ids: Collection[DeliveryId]) -> Sequence[LogEntry]:
    """All of these. Raise `NotFound` when one of them does not exist."""
    entries = unit.log_scans.named(instance, ids)
    if len(entries) < len(set(ids)):
        raise delivery_not_found(*(set(ids) - {entry.id for entry in entries}))
    return entries


def ids_of(entries: Sequence[LogEntry]) -> list[DeliveryId]:
    """Their identifiers, in order."""
    return [entry.id for entry in entries]


def skips_of(reasons: Sequence[SkipReason | None]) -> Counter[SkipReason]:
    """Count each reason, without None."""
    return Counter(reason for reason in reasons if reason is not None)
