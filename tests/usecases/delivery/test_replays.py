"""Replays: in parts that end, with a border that new deliveries do not cross."""

from __future__ import annotations

import pytest

from contracts.store.steps import add_pending, add_targets, claim, log_of, settle, states
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.stats import StatsSearch
from outrider.errors import FailedPrecondition, NotFound
from outrider.usecases.delivery.deliveries import CancelDelivery, CountDeliveries
from outrider.usecases.delivery.replays import ReplayDeliveries
from support.builders import ANOTHER_INSTANCE, a_settlement, an_actor, planned

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)
TO_101 = DeliverySearch(target_id="101")
DEAD = DeliverySearch(states=(DeliveryState.DEAD,))


@pytest.fixture
async def filled(store):
    """Seven deliveries: 1 to 5 dead, 6 delivered, 7 due."""
    await add_targets(store)
    await add_pending(store, *(planned(str(number)) for number in range(1, 8)))
    await claim(store, limit=6)
    dead = [a_settlement(str(number), DeliveryState.DEAD) for number in range(1, 6)]
    await settle(store, *dead, a_settlement("6"))
    return store


@pytest.fixture
def replay(filled, runtime) -> ReplayDeliveries:
    return ReplayDeliveries(filled, runtime)


async def repeated(store) -> list[str]:
    """The originals of all replays, in their order."""
    found = [await log_of(store, delivery_id) for delivery_id in await states(store)]
    return [delivery.replay_of for delivery in found if delivery.replay_of]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 1000])
async def test_pages_together_replay_everything_once(filled, replay, limit):
    """
    Whatever the size: each original has one replay, and replays have none.
    """
    made, skipped, rest, calls = 0, 0, None, 0
    while calls == 0 or rest is not None:
        done = await replay.found(ACTOR, TO_101, rest, limit)
        assert done.made + done.skipped <= limit
        made, skipped, rest, calls = made + done.made, skipped + done.skipped, done.rest, calls + 1
        assert calls <= 8

    assert (6, 1) == (made, skipped)
    assert ["1", "2", "3", "4", "5", "6"] == await repeated(filled)


async def test_only_what_matches_is_replayed(filled, replay):
    """
    Dead ones alone: nothing is skipped, for nothing else was found.
    """
    done = await replay.found(ACTOR, DEAD)

    assert (5, 0, None) == (done.made, done.skipped, done.rest)
    assert ["1", "2", "3", "4", "5"] == await repeated(filled)


async def test_named_ones_are_replayed_together_or_not_at_all(filled, replay):
    """
    One id that is not there, or another instance's: nothing is made.
    """
    for actor, ids in ((ACTOR, ["1", "8"]), (ACTOR, ["1", "x"]), (STRANGER, ["1"])):
        with pytest.raises(NotFound):
            await replay.named(actor, ids)

    assert [] == await repeated(filled)
    done = await replay.named(ACTOR, ["1", "6", "7"])
    assert (2, 1, None) == (done.made, done.skipped, done.rest)


async def test_another_instance_replays_nothing_of_ours(filled, replay):
    """
    What it finds is its own.
    """
    done = await replay.found(STRANGER, TO_101)

    assert (0, 0, None) == (done.made, done.skipped, done.rest)
    assert [] == await repeated(filled)


async def test_a_cancelled_delivery_is_shown_without_its_payload(filled, runtime):
    """
    As in lists; cancelling again changes nothing.
    """
    cancel = CancelDelivery(filled, runtime)
    first = await cancel(ACTOR, "7")

    assert (DeliveryState.CANCELLED, b"", ()) == (first.state, first.payload, first.attempts)
    assert first == await cancel(ACTOR, "7")


@pytest.mark.parametrize(
    ("actor", "id_", "text"),
    [
        (ACTOR, "1", "Delivery is finished (OUTRIDER-finished)"),
        (ACTOR, "6", "Delivery is finished (OUTRIDER-finished)"),
        (ACTOR, "8", "Delivery not found (OUTRIDER-delivery)"),
        (STRANGER, "7", "Delivery not found (OUTRIDER-delivery)"),
    ],
)
async def test_what_cannot_be_cancelled_is_left_alone(filled, runtime, actor, id_, text):
    """
    To say that it was cancelled would be wrong: the receiver has it, or it is not sent.
    """
    before = await states(filled)
    with pytest.raises((FailedPrecondition, NotFound)) as refused:
        await CancelDelivery(filled, runtime)(actor, id_)

    assert text == str(refused.value)
    assert before == await states(filled)


async def test_numbers_are_those_of_the_instance(filled, runtime):
    """
    Counted by the store, at the time of the question.
    """
    count = CountDeliveries(filled, runtime)
    ours, theirs = await count(ACTOR, StatsSearch()), await count(STRANGER, StatsSearch())

    assert {"PENDING": 1, "DELIVERED": 1, "DEAD": 5} == {
        state.name: number for state, number in ours.counts.items()
    }
    assert {} == theirs.counts
