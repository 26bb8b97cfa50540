"""Many open deliveries: due now, or cancelled, in bounded parts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.store.steps import add_pending, add_targets, claim, claimed_ids, settle, states
from contracts.store.targets.policies import pause
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import SkipReason
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.ids import EventId
from outrider.errors import NotFound
from outrider.usecases.delivery.open_deliveries import CancelDeliveries, RetryDeliveries
from outrider.usecases.delivery.replays import ReplayDeliveries
from support.builders import ANOTHER_INSTANCE, a_settlement, an_actor, planned, planned_chain
from support.runtime import NOW

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)
OPEN = (DeliveryState.PENDING, DeliveryState.DELIVERING, DeliveryState.RETRYING)
OPEN_TO_101 = DeliverySearch(target_id="101", states=OPEN)
HOUR = timedelta(hours=1)


@pytest.fixture
async def filled(store):
    """Eight deliveries: 1 to 5 are tried again in an hour, 6 delivered, 7 attempted, 8 due."""
    await add_targets(store)
    await add_pending(store, *(planned(str(number)) for number in range(1, 9)))
    await claim(store, limit=7)
    retries = [
        a_settlement(str(number), DeliveryState.RETRYING, due_at=NOW + HOUR)
        for number in range(1, 6)
    ]
    await settle(store, *retries, a_settlement("6"))
    return store


@pytest.fixture
def retry(filled, runtime) -> RetryDeliveries:
    return RetryDeliveries(filled, runtime)


@pytest.fixture
def cancel(filled, runtime) -> CancelDeliveries:
    return CancelDeliveries(filled, runtime)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
async def test_pages_together_make_everything_due_once(filled, retry, limit):
    """
    Whatever the size: what waits is due, the others are counted by their reason.
    """
    made, skips, rest, calls = 0, {}, None, 0
    while calls == 0 or rest is not None:
        result = await retry.found(ACTOR, OPEN_TO_101, rest, limit)
        made, rest, calls = made + result.made, result.rest, calls + 1
        for reason, count in result.counts.skips.items():
            skips[reason] = skips.get(reason, 0) + count
        assert calls <= 9

    assert (5, {SkipReason.ATTEMPT_RUNNING: 1, SkipReason.DUE: 1}) == (made, skips)
    assert ["1", "2", "3", "4", "5", "8"] == await claimed_ids(filled, now=NOW + HOUR / 2)


async def test_named_ones_are_due_together_or_not_at_all(filled, retry):
    """
    One id that is not there, or another instance's: all keep their time.
    """
    for actor, ids in ((ACTOR, ["1", "9"]), (ACTOR, ["1", "x"]), (STRANGER, ["1"])):
        with pytest.raises(NotFound):
            await retry.named(actor, ids)

    assert ["8"] == await claimed_ids(filled)
    result = await retry.named(ACTOR, ["1", "6", "7"])
    assert (1, {SkipReason.FINISHED: 1, SkipReason.ATTEMPT_RUNNING: 1}) == (
        result.made,
        dict(result.counts.skips),
    )


async def test_a_suspended_target_is_told(filled, retry):
    """
    Its deliveries are due, and wait until it is resumed.
    """
    await pause(filled)
    result = await retry.found(ACTOR, OPEN_TO_101)

    assert (5, 5) == (result.made, result.counts.deferred)
    assert [] == await claimed_ids(filled, now=NOW + HOUR)


async def test_another_instance_changes_nothing_of_ours(filled, retry, cancel):
    """
    What it finds is its own.
    """
    before = await states(filled)
    for use_case in (retry, cancel):
        result = await use_case.found(STRANGER, OPEN_TO_101)
        assert (0, 0, None) == (result.made, result.skipped, result.rest)

    assert before == await states(filled)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
async def test_pages_together_cancel_everything_once(filled, cancel, limit):
    """
    The one that is being attempted is cancelled when that attempt has failed.
    """
    made, deferred, rest, calls = 0, 0, None, 0
    while calls == 0 or rest is not None:
        result = await cancel.found(ACTOR, OPEN_TO_101, rest, limit)
        made, deferred, rest = made + result.made, deferred + result.counts.deferred, result.rest
        calls += 1
        assert calls <= 9

    await settle(filled, a_settlement("7", DeliveryState.RETRYING, due_at=NOW + HOUR))
    found = await states(filled)
    assert (7, 1) == (made, deferred)
    assert {"CANCELLED", "DELIVERED"} == set(found.values())
    assert "DELIVERED" == found["6"]


async def test_nothing_moves_up_that_is_cancelled_next(store, runtime):
    """
    Each page ends with a commit: a worker must not find the next of the execution due then.
    """
    await add_targets(store)
    await add_pending(store, *planned_chain(("1", "101"), ("2", "102"), ("3", "103")))
    cancel, rest = CancelDeliveries(store, runtime), None
    of_event = DeliverySearch(event_id=EventId("event-1"), states=OPEN)
    claimed = []
    for _ in range(3):
        rest = (await cancel.found(ACTOR, of_event, rest, 1)).rest
        claimed += [delivery_id for delivery_id in await claimed_ids(store) if delivery_id != "1"]

    assert [] == claimed


async def test_named_ones_are_cancelled_together_or_not_at_all(filled, cancel):
    """
    One id that is not there, or another instance's: nothing is cancelled.
    """
    before = await states(filled)
    for actor, ids in ((ACTOR, ["1", "9"]), (STRANGER, ["1"])):
        with pytest.raises(NotFound):
            await cancel.named(actor, ids)
    unchanged = await states(filled)
    result = await cancel.named(ACTOR, ["1", "6", "8"])

    assert before == unchanged
    assert (2, {SkipReason.FINISHED: 1}) == (result.made, dict(result.counts.skips))


async def test_the_same_replay_again_makes_no_second_copy(filled, runtime):
    """
    Also when it continues past the replay that it made, and when that has ended.
    """
    replay = ReplayDeliveries(filled, runtime)
    delivered = DeliverySearch(target_id="101", states=(DeliveryState.DELIVERED,))
    runs = [await replay.found(ACTOR, delivered) for _ in range(2)]
    new = [delivery_id for delivery_id in await claimed_ids(filled) if len(delivery_id) > 1]
    await settle(filled, a_settlement(new[0]))
    runs += [await replay.found(ACTOR, delivered), await replay.found(ACTOR, delivered)]
    more = await replay.found(ACTOR, delivered, include_replayed=True)

    assert [(1, {}), (0, {SkipReason.REPLAYED: 1})] == [
        (run.made, dict(run.counts.skips)) for run in runs[:2]
    ]
    assert [(0, {SkipReason.REPLAYED: 2})] * 2 == [
        (run.made, dict(run.counts.skips)) for run in runs[2:]
    ]
    assert 2 == more.made
