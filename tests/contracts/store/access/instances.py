"""What every store does with instances."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from contracts.store.access.accounts import an_account, an_account_key
from contracts.store.access.web_keys import a_web_key
from contracts.store.steps import WORKER, claim, claimed_ids, release_claims, settle
from contracts.store.store import StoreContract
from outrider.domain.access.instance import Instance
from outrider.domain.delivery.delivery import DeliveryState, Dependents
from outrider.domain.ids import AccountId, AccountKeyId, DeliveryId, InstanceId, TargetId, WebKeyId
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from outrider.errors import AlreadyExists
from outrider.usecases.ports.access import Instances
from outrider.usecases.ports.store import Store, T, Unit
from support.builders import (
    a_public_key,
    a_settlement,
    a_stored_event,
    a_target,
    a_token,
    an_event_condition,
    an_execution,
    planned,
)
from support.runtime import NOW

SECOND = timedelta(seconds=1)
SHOP, BANK = InstanceId("9001"), InstanceId("9002")


def an_instance(
    id: str = "9001",  # noqa: A002 - the name of the field
    name: str | None = None,
    *hosts: str,
    created_at: datetime = NOW,
) -> Instance:
    """A tenant; named after its id, and reached by no host name when none is given."""
    return Instance(
        id=InstanceId(id), name=name or f"instance {id}", hosts=hosts, created_at=created_at
    )


async def write(store: Store, work: Callable[[Instances], T]) -> T:
    """Change instances."""
    return await store.write(lambda unit: work(unit.instances))


async def read(store: Store, work: Callable[[Instances], T]) -> T:
    """Look at instances."""
    return await store.read(lambda unit: work(unit.instances))


async def add(store: Store, instance: Instance) -> None:
    """Write an instance."""
    await write(store, lambda instances: instances.add(instance))


def fill(unit: Unit, instance: InstanceId, first: int) -> None:
    """Give an instance something of every kind; the deliveries are `first` and the next two."""
    unit.targets.add(instance, a_target("101"))
    unit.targets.add(instance, a_target("102"))
    unit.public_keys.add(instance, TargetId("101"), a_public_key())
    unit.targets.delete(instance, TargetId("102"), NOW)
    unit.executions.put(instance, an_execution("101"))
    unit.tokens.add(a_token(str(first + 5), instance=instance), str(first).encode())
    unit.accounts.add(instance, an_account("12", "shop"))
    unit.accounts.add_key(instance, an_account_key(str(first + 6), "12"))
    unit.accounts.set_secret(instance, AccountId("12"), b"hash")
    unit.web_keys.add(instance, a_web_key(str(first + 7)), b"private part")
    unit.catalogue.put(instance, [Entry(kind=EntryKind.FUNCTION, name="price")])
    first_delivery = planned(str(first), "101", has_dependents=True)
    dependent = planned(str(first + 1), "101", depends_on=str(first))
    event = a_stored_event(
        first_delivery, dependent, planned(str(first + 2), "101"), instance=instance
    )
    unit.events.append(instance, [event], NOW)


def all_of(unit: Unit, instance: InstanceId, first: int) -> list[object]:
    """What shows of all that `fill` writes."""
    return [
        unit.targets.get(instance, TargetId("101")),
        unit.targets.deleted_at(instance, TargetId("102")),
        unit.public_keys.of_target(instance, TargetId("101")),
        unit.executions.get(instance, an_event_condition().execution_id),
        unit.executions.routes().get(instance),
        unit.tokens.by_hash(str(first).encode()),
        unit.accounts.list(instance),
        unit.accounts.get_key(instance, AccountKeyId(str(first + 6))),
        unit.accounts.secret_hash(instance, AccountId("12")),
        unit.web_keys.get(instance, WebKeyId(str(first + 7))),
        unit.catalogue.get_many(instance, [EntryName("price", EntryKind.FUNCTION)]),
        unit.catalogue.names().get(instance),
        len(unit.events.known(instance, [a_stored_event().event.id])),
        *(unit.deliveries.get(instance, DeliveryId(str(first + number))) for number in range(3)),
    ]


class InstancesContract(StoreContract):
    """Tenants, their host names, and their end."""

    async def test_an_instance_comes_back_as_it_was(self, store: Store) -> None:
        """With its hosts in order, or without any."""
        several = an_instance("9001", "größe 🪝", "z.example", "a.example", "::1")
        none = an_instance("9002", created_at=NOW + SECOND)
        before = list(await read(store, lambda instances: instances.list()))
        await add(store, none)
        await add(store, several)

        assert [] == before
        assert [several, none] == list(await read(store, lambda instances: instances.list()))
        assert {"z.example": SHOP, "a.example": SHOP, "::1": SHOP} == dict(
            await read(store, lambda instances: instances.hosts())
        )

    async def test_instances_are_listed_oldest_first(self, store: Store) -> None:
        """Of one moment by their numbers."""
        for number in ("100", "9", "10"):
            await add(store, an_instance(number))

        assert ["9", "10", "100"] == [
            instance.id for instance in await read(store, lambda instances: instances.list())
        ]

    @pytest.mark.parametrize(
        "taken",
        [an_instance("9002", "shop"), an_instance("9002", "bank", "b.example", "a.example")],
    )
    async def test_names_and_hosts_are_taken_once(self, store: Store, taken: Instance) -> None:
        """A host name that is two instances' would lead to neither; nothing is left of the second."""
        shop = an_instance("9001", "shop", "a.example")
        await add(store, shop)

        with pytest.raises(AlreadyExists):
            await add(store, taken)
        assert [shop] == list(await read(store, lambda instances: instances.list()))
        assert {"a.example"} == set(await read(store, lambda instances: instances.hosts()))

    async def test_every_change_is_routed(self, store: Store) -> None:
        """Other nodes read nothing but this number."""
        revisions = [await store.read(lambda unit: unit.routing_revision())]
        await add(store, an_instance())
        revisions.append(await store.read(lambda unit: unit.routing_revision()))
        await write(store, lambda instances: instances.delete(SHOP))
        revisions.append(await store.read(lambda unit: unit.routing_revision()))

        assert sorted(set(revisions)) == revisions

    async def test_a_deleted_instance_leaves_nothing(self, store: Store) -> None:
        """Not a row of any kind; and nothing of another's is missing."""
        for instance, first in ((SHOP, 100), (BANK, 200)):
            await add(store, an_instance(instance, None, f"{instance}.example"))
            await store.write(lambda unit, i=instance, n=first: fill(unit, i, n))
        await claim(store, limit=1)
        await settle(
            store,
            a_settlement("100", DeliveryState.RETRYING, due_at=NOW, dependents=Dependents.WAIT),
        )
        seen = [await store.read(lambda unit: all_of(unit, BANK, 200))]
        had = await store.read(lambda unit: all_of(unit, SHOP, 100))
        is_gone = await write(store, lambda instances: instances.delete(SHOP))
        seen.append(await store.read(lambda unit: all_of(unit, BANK, 200)))
        has = await store.read(lambda unit: all_of(unit, SHOP, 100))

        assert is_gone
        assert all(had), had
        assert not any(has), has
        assert all(seen[0])
        assert seen[0] == seen[1]
        assert ["200", "202"] == sorted(await claimed_ids(store))
        assert [BANK] == [
            instance.id for instance in await read(store, lambda instances: instances.list())
        ]

    async def test_its_name_and_hosts_are_free(self, store: Store) -> None:
        """For the next reader."""
        await add(store, an_instance("9001", "shop", "a.example"))
        await write(store, lambda instances: instances.delete(SHOP))
        await add(store, an_instance("9002", "shop", "a.example"))

        assert {"a.example": BANK} == dict(await read(store, lambda instances: instances.hosts()))

    async def test_an_instance_that_is_not_there_is_not_deleted(self, store: Store) -> None:
        """Whatever a caller sends."""
        await add(store, an_instance("9001"))

        assert not await write(store, lambda instances: instances.delete(BANK))
        assert not await write(store, lambda instances: instances.delete(InstanceId("")))
        assert 1 == len(await read(store, lambda instances: instances.list()))

    async def test_what_is_attempted_has_nothing_left_to_settle(self, store: Store) -> None:
        """The worker that claimed it continues with the rest of its batch."""
        for instance, first in ((SHOP, 100), (BANK, 200)):
            await add(store, an_instance(instance))
            await store.write(lambda unit, i=instance, n=first: fill(unit, i, n))
        assert {"100", "102", "200", "202"} == set(await claimed_ids(store))
        await write(store, lambda instances: instances.delete(SHOP))
        orphans = await store.read(lambda unit: unit.leases.orphans(NOW, 100))

        assert {"200", "202"} == {orphan.claimed.id for orphan in orphans}
        assert 1 == await settle(
            store,
            a_settlement("100", dependents=Dependents.RELEASE),
            a_settlement("200", dependents=Dependents.RELEASE),
        )
        await release_claims(store, "102", "202")
        assert {"201", "202"} == set(await claimed_ids(store, WORKER))
