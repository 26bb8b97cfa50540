"""What routing looks like in memory: as fresh as the last refresh, and never half of it."""

from __future__ import annotations

import asyncio

import pytest

from contracts.store.access.instances import SHOP, an_instance
from contracts.store.steps import add_targets
from outrider.domain.ids import ExecutionId, TargetId
from outrider.usecases.ports.targets import RoutedTarget
from outrider.usecases.routing.routing_table import Routing
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    a_target,
    an_event_condition,
    an_execution,
)
from support.runtime import NOW

LOOKUP = ExecutionId("event/user.human.added")
NOTHING = (None, ())


async def put(store, execution) -> None:
    await store.write(lambda unit: unit.executions.put(INSTANCE, execution))


async def test_it_must_be_refreshed_before_its_first_use(store, registered):
    """
    An empty router would lose events silently.
    """
    routing = Routing(store, registered)

    with pytest.raises(RuntimeError, match=r"Routing\.refresh was never called"):
        routing.routes(INSTANCE)
    with pytest.raises(RuntimeError):
        routing.catalogue(INSTANCE)


async def test_an_instance_without_executions_routes_nowhere(routing, registered):
    """
    It is known all the same, with what ZITADEL registers.
    """
    assert NOTHING == routing.routes(INSTANCE).match(LOOKUP)
    assert registered == routing.catalogue(INSTANCE)


async def test_it_is_as_fresh_as_its_last_refresh(routing, store):
    """
    Another node's change arrives with the next one.
    """
    await add_targets(store)
    await put(store, an_execution("102", "101"))
    before = routing.routes(INSTANCE).match(LOOKUP)
    refreshed = await routing.refresh()
    after = routing.routes(INSTANCE).match(LOOKUP)

    assert NOTHING == before
    assert refreshed
    assert (
        an_event_condition().execution_id,
        (
            RoutedTarget(TargetId("102"), is_awaited=True),
            RoutedTarget(TargetId("101"), is_awaited=True),
        ),
    ) == after
    assert NOTHING == routing.routes(ANOTHER_INSTANCE).match(LOOKUP)


async def test_refreshing_without_a_change_does_nothing(routing, store):
    """
    It is asked for every second: a reader keeps the same router.
    """
    await add_targets(store)
    await put(store, an_execution("101"))
    first = await routing.refresh()
    router = routing.routes(INSTANCE).router
    second = await routing.refresh()

    assert [True, False] == [first, second]
    assert router is routing.routes(INSTANCE).router


async def test_routes_in_use_stay_as_they_are(routing, store):
    """
    A call in the middle of its work never sees half a change.
    """
    await add_targets(store)
    await put(store, an_execution("101"))
    await routing.refresh()
    routes = routing.routes(INSTANCE)
    await store.write(lambda unit: unit.targets.delete(INSTANCE, TargetId("101"), NOW))
    await routing.refresh()

    assert LOOKUP == routes.match(LOOKUP)[0]
    assert NOTHING == routing.routes(INSTANCE).match(LOOKUP)


async def test_of_many_concurrent_refreshes_one_does_the_work(routing, store):
    """
    The others wait for it, and find it done.
    """
    await add_targets(store, a_target("101"))
    await put(store, an_execution("101"))
    refreshed = await asyncio.gather(*(routing.refresh() for _ in range(10)))

    assert 1 == sum(refreshed)
    assert LOOKUP == routing.routes(INSTANCE).match(LOOKUP)[0]


async def test_published_event_types_extend_the_catalogue(routing, store, registered):
    """
    Of the instance that they were published in.
    """
    await store.write(lambda unit: unit.catalogue.remember(INSTANCE, ["shop.order.placed"]))
    await routing.refresh()

    assert routing.catalogue(INSTANCE).has_event_type("shop.order.placed")
    assert routing.catalogue(INSTANCE).has_event_type("user.human.added")
    assert registered == routing.catalogue(ANOTHER_INSTANCE)


async def test_a_host_name_chooses_its_instance(routing, store):
    """
    In any spelling and with any port; every other name has no instance.
    """
    before = routing.instance_at("shop.example")
    await store.write(lambda unit: unit.instances.add(an_instance("9001", "shop", "shop.example")))
    await routing.refresh()

    assert before is None
    assert [SHOP] * 3 == [
        routing.instance_at(host) for host in ("shop.example", "SHOP.example.", "shop.example:80")
    ]
    assert [None] * 3 == [routing.instance_at(host) for host in ("", "example", "shop.example/")]


async def test_a_deleted_instance_is_chosen_no_more(routing, store):
    """
    With the next refresh, as everything else.
    """
    await store.write(lambda unit: unit.instances.add(an_instance("9001", "shop", "shop.example")))
    await routing.refresh()
    await store.write(lambda unit: unit.instances.delete(SHOP))
    await routing.refresh()

    assert None is routing.instance_at("shop.example")
