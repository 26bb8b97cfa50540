"""PostgreSQL that is killed in the middle of commits, connections to it that are cut, nodes that die."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - seeded: the same draw in every run
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from faults.database import PASSWORD, rows_of, two_nodes, with_password
from faults.deployment import deployment_of
from faults.invariants import RESCUED_WITHIN, check_invariants
from faults.wire import wire
from outrider.testing.receiver import Answer, Receiver
from support.postgres import PostgresServer
from system.server import Server

EVENTS = 2000
KILLS = 5
IN_FLIGHT = 64
SLOW = Answer(delay=0.02)


async def test_a_database_killed_in_the_middle_of_commits_loses_nothing_answered(
    launch: Callable[..., Server], database: PostgresServer, url: str
):
    """
    Whether the last commits happened is not known: publishing again with the same ids is safe.
    """
    draw = random.Random(5)
    async with Receiver(lambda _: SLOW) as receiver:
        server = await launch(environ={"OUTRIDER_DATABASE_URL": url}).ready()
        deployment = with_password(await deployment_of(server, receiver))
        feeding = asyncio.create_task(deployment.feed(EVENTS, at_once=5))
        for _ in range(KILLS):
            await receiver.wait_for(len(receiver.calls) + draw.randrange(20, 120))
            await asyncio.to_thread(database.kill)
            await asyncio.to_thread(database.start)
        assert not feeding.done()
        await feeding
        report = await check_invariants(deployment, rows_of(url), most_repeated=KILLS * IN_FLIGHT)

    assert EVENTS == len(report.attempts)
    assert deployment.refusals


async def test_cut_connections_to_the_database_lose_nothing_and_leave_no_claim(
    launch: Callable[..., Server], url: str
):
    """
    A balancer that forgets connections: what was committed without an answer is found again.
    """
    draw = random.Random(6)
    path = f"{parse_qs(urlsplit(url).query)['host'][0]}/.s.PGSQL.5432"
    async with (
        Receiver(lambda _: SLOW) as receiver,
        wire(lambda: asyncio.open_unix_connection(path)) as cable,
    ):
        through = (
            f"postgresql://postgres:{PASSWORD}@127.0.0.1:{cable.port}/{urlsplit(url).path[1:]}"
        )
        server = await launch(environ={"OUTRIDER_DATABASE_URL": through}).ready()
        deployment = with_password(await deployment_of(server, receiver))
        feeding = asyncio.create_task(deployment.feed(EVENTS, at_once=5))
        cuts = 0
        while not feeding.done():
            await asyncio.sleep(draw.random() * 0.5)
            cable.cut()
            cuts += 1
        await feeding
        report = await check_invariants(deployment, rows_of(url), most_repeated=cuts * IN_FLIGHT)

    assert cable.cuts > cuts > 5
    assert EVENTS == len(report.attempts)


async def test_of_two_nodes_on_one_database_one_is_killed(
    launch: Callable[..., Server], tmp_path, url: str
):
    """
    The other one does not know that it is dead: it waits for the lease, and no longer.
    """
    async with Receiver(lambda _: Answer(delay=0.3)) as receiver:
        deployment = await two_nodes(launch, url, receiver, tmp_path)
        feeding = asyncio.create_task(deployment.feed(EVENTS))
        await receiver.wait_for(EVENTS // 4)
        deployment.kill(deployment.server)
        await feeding
        report = await check_invariants(deployment, rows_of(url), most_repeated=IN_FLIGHT)

    assert EVENTS == len(report.attempts)
    assert 0 < report.lost
    assert report.longest_takeover < RESCUED_WITHIN
