"""Nodes that are killed, again and again, while they deliver."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - seeded: the same draw in every run
from collections.abc import Callable

import pytest

from faults.database import rows_of, two_nodes
from faults.deployment import Deployment, deployment_of
from faults.invariants import RESCUED_WITHIN, DeliveryReport, Rows, check_invariants
from outrider.testing.receiver import Answer, Receiver
from system.server import Server

# Published for each kill, which hits some time before half of them have arrived.
PORTION = 500
# What one worker has in flight by default.
IN_FLIGHT = 64
# So slow that many are in flight whenever the node dies.
SLOW = Answer(delay=0.02)
Launch = Callable[..., Server]

# Three kills show what is promised; 20 of them, amid 10,000 deliveries, look for what is rare.
pytestmark = pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.long)])


async def test_a_node_killed_again_and_again_amid_deliveries_loses_none(launch: Launch, kills: int):
    """
    The promise that this project is made for, under the worst that can happen to a process.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        deployment = await deployment_of(await launch().ready(), receiver)
        await killed_amid_deliveries(deployment, launch, kills)
        await all_delivered(deployment, kills)


async def test_two_nodes_on_postgresql_killed_again_and_again_amid_deliveries_lose_none(
    launch: Launch, tmp_path, url: str, kills: int
):
    """
    Here no node knows that another is dead, and a new one must not take it for its own past.
    """
    async with Receiver(lambda _: SLOW) as receiver:
        deployment = await two_nodes(launch, url, receiver, tmp_path)
        await killed_amid_deliveries(deployment, launch, kills)
        report = await all_delivered(deployment, kills, rows_of(url))

    assert 2 == len({node.data_dir for node in deployment.dead})
    assert report.longest_takeover < RESCUED_WITHIN


async def killed_amid_deliveries(deployment: Deployment, launch: Launch, kills: int) -> None:
    """Publish, and kill one node after the other while that arrives; it starts again immediately."""
    draw, receiver = random.Random(20), deployment.receiver
    for kill in range(kills):
        feeding = asyncio.create_task(deployment.feed(PORTION))
        await receiver.wait_for(len(receiver.calls) + draw.randrange(1, PORTION // 2))
        await asyncio.sleep(draw.random() * 0.02)
        await deployment.replace(deployment.nodes[kill % len(deployment.nodes)], launch)
        await feeding


async def all_delivered(
    deployment: Deployment, kills: int, rows: Rows | None = None
) -> DeliveryReport:
    """Check the invariants, and that the kills hit what was in flight: else they show nothing."""
    # An attempt that has ended is recorded by the next poll: a kill before that repeats it as well.
    report = await check_invariants(deployment, rows, most_repeated=kills * 2 * IN_FLIGHT)

    assert kills == len(deployment.dead)
    assert kills * PORTION == len(deployment.answered) == len(report.attempts)
    assert report.lost > kills
    assert report.repeated > kills
    return report
