"""A store that fails for a while: the worker waits for it, and every attempt counts once."""

from __future__ import annotations

import asyncio

import pytest

from contracts.store.steps import add_pending, states
from outrider.domain.calls.request import Response
from outrider.worker.rescuer import Rescuer
from outrider.worker.worker import LEASE
from support.builders import a_target, planned
from worker.faulty_store import FaultyStore, StoreDown
from worker.harness import DelayedResponse, Harness, working

HOOK = a_target().endpoint


@pytest.fixture
def faulty(harness: Harness) -> FaultyStore:
    """The worker's way to the store."""
    return FaultyStore(harness.store)


async def test_what_ended_while_it_was_down_is_settled_when_it_is_back(
    harness: Harness, faulty: FaultyStore
):
    """
    The receiver has it: it must not get it again because our disk was full.
    """
    release = asyncio.Event()
    await harness.add_pending(*(planned(str(number)) for number in range(1, 4)))
    harness.client.script(
        HOOK, DelayedResponse(release), DelayedResponse(release, Response(410, (), b""))
    )
    async with working(worker := harness.worker(store=faulty, concurrency=8)):
        await harness.client.reached(3)
        faulty.failures = 2
        release.set()
        await harness.reaches(worker, "DELIVERED", "DEAD", "DELIVERED")

    assert 3 == len(harness.client.calls)
    assert [["ACCEPTED"], ["REFUSED"]] == [await harness.attempts("1"), await harness.attempts("2")]
    assert ["worker.poll_failed"] * 2 == harness.log.events("exception")


async def test_a_settlement_whose_answer_was_lost_is_not_written_twice(
    harness: Harness, faulty: FaultyStore
):
    """
    The connection broke between the commit and its result: so it is written again.
    """
    release = asyncio.Event()
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, DelayedResponse(release, Response(500, (), b"")))
    async with working(worker := harness.worker(store=faulty)):
        await harness.client.reached(1)
        faulty.lost_results = 1
        release.set()
        await harness.reaches(worker, "RETRYING")
        await worker.settled_signal.wait()

    assert ["FAILED"] == await harness.attempts()


async def test_a_claim_whose_result_was_lost_is_released_and_made_again(
    harness: Harness, faulty: FaultyStore
):
    """
    The worker lives and renews its lease: no rescuer would release claims it does not know of.
    """
    async with working(worker := harness.worker(store=faulty)):
        await harness.add_pending(planned("0"))
        await harness.reaches(worker, "DELIVERED")
        faulty.block()
        await add_pending(harness.store, planned("1"), planned("2"), event="another")
        await faulty.blocked()
        faulty.lost_results = 1
        faulty.unblock()
        await harness.reaches(worker, "DELIVERED", "DELIVERED", "DELIVERED")

    assert 0 == faulty.lost_results
    assert [["ACCEPTED"], ["ACCEPTED"]] == [
        await harness.attempts("1"),
        await harness.attempts("2"),
    ]


async def test_a_worker_that_cannot_ask_for_changes_continues(
    harness: Harness, faulty: FaultyStore
):
    """
    It asks between polls, too.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, Response(500, (), b""))
    async with working(worker := harness.worker(store=faulty)):
        await harness.reaches(worker, "RETRYING")
        faulty.changes_failures = 2
        harness.clock.advance((await harness.delivery()).next_attempt_at - harness.clock())
        await harness.reaches(worker, "DELIVERED")

    assert 0 == faulty.changes_failures


async def test_a_worker_that_ends_while_it_is_down_tries_again(
    harness: Harness, faulty: FaultyStore
):
    """
    Else everything that ended last would come again after the lease.
    """
    release = asyncio.Event()
    await harness.add_pending(planned("1"), planned("2"))
    harness.client.script(HOOK, DelayedResponse(release))
    async with working(worker := harness.worker(store=faulty, concurrency=1)):
        await harness.client.reached(1)
        worker.stop()
        faulty.failures = 2
        release.set()

    assert {"1": "DELIVERED", "2": "PENDING"} == await states(harness.store)
    assert ["worker.shutdown_failed"] * 2 == harness.log.events("exception")


async def test_a_worker_that_cannot_leave_says_so_and_the_rescuer_cleans_up(
    harness: Harness, faulty: FaultyStore
):
    """
    At least once: the receiver gets it again, and the log tells why.
    """
    release = asyncio.Event()
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, DelayedResponse(release))
    worker = harness.worker(store=faulty)
    running = asyncio.create_task(worker.run())
    await harness.client.reached(1)
    worker.stop()
    faulty.failures = 100
    release.set()
    with pytest.raises(StoreDown):
        await running
    harness.clock.advance(2 * LEASE)
    rescued = await harness.store.write(harness.rescuer().rescue)
    async with working(another := harness.worker("worker-b")):
        await harness.reaches(another, "DELIVERED")

    assert 1 == rescued
    assert ["LOST", "ACCEPTED"] == await harness.attempts()


async def test_a_rescuer_outlives_it(harness: Harness, faulty: FaultyStore):
    """
    It would be missed at the worst moment.
    """
    faulty.failures = 1
    rescuer = Rescuer(faulty, harness.runtime, harness.rescuer().schedule, harness.log)
    running = asyncio.create_task(rescuer.run())
    async with asyncio.timeout(5):
        while not harness.log.events("exception"):
            await asyncio.sleep(0)
    still_running = not running.done()
    running.cancel()

    assert still_running
    assert ["rescuer.failed"] == harness.log.events("exception")
