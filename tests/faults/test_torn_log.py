"""A power cut in the middle of a write: the end of the write-ahead log is not what was written."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from faults.deployment import Deployment, deployment_of
from faults.invariants import check_invariants, leaks, logs_of
from faults.write_ahead_log import Log, log_of
from outrider.testing.receiver import Answer, Receiver

EVENTS = 60
# This number of commits is damaged; each is at most one publication, some are a worker's.
TORN = 10
IN_FLIGHT = 64
Damage = Callable[[Log], None]


async def killed(launch, receiver: Receiver, released: asyncio.Event) -> Deployment:
    """A server that was killed after a number of answers, one event each; nothing was delivered."""
    released.clear()
    deployment = await deployment_of(await launch().ready(), receiver)
    await deployment.feed(EVENTS, at_once=1)
    deployment.server.kill()
    return deployment


@pytest.fixture
def released() -> asyncio.Event:
    """Receivers answer when it is set."""
    return asyncio.Event()


def garbage_behind(log: Log) -> None:
    """A frame was begun: its header is there, its page is not what it should be."""
    last = log.frames[-1]
    data = log.path.read_bytes()[last.offset : last.offset + last.size // 2]
    log.cut(log.end)
    log.write(log.end, data + b"\x00\xff" * 700)


async def test_what_was_begun_behind_the_last_commit_is_ignored(launch, released):
    """
    An answer comes after its commit is on disk: what comes behind that was never promised.
    """
    async with Receiver(lambda _: Answer(hang_until=released)) as receiver:
        deployment = await killed(launch, receiver, released)
        garbage_behind(log_of(deployment.server.data_dir))
        deployment.server = await launch().ready()
        released.set()
        report = await check_invariants(deployment, most_repeated=IN_FLIGHT)

    assert EVENTS == len(report.attempts)


def flipped(log: Log) -> None:
    """A bit of a page is another one."""
    [first, *_] = log.last_transactions(TORN)
    middle = first.offset + first.size // 2
    log.write(middle, bytes([log.path.read_bytes()[middle] ^ 1]))


def cut_off(log: Log) -> None:
    """The file ends in the middle of a frame."""
    [first, *_] = log.last_transactions(TORN)
    log.cut(first.offset + first.size // 3)


@pytest.mark.parametrize("damage", [flipped, cut_off])
async def test_all_before_the_damaged_tail_is_there(launch, released, damage: Damage):
    """
    The disk lied about the last commits. Those before survive, and publishing again restores the rest.
    """
    async with Receiver(lambda _: Answer(hang_until=released)) as receiver:
        deployment = await killed(launch, receiver, released)
        answered = sorted(deployment.answered)
        damage(log_of(deployment.server.data_dir))
        deployment.server = await launch().ready()
        results = await deployment.publish(answered)
        released.set()
        await check_invariants(deployment, most_repeated=IN_FLIGHT)

    known = [result["id"] for result in results if result.get("duplicate")]
    assert known == answered[: len(known)]
    assert EVENTS - TORN <= len(known) < EVENTS


async def test_a_broken_database_is_named_and_left_alone(launch, released):
    """
    A server cannot repair it: the operator has to know immediately, and has a backup.
    """
    async with Receiver(lambda _: Answer(hang_until=released)) as receiver:
        deployment = await killed(launch, receiver, released)
        path = deployment.server.data_dir / "outrider.db"
        move_into_database(path)
        broken = break_behind_header(path)
        server = launch()
        code = await server.ended()

    assert code == 1
    assert f"{path}: " in server.logged.text
    assert "malformed" in server.logged.text
    assert "put back what was there" in server.logged.text
    assert "Traceback" not in server.logged.text
    assert broken == path.read_bytes()
    assert set() == leaks(logs_of(deployment.server.data_dir), deployment.secrets)


def move_into_database(path: Path) -> None:
    """What SQLite does when the last connection is closed."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def break_behind_header(path: Path) -> bytes:
    """The first page is whole, nothing behind it is."""
    data = path.read_bytes()
    broken = data[:4096] + b"\xa5" * (len(data) - 4096)
    path.write_bytes(broken)
    return broken
