"""Nothing that was answered is lost, whichever process dies and when."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - seeded: the same draw in every run

import pytest

from outrider.testing.receiver import Answer, Receiver
from system.api import Api
from system.ledger import (
    Publisher,
    calls_by_delivery,
    event_of,
    outcomes,
    prepare_publisher,
    states_of,
    tried_again,
    unsigned,
)
from system.processes import ENVOY, WORKER, children_running, kill, wait_gone

EVENTS = 2000
# So slow that thousands are still pending, and many are in flight, when the server dies.
SLOW = Answer(delay=0.1)
# After it the children of a server that died have noticed.
NOTICED_WITHIN_S = 3.0
# A lease lasts 15 s, and the rescuer runs every 5 s.
RESCUED_WITHIN_S = 30.0


async def check_nothing_is_lost(api: Api, publisher: Publisher, receiver: Receiver) -> int:
    """Every promise kept, every repetition explained; return how many attempts were LOST."""
    await api.settled(within=40)
    deliveries = await api.deliveries()
    stored = {delivery["eventId"] for delivery in deliveries}

    assert set() == publisher.answered - stored
    assert {"DELIVERED": len(stored)} == states_of(deliveries)
    assert stored == {event_of(call) for call in receiver.calls}
    assert [] == unsigned(receiver.calls)

    attempts = await outcomes(api, tried_again(deliveries))
    assert all(set(attempt[:-1]) == {"LOST"} for attempt in attempts.values())
    assert {"ACCEPTED"} >= {attempt[-1] for attempt in attempts.values()}

    calls = calls_by_delivery(receiver.calls)
    assert {delivery["id"] for delivery in deliveries} == set(calls)
    repeated = {delivery: count for delivery, count in calls.items() if count > 1}
    assert all(
        count <= len(attempts.get(delivery_id, ())) for delivery_id, count in repeated.items()
    )
    return sum(len(attempt) - 1 for attempt in attempts.values())


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_server_killed_amid_2000_deliveries_loses_none(launch, seed):
    """
    The promise that this project is made for: what was answered is delivered, power cut or not.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        server = await launch().ready()
        publisher = await prepare_publisher(server.api, receiver)
        await publisher.publish(EVENTS)
        publishing = [asyncio.create_task(publisher.publish_until_it_breaks()) for _ in range(4)]
        await receiver.wait_for(len(receiver.calls) + random.Random(seed).randrange(20, 600))
        pending = len(publisher.answered) - len(receiver.calls)
        server.kill()
        await asyncio.gather(*publishing)
        answered = set(publisher.answered)
        server = await launch().ready()
        publisher.api = server.api
        known = await publisher.publish_again()
        lost = await check_nothing_is_lost(server.api, publisher, receiver)

    assert pending > EVENTS / 4
    assert len(answered) > EVENTS
    assert answered & known.keys() <= {event for event, is_known in known.items() if is_known}
    assert lost >= 1


async def test_children_of_a_killed_server_end_and_the_next_one_takes_over(launch):
    """
    A supervisor that runs out of memory must not leave processes that lock the data directory.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        server = await launch().ready()
        publisher = await prepare_publisher(server.api, receiver)
        await publisher.publish(EVENTS)
        await receiver.wait_for(200)
        children = server.kill_supervisor()
        following = launch()
        await asyncio.gather(*(wait_gone(child, within=NOTICED_WITHIN_S) for child in children))
        await following.ready()
        await check_nothing_is_lost(following.api, publisher, receiver)

    assert 2 == len(children)


async def test_orphans_do_not_wait_for_a_receiver_that_hangs(launch):
    """
    Else the data directory would stay locked for as long as the slowest receiver takes.
    """
    silence = asyncio.Event()
    script = [Answer(hang_until=silence)] * 3
    async with Receiver(script) as receiver:
        server = await launch().ready()
        publisher = await prepare_publisher(server.api, receiver)
        await publisher.publish(3)
        await receiver.wait_for(3)
        children = server.kill_supervisor()
        following = launch()
        await asyncio.gather(*(wait_gone(child, within=NOTICED_WITHIN_S) for child in children))
        await following.ready()
        lost = await check_nothing_is_lost(following.api, publisher, receiver)

    assert 3 == lost


async def test_a_killed_worker_is_replaced_and_its_deliveries_are_rescued(launch):
    """
    One process that dies is no incident: the API continues, and so do deliveries.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        server = await launch().ready()
        publisher = await prepare_publisher(server.api, receiver)
        await publisher.publish(500)
        await receiver.wait_for(100)
        [worker] = children_running(server.pid, WORKER)
        kill(worker)
        await wait_gone(worker, within=NOTICED_WITHIN_S)
        await publisher.publish(500)
        await receiver.wait_for(600)
        rescued = await server.logs("delivery.rescued", within=RESCUED_WITHIN_S)
        lost = await check_nothing_is_lost(server.api, publisher, receiver)
        [replacement] = children_running(server.pid, WORKER)

    assert worker != replacement
    assert 1 <= rescued["deliveries"] == lost


async def test_a_killed_api_comes_back_on_its_port(launch):
    """
    Clients know one address. Deliveries in flight do not notice.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        server = await launch().ready()
        publisher = await prepare_publisher(server.api, receiver)
        await publisher.publish(500)
        publishing = asyncio.create_task(publisher.publish_until_it_breaks())
        await receiver.wait_for(100)
        [envoy] = children_running(server.pid, ENVOY)
        kill(envoy)
        await publishing
        await server.output.line(lambda line: "starting it again" in line, within=5)
        await answers_again(server.api)
        await publisher.publish(100)
        lost = await check_nothing_is_lost(server.api, publisher, receiver)

    assert 0 == lost


async def answers_again(api: Api) -> None:
    """Wait until a process listens on the port again."""
    async with asyncio.timeout(20):
        while True:
            try:
                await api.deliveries("DEAD")
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return
