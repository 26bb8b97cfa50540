"""The cleaner: what it counts and deletes, which one leads, and what it leaves alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from contracts.store.delivery.cancelling import cancel
from contracts.store.delivery.replays import replay
from contracts.store.delivery.retention import is_known
from contracts.store.delivery.stats import named, stats
from contracts.store.steps import add_pending, claim, settle, states
from outrider.domain.delivery.delivery import DeliveryState
from outrider.worker import cleaner as rules
from outrider.worker.cleaner import LEADER_LEASE, Cleaner, LeadershipLost, RetentionPeriods
from support.builders import a_settlement, planned
from support.runtime import NOW
from worker.harness import WITHIN_S, Harness, working

DAY = timedelta(days=1)
KEPT = RetentionPeriods(delivered=7 * DAY, dead=30 * DAY, events=10 * DAY)


def a_cleaner(harness: Harness, owner: str = "cleaner-a", store=None) -> Cleaner:
    cleaner = Cleaner(store or harness.store, harness.runtime, KEPT, harness.log, owner)
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


async def test_each_thing_goes_when_its_time_is_over(harness: Harness):
    """
    A week for what arrived, ten days for the ids of events, a month for what died.
    """
    await harness.add_pending(planned("1"), planned("2"), planned("3"))
    await cancel(harness.store, "3")
    await claim(harness.store)
    await settle(harness.store, a_settlement("1", DeliveryState.DEAD), a_settlement("2"))
    await add_pending(harness.store, event="unmatched")
    cleaner = a_cleaner(harness)
    seen = []
    for days in (7, 10, 30):
        harness.clock.advance(NOW + days * DAY - harness.clock())
        seen.append(await cleaner.sweep())
        harness.clock.advance(timedelta(microseconds=1))
        seen.append(await cleaner.sweep())

    # Two deliveries; an event; the dead delivery with its event.
    assert [0, 2, 0, 1, 0, 2] == seen
    assert {} == await states(harness.store)
    assert not await is_known(harness.store, "event-1")
    assert ["retention.deleted"] * 3 == harness.log.events("info")


async def test_what_is_open_stays(harness: Harness):
    """
    However old it is, it is delivered; and with its payload, though its first delivery is gone.
    """
    await harness.add_pending(planned("1"))
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "DELIVERED")
    await replay(harness.store, ("2", "1"))
    harness.clock.advance(400 * DAY)

    assert 1 == await a_cleaner(harness).sweep()
    async with working(worker := harness.worker("worker-b")):
        await harness.reaches(worker, "DELIVERED")
    assert [call.body for call in harness.client.calls[:1]] * 2 == [
        call.body for call in harness.client.calls
    ]


async def test_more_than_one_part_is_swept_in_one_round(harness: Harness):
    """
    In small transactions, all of it.
    """
    many = rules._DELETED_AT_ONCE + 3
    await harness.add_pending(*(planned(str(number)) for number in range(1, many + 1)))
    async with working(worker := harness.worker(concurrency=64)):
        await harness.reaches(worker, *["DELIVERED"] * many)
    harness.clock.advance(timedelta(minutes=10))
    cleaner = a_cleaner(harness)
    nothing = await cleaner.sweep()
    counted = (await stats(harness.store, now=harness.clock())).rates[-1].delivered
    harness.clock.advance(30 * DAY)

    assert (0, many / 3600) == (nothing, counted)
    assert many + 1 == await cleaner.sweep()
    assert {} == named((await stats(harness.store)).counts)


async def test_two_cleaners_share_one_leader_lease(harness: Harness):
    """
    The second begins when the first has not been there for half a minute.
    """
    first, second = a_cleaner(harness), a_cleaner(harness, "cleaner-b")
    await first.sweep()
    with pytest.raises(LeadershipLost):
        await second.sweep()
    harness.clock.advance(LEADER_LEASE)
    await second.sweep()
    with pytest.raises(LeadershipLost):
        await first.sweep()


async def test_a_cleaner_that_does_not_lead_waits(harness: Harness):
    """
    And says nothing about it: that is how it is with several workers.
    """
    await a_cleaner(harness).sweep()
    async with running(late := a_cleaner(harness, "cleaner-b")):
        assert 0 == await late.swept_signal.wait()
    assert [] == harness.log.kept


async def test_a_cleaner_outlives_a_store_that_is_down(harness: Harness):
    """
    It is tried again; deliveries continue meanwhile.
    """

    class Down:
        async def write(self, work):
            raise OSError("the disk is gone")

    async with running(cleaner := a_cleaner(harness, store=Down())):
        assert 0 == await cleaner.swept_signal.wait()
    assert ["cleaner.failed"] == harness.log.events("exception")
