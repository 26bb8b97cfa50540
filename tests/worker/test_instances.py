"""A worker delivers for every instance, and continues when one of them ends."""

from __future__ import annotations

import asyncio

from contracts.store.access.instances import an_instance
from contracts.store.steps import add_pending, add_targets, claimed_ids
from outrider.domain.ids import InstanceId
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_target, planned
from worker.harness import DelayedResponse, Harness, working

SHOP = InstanceId("9001")


async def test_every_instance_is_delivered_for(harness: Harness):
    """
    One worker, whatever was made after it started.
    """
    endpoints = {INSTANCE: "https://a.example/hook", ANOTHER_INSTANCE: "https://b.example/hook"}
    for number, (instance, endpoint) in enumerate(endpoints.items(), 1):
        await add_targets(harness.store, a_target(endpoint=endpoint), instance=instance)
        await add_pending(harness.store, planned(str(number)), instance=instance)
    async with working(harness.worker()):
        await harness.client.reached(2)

    assert set(endpoints.values()) == {call.url for call in harness.client.calls}


async def test_what_is_in_flight_when_its_instance_ends_is_dropped(harness: Harness):
    """
    The answer that comes then belongs nowhere; the next delivery does.
    """
    release = asyncio.Event()
    await harness.store.write(lambda unit: unit.instances.add(an_instance(SHOP)))
    shop = a_target(endpoint="https://shop.example/hook")
    await add_targets(harness.store, shop, instance=SHOP)
    await add_pending(harness.store, planned("1"), planned("2"), planned("3"), instance=SHOP)
    harness.client.script(shop.endpoint, DelayedResponse(release), DelayedResponse(release))
    worker = harness.worker(concurrency=3)
    async with working(worker):
        await harness.client.reached(2)
        await harness.store.write(lambda unit: unit.instances.delete(SHOP))
        release.set()
        await harness.add_pending(planned("9"))
        await harness.reaches(worker, "DELIVERED")

    assert [] == harness.log.events("error", "exception", "critical")
    assert ["ACCEPTED"] == await harness.attempts("9")
    assert [] == await claimed_ids(harness.store)
    assert {shop.endpoint, a_target().endpoint} == {call.url for call in harness.client.calls}
