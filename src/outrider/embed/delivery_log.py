"""The delivery log, for an application without a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from outrider.domain.delivery.delivery import Delivery
from outrider.domain.delivery.replay import BulkCounts, LogRange, PagedResult
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.selection import CANCELLED, REPLAYED, RETRIED, narrowed
from outrider.domain.ids import DeliveryId
from outrider.embed.lifecycle import EngineLifecycle
from outrider.errors import InvalidRequest

Found = Callable[[LogRange | None], Awaitable[PagedResult]]


class DeliveryLog(EngineLifecycle):
    """Deliveries: read, made again, attempted now, stopped.

    What changes many takes either ids, all of which must exist, or a search, whose `before` and
    `limit` do not count. Each returns how many are as it says, how many are not (`skips`, by the
    reason), and how many of the first change later (`deferred`).
    """

    async def list_deliveries(self, search: DeliverySearch | None = None) -> Sequence[Delivery]:
        """One page of the delivery log, newest first, without attempts and payloads."""
        components = self._open_components
        return (await components.deliveries.search(components.actor, search or DeliverySearch()))[0]

    async def get_delivery(self, delivery_id: str) -> Delivery:
        """With its attempts and its payload. Raise `NotFound`."""
        components = self._open_components
        return await components.deliveries.get(components.actor, DeliveryId(delivery_id))

    async def replay_deliveries(
        self,
        ids: Iterable[str] = (),
        *,
        search: DeliverySearch | None = None,
        include_replayed: bool = False,
    ) -> BulkCounts:
        """Make finished deliveries again, each to its target as it is now.

        A search leaves out what has a replay that is open or was delivered, unless
        `include_replayed`. Raise `NotFound`, `InvalidRequest`.
        """
        components = self._open_components
        replay, named = components.replay, _ids(ids, search)
        if search is None:
            return (await replay.named(components.actor, named)).counts
        found = narrowed(search, REPLAYED, "search")
        return await _all_pages(
            lambda rest: replay.found(
                components.actor, found, rest, include_replayed=include_replayed
            )
        )

    async def retry_deliveries(
        self, ids: Iterable[str] = (), *, search: DeliverySearch | None = None
    ) -> BulkCounts:
        """Make waiting deliveries due now; `deferred` counts those whose target is suspended.

        Raise `NotFound`, `InvalidRequest`.
        """
        components = self._open_components
        retry, named = components.retry, _ids(ids, search)
        if search is None:
            return (await retry.named(components.actor, named)).counts
        found = narrowed(search, RETRIED, "search")
        return await _all_pages(lambda rest: retry.found(components.actor, found, rest))

    async def cancel_deliveries(
        self, ids: Iterable[str] = (), *, search: DeliverySearch | None = None
    ) -> BulkCounts:
        """Stop open deliveries; `deferred` counts those whose last attempt is in flight.

        Raise `NotFound`, `InvalidRequest`.
        """
        components = self._open_components
        cancel, named = components.cancel, _ids(ids, search)
        if search is None:
            return (await cancel.named(components.actor, named)).counts
        found = narrowed(search, CANCELLED, "search")
        return await _all_pages(lambda rest: cancel.found(components.actor, found, rest))


def _ids(ids: Iterable[str], search: DeliverySearch | None) -> list[DeliveryId]:
    if isinstance(ids, str):
        raise InvalidRequest("ids must be several texts, not one: give a list")
    named = [DeliveryId(delivery_id) for delivery_id in ids]
    if bool(named) == (search is not None):
        raise InvalidRequest("give either ids or a search")
    return named


async def _all_pages(find: Found) -> BulkCounts:
    result = await find(None)
    while result.rest is not None:
        result = (await find(result.rest)).plus(result.counts)
    return result.counts
