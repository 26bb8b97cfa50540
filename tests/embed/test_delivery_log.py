"""What receivers are told of events and replays, and what an application does with its deliveries."""

from __future__ import annotations

import pytest

from outrider.embed import (
    BulkCounts,
    DeliverySearch,
    DeliveryState,
    Event,
    on_event,
    on_request,
)
from outrider.errors import InvalidRequest, NotFound
from outrider.testing.receiver import Answer, Receiver

METHOD = "/acme.v1.Shop/Create"
EVENT = Event(id="ü/1 of 2", event_type="order.created")


@pytest.fixture
async def target(engine, receiver):
    """The target of all events."""
    return await a_target_of_events(engine, receiver)


async def a_target_of_events(engine, receiver):
    """A webhook that gets every order."""
    target = await engine.create_target("orders", receiver.url, type="webhook")
    await engine.register_event_types(["order.created"])
    await engine.set_execution(on_event("order.created"), [target])
    return target


def told(call) -> tuple[str | None, str | None]:
    """What a receiver is told of an event besides its body."""
    return call.header("Outrider-Event"), call.header("Outrider-Replay-Of")


async def test_replays_name_the_event_and_what_they_repeat(engine, target, receiver):
    """
    The event's id is the same on all of them; a replay of a replay names the one it repeats.
    """
    await engine.publish(EVENT)
    await receiver.wait_for(1)
    ids = [receiver.calls[0].header("Outrider-Delivery")]
    for count in (2, 3):
        await delivered(engine, ids[-1])
        await engine.replay_deliveries([ids[-1]])
        await receiver.wait_for(count)
        ids.append(receiver.calls[-1].header("Outrider-Delivery"))

    event = "%C3%BC/1%20of%202"
    assert [(event, None), (event, ids[0]), (event, ids[1])] == [
        told(call) for call in receiver.calls
    ]
    assert 3 == len(set(ids))
    assert 1 == len({call.body for call in receiver.calls})


async def test_the_call_of_an_asynchronous_target_names_no_event(engine, receiver):
    """
    It is a delivery, and no event: no event has its id in the log.
    """
    await engine.register_methods([METHOD])
    target = await engine.create_target("audit", receiver.url, type="async")
    await engine.set_execution(on_request(METHOD), [target])
    await engine.intercept_request(METHOD, {"amount": 1})
    await receiver.wait_for(1)

    [call] = receiver.calls
    assert call.header("Outrider-Delivery")
    assert (None, None) == told(call)


async def test_a_search_is_replayed_once(engine, target, receiver):
    """
    Three runs of it make one copy.
    """
    await engine.publish(EVENT)
    await receiver.wait_for(1)
    await delivered(engine, receiver.calls[0].header("Outrider-Delivery"))
    search = DeliverySearch(target_id=target.id, states=(DeliveryState.DELIVERED,))
    runs = [await engine.replay_deliveries(search=search) for _ in range(3)]
    await receiver.wait_for(2)
    again = await engine.replay_deliveries(search=search, include_replayed=True)

    assert [1, 0, 0] == [run.count for run in runs]
    assert runs[2].skipped >= 1
    assert again.count >= 1


async def test_what_failed_is_attempted_now_under_its_id(engine):
    """
    The next attempt would be in seconds, minutes or hours: the receiver is well again now.
    """
    async with Receiver([Answer(status=500)]) as receiver:
        target = await a_target_of_events(engine, receiver)
        await engine.publish(EVENT)
        await receiver.wait_for(1)
        delivery_id = receiver.calls[0].header("Outrider-Delivery")
        await in_state(engine, delivery_id, DeliveryState.RETRYING)
        due = await engine.retry_deliveries(search=DeliverySearch(target_id=target.id))
        await receiver.wait_for(2)

        assert BulkCounts(1) == due
        assert [delivery_id] * 2 == [call.header("Outrider-Delivery") for call in receiver.calls]
        assert ["1", "2"] == [call.header("Outrider-Attempt") for call in receiver.calls]


async def test_many_are_cancelled(engine):
    """
    And what is finished is told apart.
    """
    async with Receiver(lambda _: Answer(status=500)) as receiver:
        target = await a_target_of_events(engine, receiver)
        await engine.publish([Event(event_type="order.created") for _ in range(3)])
        await receiver.wait_for(3)
        search = DeliverySearch(target_id=target.id)
        cancelled = await engine.cancel_deliveries(search=search)
        found = [delivery.id for delivery in await engine.list_deliveries()]
        for delivery_id in found:
            await in_state(engine, delivery_id, DeliveryState.CANCELLED)
        again = await engine.cancel_deliveries(found)

        assert (3, 0) == (cancelled.count, cancelled.skipped)
        assert (0, 3) == (again.count, again.skipped)


@pytest.mark.parametrize("name", ["replay_deliveries", "retry_deliveries", "cancel_deliveries"])
async def test_what_cannot_be_meant_is_refused(engine, name):
    """
    As over the API: neither everything by mistake, nor nothing without a word.
    """
    change = getattr(engine, name)
    finished = DeliverySearch(states=(DeliveryState.DEAD,))
    is_open = DeliverySearch(states=(DeliveryState.PENDING,))
    unfit = is_open if name == "replay_deliveries" else finished
    for arguments in (
        {},
        {"ids": ["1"], "search": finished},
        {"search": DeliverySearch()},
        {"search": unfit},
        {"ids": "12"},
    ):
        with pytest.raises(InvalidRequest):
            await change(**arguments)
    with pytest.raises(NotFound):
        await change(["1"])


async def delivered(engine, delivery_id: str) -> None:
    """Wait until it is recorded that a delivery was delivered."""
    await in_state(engine, delivery_id, DeliveryState.DELIVERED)


async def in_state(engine, delivery_id: str, state: DeliveryState) -> None:
    """Wait until a delivery is in this state."""
    while (await engine.get_delivery(delivery_id)).state is not state:
        pass
