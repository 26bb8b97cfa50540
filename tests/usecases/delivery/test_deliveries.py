"""The delivery log: pages that end, and one delivery with everything."""

from __future__ import annotations

import pytest

from contracts.store.steps import add_pending, add_targets, claim, settle
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.search import DeliverySearch
from outrider.errors import NotFound
from support.builders import ANOTHER_INSTANCE, a_settlement, an_actor, an_attempt, planned

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)


@pytest.fixture
async def filled(store):
    """Seven deliveries, the oldest delivered."""
    await add_targets(store)
    await add_pending(store, *(planned(str(number)) for number in range(1, 8)))
    await claim(store, limit=1)
    await settle(store, a_settlement("1"))
    return store


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 1000])
async def test_pages_together_are_the_log_and_the_last_one_says_so(filled, deliveries, size):
    """
    Also when the last page is full: no caller fetches an empty one.
    """
    seen, before, pages = [], None, 0
    while True:
        rows, before = await deliveries.search(ACTOR, DeliverySearch(before=before, limit=size))
        seen += [row.id for row in rows]
        pages += 1
        assert len(rows) <= size
        if before is None:
            break

    assert [str(number) for number in range(7, 0, -1)] == seen
    assert -(-7 // size) == pages


async def test_filters_reach_the_store(filled, deliveries):
    """
    The page ends where the filter's last row is.
    """
    query = DeliverySearch(states=(DeliveryState.DELIVERED,), limit=1)
    rows, before = await deliveries.search(ACTOR, query)

    assert (["1"], None) == ([row.id for row in rows], before)


async def test_an_empty_log_has_an_empty_page(deliveries):
    """
    And no next one.
    """
    assert ([], None) == await deliveries.search(ACTOR, DeliverySearch())


async def test_one_delivery_is_shown_with_attempts_and_payload(filled, deliveries):
    """
    It shows what went wrong.
    """
    delivery = await deliveries.get(ACTOR, "1")

    assert (an_attempt(),) == delivery.attempts
    assert delivery.payload


@pytest.mark.parametrize(("actor", "id_"), [(ACTOR, "8"), (ACTOR, "x"), (STRANGER, "1")])
async def test_what_is_not_there_is_not_found(filled, deliveries, actor, id_):
    """
    Another instance's delivery is not there.
    """
    with pytest.raises(NotFound) as refused:
        await deliveries.get(actor, id_)

    assert "Delivery not found (OUTRIDER-delivery)" == str(refused.value)


async def test_another_instances_log_is_another_log(filled, deliveries):
    """
    Whatever is asked for.
    """
    assert ([], None) == await deliveries.search(STRANGER, DeliverySearch())
