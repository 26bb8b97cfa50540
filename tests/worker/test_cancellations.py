"""A worker that is cancelled, in each stage of its work: nothing is held, lost or done twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from contracts.store.steps import claimed_ids, states
from outrider.worker.worker import Worker
from support.builders import a_target, planned
from support.runtime import NOW
from worker.faulty_store import Door
from worker.harness import Harness, Held

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


async def test_before_its_first_turn(rig: Harness):
    """
    Nothing was claimed, so nothing is held.
    """
    await rig.owe(planned("1"))
    door = Door(rig.store)
    door.shut()
    running = start(rig.worker(store=door))
    await door.knocked()
    await cancelled(running)

    assert {"1": "PENDING"} == await states(rig.store)


async def test_while_it_claims(rig: Harness):
    """
    The store goes on with what it was asked: that would be claimed for nobody.
    """
    door = Door(rig.store)
    worker = rig.worker(store=door)
    running = start(worker)
    await worker.settled_signal.wait()
    door.shut()
    await rig.owe(planned("1"), planned("2"))
    await door.knocked()
    running.cancel()
    await asyncio.sleep(0)
    door.open()
    with suppress(asyncio.CancelledError):
        await running

    assert {"1": "PENDING", "2": "PENDING"} == await states(rig.store)
    assert [] == rig.caller.calls
    assert ["1", "2"] == await claimed_ids(rig.store, "worker-b")


async def test_while_it_calls(rig: Harness):
    """
    The receiver may have it: the attempt is LOST, at once, and not after the drain.
    """
    await rig.owe(planned("1"), planned("2"))
    rig.caller.script(HOOK, Held(asyncio.Event()), Held(asyncio.Event()))
    running = start(rig.worker(concurrency=1, drain_timeout=3600))
    await rig.caller.reached(1)
    await cancelled(running)

    assert {"1": "RETRYING", "2": "PENDING"} == await states(rig.store)
    assert (["LOST"], []) == (await rig.attempts("1"), await rig.attempts("2"))
    assert NOW == (await rig.delivery("1")).next_attempt_at


async def test_while_it_settles(rig: Harness):
    """
    What is on its way to the disk arrives there, once.
    """
    release = asyncio.Event()
    await rig.owe(planned("1"))
    rig.caller.script(HOOK, Held(release))
    door = Door(rig.store)
    running = start(rig.worker(store=door))
    await rig.caller.reached(1)
    door.shut()
    release.set()
    await door.knocked()
    running.cancel()
    await asyncio.sleep(0)
    door.open()
    with suppress(asyncio.CancelledError):
        await running

    assert {"1": "DELIVERED"} == await states(rig.store)
    assert ["ACCEPTED"] == await rig.attempts()


async def test_while_it_waits_for_work(rig: Harness):
    """
    The usual moment.
    """
    worker = rig.worker()
    running = start(worker)
    await worker.settled_signal.wait()
    await cancelled(running)

    assert {} == await states(rig.store)


async def test_while_it_drains(rig: Harness):
    """
    Who stopped it in order may lose patience.
    """
    await rig.owe(planned("1"))
    rig.caller.script(HOOK, Held(asyncio.Event()))
    worker = rig.worker(drain_timeout=3600)
    running = start(worker)
    await rig.caller.reached(1)
    worker.stop()
    # It takes note of that, and waits for what runs.
    await worker.settled_signal.wait()
    await cancelled(running)

    assert ["LOST"] == await rig.attempts()
