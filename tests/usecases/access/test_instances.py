"""Instances from making to deleting, and how one is chosen; without a wire."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.store.access.instances import fill
from outrider.domain.access.permission import Role
from outrider.domain.access.web_key import KeyPair
from outrider.domain.ids import InstanceId
from outrider.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    Unauthenticated,
)
from outrider.usecases.access.authenticate import InstanceResolver
from outrider.usecases.access.instances import ManageInstances
from outrider.usecases.access.web_keys import ManageWebKeys
from support.builders import INSTANCE, an_actor
from support.runtime import NOW

HOSTS = ["Shop.example.", "shop.EXAMPLE", "::1"]


class NumberedPairs:
    """Keys that sign nothing, each with its number."""

    made = 0

    async def make(self, config) -> KeyPair:
        self.made += 1
        return KeyPair({"kty": "oct", "n": f"{self.made}"}, f"private {self.made}".encode())


@pytest.fixture
def instances(store, runtime, routing, authenticate) -> ManageInstances:
    web_keys = ManageWebKeys(store, runtime, NumberedPairs())
    return ManageInstances(store, runtime, routing, web_keys, authenticate, INSTANCE)


@pytest.fixture
def resolve_instance(routing) -> InstanceResolver:
    return InstanceResolver(routing, INSTANCE)


async def test_an_instance_begins_with_an_owner(instances, authenticate, tokens):
    """
    An operator can continue with the token that is printed, as in a separate instance.
    """
    made, secret = await instances.create("shop", HOSTS)
    actor = await authenticate(made.id, f"Bearer {secret}")
    listed = await tokens.list(actor)

    assert ("shop", ("shop.example", "::1"), NOW) == (made.name, made.hosts, made.created_at)
    assert [made] == list(await instances.list())
    assert (made.id, {Role.IAM_OWNER}) == (actor.instance_id, actor.roles)
    assert ["admin"] == [token.account_name for token in listed]
    with pytest.raises(Unauthenticated):
        await authenticate(INSTANCE, f"Bearer {secret}")


async def test_an_instance_can_sign_immediately(instances):
    """
    Two separate keys, the first of them active.
    """
    made, _ = await instances.create("shop", HOSTS)
    web_keys = await instances.web_keys.list(an_actor(instance=made.id))

    assert ["ACTIVE", "INITIAL"] == [web_key.state.name for web_key in web_keys]
    assert [] == list(await instances.web_keys.list(an_actor()))


async def test_its_hosts_lead_to_it_immediately(instances, resolve_instance):
    """
    On the node that made it, whatever the port; every other name is the default's.
    """
    made, _ = await instances.create("shop", HOSTS)

    assert {made.id} == {
        resolve_instance(host) for host in ("shop.example", "SHOP.example:80", "[::1]:80")
    }
    assert {INSTANCE} == {
        resolve_instance(host) for host in ("", "example", "a b", "127.0.0.1:8080")
    }


async def test_what_is_taken_is_refused_and_leaves_nothing(instances, store):
    """
    No keys of an instance that does not exist, and no account either.
    """
    made, _ = await instances.create("shop", HOSTS)
    for name, hosts in (("shop", ["b.example"]), ("bank", ["b.example", "shop.example"])):
        with pytest.raises(AlreadyExists):
            await instances.create(name, hosts)

    assert [made] == list(await instances.list())
    assert {made.id} == {row_id[0] for row_id in store._tables.web_keys}
    assert {made.id} == {row_id[0] for row_id in store._tables.accounts}


async def test_no_instance_takes_the_public_name_of_the_default(instances):
    """
    Its clients would find themselves in another instance.
    """
    careful = replace(instances, default_hosts=frozenset({"o.example"}))
    with pytest.raises(AlreadyExists):
        await careful.create("shop", ["shop.example", "O.example"])

    assert [] == list(await instances.list())


async def test_what_is_no_host_is_named(instances):
    """
    By its row_id in the request.
    """
    with pytest.raises(InvalidRequest, match=r"^invalid CreateInstanceRequest\.Hosts\[1\]: "):
        await instances.create("shop", ["a.example", "a.example:80"])


async def test_a_deleted_instance_is_gone_with_its_tokens(
    instances, authenticate, resolve_instance, store
):
    """
    Immediately, on the node that deleted it: also for callers that were known a moment ago.
    """
    made, secret = await instances.create("shop", HOSTS)
    await store.write(lambda unit: fill(unit, made.id, 100))
    await authenticate(made.id, f"Bearer {secret}")
    await instances.delete(made.id)

    assert INSTANCE == resolve_instance("shop.example")
    with pytest.raises(Unauthenticated):
        await authenticate(made.id, f"Bearer {secret}")
    assert [] == list(await instances.list())
    assert None is await store.read(lambda unit: unit.deliveries.next_due())


async def test_the_default_instance_stays(instances):
    """
    Every unknown name leads there.
    """
    with pytest.raises(FailedPrecondition):
        await instances.delete(INSTANCE)


async def test_an_instance_that_is_not_there_is_not_found(instances):
    """
    Nor is one that was deleted before.
    """
    made, _ = await instances.create("shop", HOSTS)
    await instances.delete(made.id)
    for instance in (made.id, InstanceId("nobody's")):
        with pytest.raises(NotFound):
            await instances.delete(instance)
