"""Nodes that are killed, again and again, while they deliver."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - seeded: the same draw in every run
from collections.abc import Callable

import pytest

from faults.database import rows_of, two_nodes
from faults.invariants import RESCUED_WITHIN, Reckoning, Rows, reckon
from faults.subject import Subject, owing
from outrider.testing.receiver import Answer, Receiver
from system.server import Server

EVENTS = 10_000
KILLS = 20
# Published for each kill, which hits some time before half of them have arrived.
PORTION = EVENTS // KILLS
# What one worker has in flight by default.
IN_FLIGHT = 64
# So slow that many are in flight whenever the node dies.
SLOW = Answer(delay=0.02)
Launch = Callable[..., Server]

pytestmark = pytest.mark.timeout(180)


async def test_a_node_killed_20_times_amid_10000_deliveries_loses_none(launch: Launch):
    """
    The promise that this project is made for, under the worst that can happen to a process.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        subject = await owing(await launch().ready(), receiver)
        await killed_amid_deliveries(subject, launch)
        await all_delivered(subject)


async def test_two_nodes_on_postgresql_killed_20_times_amid_10000_deliveries_lose_none(
    launch: Launch, tmp_path, url: str
):
    """
    Here nobody knows that a node is dead, and a new one must not take it for its own past.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        subject = await two_nodes(launch, url, receiver, tmp_path)
        await killed_amid_deliveries(subject, launch)
        reckoning = await all_delivered(subject, rows_of(url))

    assert 2 == len({each.data_dir for each in subject.dead})
    assert reckoning.longest_held < RESCUED_WITHIN


async def killed_amid_deliveries(subject: Subject, launch: Launch) -> None:
    """Publish, and kill a node while that arrives, whichever; it starts again at once."""
    draw, receiver = random.Random(20), subject.receiver
    for _ in range(KILLS):
        feeding = asyncio.create_task(subject.feed(PORTION))
        await receiver.wait_for(len(receiver.calls) + draw.randrange(1, PORTION // 2))
        await asyncio.sleep(draw.random() * 0.02)
        await subject.replace(draw.choice(subject.nodes), launch)
        await feeding


async def all_delivered(subject: Subject, rows: Rows | None = None) -> Reckoning:
    """The reckoning, and that the kills hit what was in flight: else they had shown nothing."""
    reckoning = await reckon(subject, rows, most_repeated=KILLS * IN_FLIGHT)

    assert KILLS == len(subject.dead)
    assert EVENTS == len(subject.answered) == len(reckoning.attempts)
    assert reckoning.lost > KILLS
    assert reckoning.repeated > KILLS
    return reckoning
