"""A clock that jumps under a running node: nothing hangs on the time before, nothing comes early."""

from __future__ import annotations

from datetime import timedelta

from contracts.store.steps import add_pending, add_targets, claim
from outrider.domain.calls.request import Response
from outrider.worker.worker import LEASE
from support.builders import a_target, planned
from worker.harness import Harness, working

HOUR = timedelta(hours=1)
HOOK = a_target().endpoint


async def test_what_was_published_before_the_clock_went_back_is_delivered(harness: Harness):
    """
    The rescuer has seen a later time: what was not attempted yet does not wait for it to come again.
    """
    await add_targets(harness.store, a_target())
    rescuer = harness.rescuer()
    await rescuer.check()
    now = harness.clock.advance(HOUR)
    await rescuer.check()
    await add_pending(harness.store, planned("1"), now=now)
    harness.clock.advance(-HOUR)
    await rescuer.check()
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "DELIVERED")

    assert ["clock.moved_backwards"] == harness.log.events("warning")


async def test_a_node_that_starts_after_the_clock_went_back_notices(harness: Harness):
    """
    It has seen nothing; the newest delivery has.
    """
    await add_targets(harness.store, a_target())
    await add_pending(harness.store, planned("1"), now=harness.clock() + HOUR)
    await harness.rescuer().check()
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "DELIVERED")


async def test_a_node_that_died_before_the_clock_went_back_is_not_waited_for(harness: Harness):
    """
    Its lease would end in an hour, and what it had claimed would be due then.
    """
    later = harness.clock() + HOUR
    await harness.add_pending(planned("1"))
    await harness.store.write(lambda unit: unit.leases.renew("worker-a", later + LEASE))
    await claim(harness.store, "worker-a", now=later)
    rescuer = harness.rescuer()
    checks = [await rescuer.check()]
    harness.clock.advance(LEASE)
    checks.append(await rescuer.check())

    assert [0, 1] == checks
    assert ["LOST"] == await harness.attempts()
    assert (await harness.delivery()).next_attempt_at <= harness.clock()


async def test_a_clock_that_advances_changes_nothing(harness: Harness):
    """
    A retry waits for its time, however often a rescuer checks.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, Response(500, (), b""))
    rescuer = harness.rescuer()
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING")
        due_at = (await harness.delivery()).next_attempt_at
        for _ in range(3):
            harness.clock.advance(timedelta(milliseconds=1))
            await rescuer.check()

    assert due_at == (await harness.delivery()).next_attempt_at
    assert [] == harness.log.events("warning")
