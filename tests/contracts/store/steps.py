"""Steps that several contracts take: each is one unit of work."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from outrider.domain.delivery.delivery import (
    ClaimedDelivery,
    Delivery,
    PlannedDelivery,
    Settlement,
)
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import DeliveryId, InstanceId, TargetId
from outrider.domain.targets.target import Target
from outrider.usecases.ports.store import Store, Unit
from support.builders import INSTANCE, a_stored_event, a_target, an_event
from support.runtime import NOW

WORKER = "worker-1"


async def add_targets(store: Store, *targets: Target, instance: InstanceId = INSTANCE) -> None:
    """Add targets; 101, 102 and 103 when none are given."""

    def add_all(unit: Unit) -> None:
        for target in targets or (a_target("101"), a_target("102"), a_target("103")):
            unit.targets.add(instance, target)

    await store.write(add_all)


async def delete_target(
    store: Store, target: str, *, instance: InstanceId = INSTANCE, at: datetime = NOW
) -> None:
    """Delete a target."""
    await store.write(lambda unit: unit.targets.delete(instance, TargetId(target), at))


async def add_pending(
    store: Store,
    *deliveries: PlannedDelivery,
    event: str = "event-1",
    instance: InstanceId = INSTANCE,
    now: datetime = NOW,
) -> None:
    """Write an event with deliveries that are pending."""
    stored = a_stored_event(*deliveries, event=an_event(event), instance=instance)
    await store.write(lambda unit: unit.events.append(instance, [stored], now))


async def claim(
    store: Store, owner: str = WORKER, *, now: datetime = NOW, limit: int = 100
) -> list[ClaimedDelivery]:
    """Take what is due."""
    return list(await store.write(lambda unit: unit.deliveries.claim(owner, now, limit)))


async def claimed_ids(
    store: Store, owner: str = WORKER, *, now: datetime = NOW, limit: int = 100
) -> list[str]:
    """Take what is due; return only the ids."""
    return [delivery.id for delivery in await claim(store, owner, now=now, limit=limit)]


async def settle(
    store: Store, *settlements: Settlement, owner: str = WORKER, now: datetime = NOW
) -> int:
    """Write what attempts meant; return how many were written."""
    settled = await store.write(lambda unit: unit.deliveries.settle(owner, settlements, now))
    return settled.count


async def release_claims(
    store: Store, *deliveries: str, owner: str = WORKER, now: datetime = NOW
) -> None:
    """Make claimed deliveries due again."""
    ids: Collection[DeliveryId] = [DeliveryId(delivery) for delivery in deliveries]
    await store.write(lambda unit: unit.deliveries.release_claims(owner, ids, now))


async def next_due(store: Store) -> datetime | None:
    """When the queue wants to be asked again."""
    return await store.read(lambda unit: unit.deliveries.next_due())


async def log_of(store: Store, delivery: str, *, instance: InstanceId = INSTANCE) -> Delivery:
    """One delivery with all that is known of it."""
    found = await store.read(lambda unit: unit.deliveries.get(instance, DeliveryId(delivery)))
    if found is None:
        raise LookupError(f"there is no delivery {delivery}")
    return found


async def states(store: Store, *, instance: InstanceId = INSTANCE) -> dict[str, str]:
    """The states of all deliveries, by id, oldest first."""
    query = DeliverySearch(limit=1000)
    rows = await store.read(lambda unit: unit.deliveries.search(instance, query))
    return {str(row.id): row.state.name for row in reversed(rows)}
