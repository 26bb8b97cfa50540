"""Connections that are cut: those of publishers, and those to receivers."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - seeded: the same draw in every run

from faults.deployment import deployment_of
from faults.invariants import check_invariants
from faults.wire import wire
from outrider.testing.receiver import Answer, Receiver

EVENTS = 1000
IN_FLIGHT = 64
# The default waits would make the test wait, too.
FAST_RETRIES = {"retry": {"waits": ["0.1s"] * 50}}


async def test_cut_connections_repeat_what_was_in_flight_and_nothing_else(launch):
    """
    Publishers publish again with the same ids, we call again with the same delivery ids: once is enough.
    """
    draw = random.Random(7)
    async with (
        Receiver(lambda _: Answer(delay=0.02)) as receiver,
        wire(lambda: asyncio.open_connection("127.0.0.1", receiver.port)) as to_receiver,
    ):
        server = await launch().ready()
        host, port = server.address
        async with wire(lambda: asyncio.open_connection(host, port)) as to_server:
            endpoint = f"http://127.0.0.1:{to_receiver.port}/hook"
            deployment = await deployment_of(
                server, receiver, endpoint=endpoint, policy=FAST_RETRIES
            )
            server.url = f"http://127.0.0.1:{to_server.port}"
            feeding = asyncio.create_task(deployment.feed(EVENTS, at_once=5))
            cuts = 0
            while not feeding.done():
                await asyncio.sleep(draw.random() * 0.2)
                to_receiver.cut()
                to_server.cut()
                cuts += 1
            await feeding
            report = await check_invariants(deployment, most_repeated=cuts * IN_FLIGHT)

    assert EVENTS == len(report.attempts)
    assert to_receiver.cuts > cuts > 5
    assert to_server.cuts > 0
    assert report.repeated > 0
    assert 0 == report.lost
