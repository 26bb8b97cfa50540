"""A disk that is full while events come in and deliveries go out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from faults.invariants import reckon
from faults.small_disk import SmallDisk, small_disk
from faults.subject import owing
from outrider.testing.receiver import Answer, Receiver
from system.api import ApiError
from system.server import Server

PAYLOAD = "x" * 20_000
LITTLE = 3 * 1024 * 1024
SLOW = Answer(delay=0.05)
IN_FLIGHT = 64


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk."""
    with small_disk(tmp_path / "disk", mebibytes=48) as found:
        yield found


@pytest.mark.timeout(120)
async def test_a_full_disk_refuses_and_loses_nothing_and_recovers(disk: SmallDisk):
    """
    It happens at night: what was promised is kept, what cannot be kept is not promised.
    """
    with ExitStack() as ends:
        async with Receiver(lambda _: SLOW) as receiver:
            server = Server(disk.root / "data")
            ends.callback(server.kill)
            subject = await owing(await server.ready(), receiver)
            disk.fill(all_but=LITTLE)
            refused_ids, refusal = await fill_up(subject)
            before = len(subject.answered)
            # Deliveries end meanwhile, and nobody can write that down.
            failed = await server.logs("worker.poll_failed", within=20)
            disk.make_room()
            results = await subject.publish(refused_ids, PAYLOAD)
            await subject.feed(200)
            reckoning = await reckon(subject, most_repeated=2 * IN_FLIGHT)

    assert before >= LITTLE / len(PAYLOAD) / 10
    assert (503, "unavailable") == (refusal.status, refusal.error["code"])
    assert refusal.error["message"] == "the store's disk is full: nothing of this call was stored"
    assert "the store's disk is full" in failed["exception"]
    assert not any(result.get("duplicate") for result in results)
    assert len(subject.answered) == len(reckoning.attempts)


async def fill_up(subject) -> tuple[list[str], ApiError]:
    """Publish until nothing goes in any more; return what was refused, and how."""
    async with asyncio.timeout(30):
        while True:
            ids = subject.new_ids(5)
            try:
                await subject.publish(ids, PAYLOAD)
            except ApiError as refused:
                return ids, refused
