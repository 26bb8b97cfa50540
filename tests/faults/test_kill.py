"""Nodes that are killed, again and again, while they deliver."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - seeded: the same draw in every run

import pytest

from faults.reckoning import reckon
from faults.subject import owing
from outrider.testing.receiver import Answer, Receiver

EVENTS = 10_000
KILLS = 20
# What one worker has in flight by default.
IN_FLIGHT = 64
# So slow that many are in flight whenever the node dies.
SLOW = Answer(delay=0.02)


@pytest.mark.timeout(180)
async def test_a_node_killed_20_times_amid_10000_deliveries_loses_none(launch):
    """
    The promise that this project is made for, under the worst that can happen to a process.
    """
    draw = random.Random(20)
    async with Receiver(lambda _: SLOW) as receiver:
        subject = await owing(await launch().ready(), receiver)
        feeding = asyncio.create_task(subject.feed(EVENTS))
        for _ in range(KILLS):
            await receiver.wait_for(len(receiver.calls) + draw.randrange(1, 250))
            await asyncio.sleep(draw.random() * 0.02)
            subject.server.kill()
            subject.server = await launch().ready()
        assert len(receiver.calls) < EVENTS
        await feeding
        reckoning = await reckon(subject, most_repeated=KILLS * IN_FLIGHT)

    assert EVENTS == len(subject.answered) == len(reckoning.attempts)
    # The kills hit what was in flight: else they would have shown nothing.
    assert reckoning.repeated > KILLS
