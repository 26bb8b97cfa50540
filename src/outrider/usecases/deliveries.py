"""The delivery log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from outrider.domain.delivery import Delivery
from outrider.domain.ids import DeliveryId
from outrider.domain.permission import Actor
from outrider.domain.search import DeliverySearch
from outrider.errors import NotFound
from outrider.usecases.ports import Store


@dataclass(frozen=True, slots=True)
class FindDeliveries:
    """Find deliveries and read one with its attempts."""

    store: Store

    async def search(
        self, actor: Actor, wanted: DeliverySearch
    ) -> tuple[Sequence[Delivery], DeliveryId | None]:
        """Return one page, newest first, and what `before` is for the next one; None: the end."""
        # One row more than asked for tells whether there is a next page.
        probe = replace(wanted, limit=wanted.limit + 1)
        rows = await self.store.read(lambda unit: unit.deliveries.search(actor.instance_id, probe))
        page = rows[: wanted.limit]
        return page, page[-1].id if len(rows) > wanted.limit else None

    async def get(self, actor: Actor, delivery_id: DeliveryId) -> Delivery:
        """With attempts in order and payload. Raise `NotFound` for another instance's."""
        delivery = await self.store.read(
            lambda unit: unit.deliveries.get(actor.instance_id, delivery_id)
        )
        if delivery is None:
            raise NotFound("Delivery not found", "OUTRIDER-delivery")
        return delivery
