"""A worker that is cancelled, in each stage of its work: nothing stays claimed, is lost or is done twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from contracts.store.steps import claimed_ids, states
from outrider.worker.worker import Worker
from support.builders import a_target, planned
from support.runtime import NOW
from worker.faulty_store import FaultyStore
from worker.harness import DelayedResponse, Harness

HOOK = a_target().endpoint


def start(worker: Worker) -> asyncio.Task[None]:
    """Let it run until it is cancelled."""
    return asyncio.create_task(worker.run())


async def cancelled(running: asyncio.Task[None]) -> None:
    """Cancel it, and wait until it has ended; a worker says that it was cancelled."""
    running.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_before_its_first_poll(harness: Harness):
    """
    Nothing was claimed.
    """
    await harness.add_pending(planned("1"))
    faulty = FaultyStore(harness.store)
    faulty.block()
    running = start(harness.worker(store=faulty))
    await faulty.blocked()
    await cancelled(running)

    assert {"1": "PENDING"} == await states(harness.store)


async def test_while_it_claims(harness: Harness):
    """
    The store continues with what it was asked: no attempt would begin on what it claims.
    """
    faulty = FaultyStore(harness.store)
    worker = harness.worker(store=faulty)
    running = start(worker)
    await worker.settled_signal.wait()
    faulty.block()
    await harness.add_pending(planned("1"), planned("2"))
    await faulty.blocked()
    running.cancel()
    await asyncio.sleep(0)
    faulty.unblock()
    with suppress(asyncio.CancelledError):
        await running

    assert {"1": "PENDING", "2": "PENDING"} == await states(harness.store)
    assert [] == harness.client.calls
    assert ["1", "2"] == await claimed_ids(harness.store, "worker-b")


async def test_while_it_calls(harness: Harness):
    """
    The receiver may have it: the attempt is LOST immediately, and not after the drain.
    """
    await harness.add_pending(planned("1"), planned("2"))
    harness.client.script(HOOK, DelayedResponse(asyncio.Event()), DelayedResponse(asyncio.Event()))
    running = start(harness.worker(concurrency=1, drain_timeout=3600))
    await harness.client.reached(1)
    await cancelled(running)

    assert {"1": "RETRYING", "2": "PENDING"} == await states(harness.store)
    assert (["LOST"], []) == (await harness.attempts("1"), await harness.attempts("2"))
    assert NOW == (await harness.delivery("1")).next_attempt_at


async def test_while_it_settles(harness: Harness):
    """
    What is on its way to the disk arrives there, once.
    """
    release = asyncio.Event()
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, DelayedResponse(release))
    faulty = FaultyStore(harness.store)
    running = start(harness.worker(store=faulty))
    await harness.client.reached(1)
    faulty.block()
    release.set()
    await faulty.blocked()
    running.cancel()
    await asyncio.sleep(0)
    faulty.unblock()
    with suppress(asyncio.CancelledError):
        await running

    assert {"1": "DELIVERED"} == await states(harness.store)
    assert ["ACCEPTED"] == await harness.attempts()


async def test_while_it_waits_for_work(harness: Harness):
    """
    The usual moment.
    """
    worker = harness.worker()
    running = start(worker)
    await worker.settled_signal.wait()
    await cancelled(running)

    assert {} == await states(harness.store)


async def test_while_it_drains(harness: Harness):
    """
    The operator that stopped it in order may lose patience.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, DelayedResponse(asyncio.Event()))
    worker = harness.worker(drain_timeout=3600)
    running = start(worker)
    await harness.client.reached(1)
    worker.stop()
    # It takes note of that, and waits for what runs.
    await worker.settled_signal.wait()
    await cancelled(running)

    assert ["LOST"] == await harness.attempts()
