"""A clock that jumps under a running node: nothing hangs on the time before, nothing comes early."""

from __future__ import annotations

from datetime import timedelta

from contracts.store.steps import add_targets, claim, owe
from outrider.domain.calls.request import Response
from outrider.worker.worker import LEASE
from support.builders import a_target, planned
from worker.harness import Harness, working

HOUR = timedelta(hours=1)
HOOK = a_target().endpoint


async def test_what_was_published_before_the_clock_went_back_is_delivered(rig: Harness):
    """
    The rescuer has seen a later time: what was not attempted yet does not wait for it to come again.
    """
    await add_targets(rig.store, a_target())
    rescuer = rig.rescuer()
    await rescuer.look()
    now = rig.clock.advance(HOUR)
    await rescuer.look()
    await owe(rig.store, planned("1"), now=now)
    rig.clock.advance(-HOUR)
    await rescuer.look()
    async with working(worker := rig.worker()):
        await rig.reaches(worker, "DELIVERED")

    assert ["clock.moved_backwards"] == rig.log.events("warning")


async def test_a_node_that_starts_after_the_clock_went_back_notices(rig: Harness):
    """
    It has seen nothing; the newest delivery has.
    """
    await add_targets(rig.store, a_target())
    await owe(rig.store, planned("1"), now=rig.clock() + HOUR)
    await rig.rescuer().look()
    async with working(worker := rig.worker()):
        await rig.reaches(worker, "DELIVERED")


async def test_a_node_that_died_before_the_clock_went_back_is_not_waited_for(rig: Harness):
    """
    Its lease would end in an hour, and what it held would be due then.
    """
    later = rig.clock() + HOUR
    await rig.owe(planned("1"))
    await rig.store.write(lambda unit: unit.leases.renew("worker-a", later + LEASE))
    await claim(rig.store, "worker-a", now=later)
    rescuer = rig.rescuer()
    looks = [await rescuer.look()]
    rig.clock.advance(LEASE)
    looks.append(await rescuer.look())

    assert [0, 1] == looks
    assert ["LOST"] == await rig.attempts()
    assert (await rig.delivery()).next_attempt_at <= rig.clock()


async def test_a_clock_that_goes_on_changes_nothing(rig: Harness):
    """
    A retry waits for its time, however often somebody looks.
    """
    await rig.owe(planned("1"))
    rig.caller.script(HOOK, Response(500, (), b""))
    rescuer = rig.rescuer()
    async with working(worker := rig.worker()):
        await rig.reaches(worker, "RETRYING")
        due_at = (await rig.delivery()).next_attempt_at
        for _ in range(3):
            rig.clock.advance(timedelta(milliseconds=1))
            await rescuer.look()

    assert due_at == (await rig.delivery()).next_attempt_at
    assert [] == rig.log.events("warning")
