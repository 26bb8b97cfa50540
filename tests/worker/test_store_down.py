"""A store that fails for a while: the worker waits for it, and every attempt counts once."""

from __future__ import annotations

import asyncio

import pytest

from contracts.store.steps import owe, states
from outrider.domain.calls.request import Response
from outrider.worker.rescuer import Rescuer
from outrider.worker.worker import LEASE
from support.builders import a_target, planned
from worker.faulty_store import Door, StoreDown
from worker.harness import Harness, Held, working

HOOK = a_target().endpoint


@pytest.fixture
def door(rig: Harness) -> Door:
    """The worker's way to the store."""
    return Door(rig.store)


async def test_what_ended_while_it_was_down_is_settled_when_it_is_back(rig: Harness, door: Door):
    """
    The receiver has it: it must not get it again because our disk was full.
    """
    release = asyncio.Event()
    await rig.owe(*(planned(str(number)) for number in range(1, 4)))
    rig.caller.script(HOOK, Held(release), Held(release, Response(410, (), b"")))
    async with working(worker := rig.worker(store=door, concurrency=8)):
        await rig.caller.reached(3)
        door.refusals = 2
        release.set()
        await rig.reaches(worker, "DELIVERED", "DEAD", "DELIVERED")

    assert 3 == len(rig.caller.calls)
    assert [["ACCEPTED"], ["REFUSED"]] == [await rig.attempts("1"), await rig.attempts("2")]
    assert ["worker.poll_failed"] * 2 == rig.log.events("exception")


async def test_a_settlement_whose_answer_was_lost_is_not_written_twice(rig: Harness, door: Door):
    """
    The connection broke between the commit and its answer: nobody knows, so it is written again.
    """
    release = asyncio.Event()
    await rig.owe(planned("1"))
    rig.caller.script(HOOK, Held(release, Response(500, (), b"")))
    async with working(worker := rig.worker(store=door)):
        await rig.caller.reached(1)
        door.lost_answers = 1
        release.set()
        await rig.reaches(worker, "RETRYING")
        await worker.settled_signal.wait()

    assert ["FAILED"] == await rig.attempts()


async def test_a_claim_whose_answer_was_lost_is_given_back_and_made_again(rig: Harness, door: Door):
    """
    The worker lives and renews its lease: what it does not know to hold nobody else would rescue.
    """
    async with working(worker := rig.worker(store=door)):
        await rig.owe(planned("0"))
        await rig.reaches(worker, "DELIVERED")
        door.shut()
        await owe(rig.store, planned("1"), planned("2"), event="another")
        await door.knocked()
        door.lost_answers = 1
        door.open()
        await rig.reaches(worker, "DELIVERED", "DELIVERED", "DELIVERED")

    assert 0 == door.lost_answers
    assert [["ACCEPTED"], ["ACCEPTED"]] == [await rig.attempts("1"), await rig.attempts("2")]


async def test_a_worker_that_cannot_ask_for_changes_goes_on(rig: Harness, door: Door):
    """
    It asks between turns, too.
    """
    await rig.owe(planned("1"))
    rig.caller.script(HOOK, Response(500, (), b""))
    async with working(worker := rig.worker(store=door)):
        await rig.reaches(worker, "RETRYING")
        door.changes_refused = 2
        rig.clock.advance((await rig.delivery()).next_attempt_at - rig.clock())
        await rig.reaches(worker, "DELIVERED")

    assert 0 == door.changes_refused


async def test_a_worker_that_ends_while_it_is_down_tries_again(rig: Harness, door: Door):
    """
    Else everything that ended last would come again after the lease.
    """
    release = asyncio.Event()
    await rig.owe(planned("1"), planned("2"))
    rig.caller.script(HOOK, Held(release))
    async with working(worker := rig.worker(store=door, concurrency=1)):
        await rig.caller.reached(1)
        worker.stop()
        door.refusals = 2
        release.set()

    assert {"1": "DELIVERED", "2": "PENDING"} == await states(rig.store)
    assert ["worker.shutdown_failed"] * 2 == rig.log.events("exception")


async def test_a_worker_that_cannot_leave_says_so_and_the_rescuer_cleans_up(
    rig: Harness, door: Door
):
    """
    At least once: the receiver gets it again, and the log tells why.
    """
    release = asyncio.Event()
    await rig.owe(planned("1"))
    rig.caller.script(HOOK, Held(release))
    worker = rig.worker(store=door)
    running = asyncio.create_task(worker.run())
    await rig.caller.reached(1)
    worker.stop()
    door.refusals = 100
    release.set()
    with pytest.raises(StoreDown):
        await running
    rig.clock.advance(2 * LEASE)
    rescued = await rig.store.write(rig.rescuer().rescue)
    async with working(another := rig.worker("worker-b")):
        await rig.reaches(another, "DELIVERED")

    assert 1 == rescued
    assert ["LOST", "ACCEPTED"] == await rig.attempts()


async def test_a_rescuer_outlives_it(rig: Harness, door: Door):
    """
    It would be missed at the worst moment.
    """
    door.refusals = 1
    rescuer = Rescuer(door, rig.runtime, rig.rescuer().schedule, rig.log)
    running = asyncio.create_task(rescuer.run())
    async with asyncio.timeout(5):
        while not rig.log.events("exception"):
            await asyncio.sleep(0)
    still_running = not running.done()
    running.cancel()

    assert still_running
    assert ["rescuer.failed"] == rig.log.events("exception")
