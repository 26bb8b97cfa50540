"""PostgreSQL that is killed in the middle of commits, connections to it that are cut, nodes that die."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - seeded: the same draw in every run
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from faults.database import PASSWORD, rows_of, two_nodes, with_password
from faults.invariants import RESCUED_WITHIN, reckon
from faults.subject import owing
from faults.wire import wire
from outrider.testing.receiver import Answer, Receiver
from support.postgres import PostgresServer
from system.server import Server

EVENTS = 2000
KILLS = 5
IN_FLIGHT = 64
SLOW = Answer(delay=0.02)

pytestmark = pytest.mark.timeout(150)


async def test_a_database_killed_in_the_middle_of_commits_loses_nothing_answered(
    launch: Callable[..., Server], database: PostgresServer, url: str
):
    """
    Whether the last commits happened nobody knows: publishing again with the same ids is safe.
    """
    draw = random.Random(5)
    async with Receiver(lambda _: SLOW) as receiver:
        server = await launch(environ={"OUTRIDER_DATABASE_URL": url}).ready()
        subject = with_password(await owing(server, receiver))
        feeding = asyncio.create_task(subject.feed(EVENTS, at_once=5))
        for _ in range(KILLS):
            await receiver.wait_for(len(receiver.calls) + draw.randrange(20, 120))
            await asyncio.to_thread(database.kill)
            await asyncio.to_thread(database.start)
        assert not feeding.done()
        await feeding
        reckoning = await reckon(subject, rows_of(url), most_repeated=KILLS * IN_FLIGHT)

    assert EVENTS == len(reckoning.attempts)
    assert subject.refusals


async def test_cut_connections_to_the_database_lose_nothing_and_hold_nothing(
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
        subject = with_password(await owing(server, receiver))
        feeding = asyncio.create_task(subject.feed(EVENTS, at_once=5))
        cuts = 0
        while not feeding.done():
            await asyncio.sleep(draw.random() * 0.5)
            cable.cut()
            cuts += 1
        await feeding
        reckoning = await reckon(subject, rows_of(url), most_repeated=cuts * IN_FLIGHT)

    assert cable.cuts > cuts > 5
    assert EVENTS == len(reckoning.attempts)


async def test_of_two_nodes_on_one_database_one_is_killed(
    launch: Callable[..., Server], tmp_path, url: str
):
    """
    The other one does not know that it is dead: it waits for the lease, and no longer.
    """
    async with Receiver(lambda _: Answer(delay=0.3)) as receiver:
        subject = await two_nodes(launch, url, receiver, tmp_path)
        feeding = asyncio.create_task(subject.feed(EVENTS))
        await receiver.wait_for(EVENTS // 4)
        subject.kill(subject.server)
        await feeding
        reckoning = await reckon(subject, rows_of(url), most_repeated=IN_FLIGHT)

    assert EVENTS == len(reckoning.attempts)
    assert 0 < reckoning.lost
    assert reckoning.longest_held < RESCUED_WITHIN
