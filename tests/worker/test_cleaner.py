"""The cleaner: what it counts and forgets, with whom it takes turns, and what it leaves alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from contracts.store.delivery.cancelling import cancel
from contracts.store.delivery.replays import replay
from contracts.store.delivery.retention import is_known
from contracts.store.delivery.stats import named, stats
from contracts.store.steps import claim, owe, settle, states
from outrider.domain.delivery.delivery import DeliveryState
from outrider.worker import cleaner as rules
from outrider.worker.cleaner import TURN, Cleaner, LeadershipLost, RetentionPeriods
from support.builders import a_settlement, planned
from support.runtime import NOW
from worker.harness import WITHIN_S, Harness, working

DAY = timedelta(days=1)
KEPT = RetentionPeriods(delivered=7 * DAY, dead=30 * DAY, events=10 * DAY)


def a_cleaner(rig: Harness, owner: str = "cleaner-a", store=None) -> Cleaner:
    cleaner = Cleaner(store or rig.store, rig.runtime, KEPT, rig.log, owner)
    cleaner.swept_signal.listen()
    return cleaner


@asynccontextmanager
async def running(cleaner: Cleaner):
    task = asyncio.create_task(cleaner.run())
    try:
        async with asyncio.timeout(WITHIN_S):
            yield
    finally:
        task.cancel()


async def test_each_thing_goes_when_its_time_is_over(rig: Harness):
    """
    A week for what arrived, ten days for the ids of events, a month for what died.
    """
    await rig.owe(planned("1"), planned("2"), planned("3"))
    await cancel(rig.store, "3")
    await claim(rig.store)
    await settle(rig.store, a_settlement("1", DeliveryState.DEAD), a_settlement("2"))
    await owe(rig.store, event="for nobody")
    cleaner = a_cleaner(rig)
    seen = []
    for days in (7, 10, 30):
        rig.clock.advance(NOW + days * DAY - rig.clock())
        seen.append(await cleaner.sweep())
        rig.clock.advance(timedelta(microseconds=1))
        seen.append(await cleaner.sweep())

    # Two deliveries; an event; the dead delivery with its event.
    assert [0, 2, 0, 1, 0, 2] == seen
    assert {} == await states(rig.store)
    assert not await is_known(rig.store, "event-1")
    assert ["retention.deleted"] * 3 == rig.log.events("info")


async def test_what_is_owed_stays(rig: Harness):
    """
    However old it is, it is delivered; and with its payload, though its first delivery is gone.
    """
    await rig.owe(planned("1"))
    async with working(worker := rig.worker()):
        await rig.reaches(worker, "DELIVERED")
    await replay(rig.store, ("2", "1"))
    rig.clock.advance(400 * DAY)

    assert 1 == await a_cleaner(rig).sweep()
    async with working(worker := rig.worker("worker-b")):
        await rig.reaches(worker, "DELIVERED")
    assert [call.body for call in rig.caller.calls[:1]] * 2 == [
        call.body for call in rig.caller.calls
    ]


async def test_more_than_one_part_is_swept_at_once(rig: Harness):
    """
    In small transactions, all of it.
    """
    many = rules._AT_ONCE + 3
    await rig.owe(*(planned(str(number)) for number in range(1, many + 1)))
    async with working(worker := rig.worker(concurrency=64)):
        await rig.reaches(worker, *["DELIVERED"] * many)
    rig.clock.advance(timedelta(minutes=10))
    cleaner = a_cleaner(rig)
    nothing = await cleaner.sweep()
    counted = (await stats(rig.store, now=rig.clock())).rates[-1].delivered
    rig.clock.advance(30 * DAY)

    assert (0, many / 3600) == (nothing, counted)
    assert many + 1 == await cleaner.sweep()
    assert {} == named((await stats(rig.store)).counts)


async def test_two_cleaners_take_turns(rig: Harness):
    """
    The second begins when the first has not been there for half a minute.
    """
    first, second = a_cleaner(rig), a_cleaner(rig, "cleaner-b")
    await first.sweep()
    with pytest.raises(LeadershipLost):
        await second.sweep()
    rig.clock.advance(TURN)
    await second.sweep()
    with pytest.raises(LeadershipLost):
        await first.sweep()


async def test_a_cleaner_that_lost_its_turn_waits_for_another(rig: Harness):
    """
    And says nothing about it: that is how it is with several workers.
    """
    await a_cleaner(rig).sweep()
    async with running(late := a_cleaner(rig, "cleaner-b")):
        assert 0 == await late.swept_signal.wait()
    assert [] == rig.log.kept


async def test_a_cleaner_outlives_a_store_that_is_down(rig: Harness):
    """
    It is tried again; deliveries go on meanwhile.
    """

    class Down:
        async def write(self, work):
            raise OSError("the disk is gone")

    async with running(cleaner := a_cleaner(rig, store=Down())):
        assert 0 == await cleaner.swept_signal.wait()
    assert ["cleaner.failed"] == rig.log.events("exception")
