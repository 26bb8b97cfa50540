"""A worker delivers for every instance, and goes on when one of them ends."""

from __future__ import annotations

import asyncio

from contracts.store.access.instances import an_instance
from contracts.store.steps import add_targets, claimed_ids, owe
from outrider.domain.ids import InstanceId
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_target, planned
from worker.harness import Harness, Held, working

SHOP = InstanceId("9001")


async def test_every_instance_is_delivered_for(rig: Harness):
    """
    One worker, whatever was made after it started.
    """
    endpoints = {INSTANCE: "https://a.example/hook", ANOTHER_INSTANCE: "https://b.example/hook"}
    for number, (instance, endpoint) in enumerate(endpoints.items(), 1):
        await add_targets(rig.store, a_target(endpoint=endpoint), instance=instance)
        await owe(rig.store, planned(str(number)), instance=instance)
    async with working(rig.worker()):
        await rig.caller.reached(2)

    assert set(endpoints.values()) == {call.url for call in rig.caller.calls}


async def test_what_is_under_way_when_its_instance_ends_is_nobodys(rig: Harness):
    """
    The answer that comes then belongs nowhere; the next delivery does.
    """
    release = asyncio.Event()
    await rig.store.write(lambda unit: unit.instances.add(an_instance(SHOP)))
    shop = a_target(endpoint="https://shop.example/hook")
    await add_targets(rig.store, shop, instance=SHOP)
    await owe(rig.store, planned("1"), planned("2"), planned("3"), instance=SHOP)
    rig.caller.script(shop.endpoint, Held(release), Held(release))
    worker = rig.worker(concurrency=3)
    async with working(worker):
        await rig.caller.reached(2)
        await rig.store.write(lambda unit: unit.instances.delete(SHOP))
        release.set()
        await rig.owe(planned("9"))
        await rig.reaches(worker, "DELIVERED")

    assert [] == rig.log.events("error", "exception", "critical")
    assert ["ACCEPTED"] == await rig.attempts("9")
    assert [] == await claimed_ids(rig.store)
    assert {shop.endpoint, a_target().endpoint} == {call.url for call in rig.caller.calls}
