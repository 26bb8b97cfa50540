"""The delivery log: reading, counting, and stopping what it owes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from outrider.ambient import Ambient
from outrider.domain.delivery import Delivery, DeliveryState
from outrider.domain.delivery_stats import DeliveryStats, StatsSearch
from outrider.domain.ids import DeliveryId
from outrider.domain.permission import Actor
from outrider.domain.search import DeliverySearch
from outrider.errors import FailedPrecondition, NotFound
from outrider.usecases.ports import Store, Unit


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


@dataclass(frozen=True, slots=True)
class CancelDelivery:
    """Stop one delivery."""

    store: Store
    ambient: Ambient

    async def __call__(self, actor: Actor, delivery_id: DeliveryId) -> Delivery:
        """Return it as it is then, without attempts and payload.

        While it is attempted it stays DELIVERING until that attempt has ended, and then is tried
        no more. Raise `NotFound` for another instance's, `FailedPrecondition` when it was delivered
        or is dead; to cancel twice is as once.
        """
        instance = actor.instance_id

        def cancel(unit: Unit) -> Delivery:
            unit.cancellations.cancel(instance, delivery_id, self.ambient.now())
            delivery = unit.deliveries.get(instance, delivery_id)
            if delivery is None:
                raise NotFound("Delivery not found", "OUTRIDER-delivery")
            if delivery.state in {DeliveryState.DELIVERED, DeliveryState.DEAD}:
                raise FailedPrecondition("Delivery is finished", "OUTRIDER-finished")
            return replace(delivery, attempts=(), payload=b"")

        return await self.store.write(cancel)


@dataclass(frozen=True, slots=True)
class CountDeliveries:
    """How many deliveries are in which state, how fast they are settled, and what is stuck."""

    store: Store
    ambient: Ambient

    async def __call__(self, actor: Actor, wanted: StatsSearch) -> DeliveryStats:
        """Nobody else waits while it counts."""
        now = self.ambient.now()
        return await self.store.read(
            lambda unit: unit.delivery_counts.get(actor.instance_id, wanted, now)
        )
