"""A disk that is full while events come in and deliveries go out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from faults.deployment import deployment_of
from faults.invariants import check_invariants
from faults.small_disk import SmallDisk, small_disk
from outrider.testing.receiver import Answer, Receiver
from system.api import Api, ApiError
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


async def test_a_full_disk_refuses_and_loses_nothing_and_recovers(disk: SmallDisk):
    """
    It happens at night: what was promised is kept, what cannot be kept is not promised.
    """
    with ExitStack() as ends:
        async with Receiver(lambda _: SLOW) as receiver:
            server = Server(disk.root / "data")
            ends.callback(server.kill)
            deployment = await deployment_of(await server.ready(), receiver)
            disk.fill(all_but=LITTLE)
            refused_ids, refusal = await fill_up(deployment)
            before = len(deployment.answered)
            # Deliveries end meanwhile, and the store cannot record that.
            failed = await server.logs("worker.poll_failed", within=60)
            disk.empty()
            results = await deployment.publish(refused_ids, PAYLOAD)
            await deployment.feed(200)
            report = await check_invariants(deployment, most_repeated=2 * IN_FLIGHT)

    assert before >= LITTLE / len(PAYLOAD) / 10
    assert (503, "unavailable") == (refusal.status, refusal.error["code"])
    assert refusal.error["message"] == "the store's disk is full: nothing of this call was stored"
    assert "the store's disk is full" in failed["reason"]
    assert not any(result.get("duplicate") for result in results)
    assert len(deployment.answered) == len(report.attempts)


async def test_a_server_whose_disk_is_full_is_not_ready_until_it_has_space(disk: SmallDisk):
    """
    A balancer continues to send calls to a server that reports that it is ready, and every one is refused.
    """
    with ExitStack() as ends:
        server = Server(disk.root)
        ends.callback(server.kill)
        api = (await server.ready()).api
        before = await readiness(api)
        disk.fill(all_but=0)
        full = await readiness_until(api, 503)
        health = await api.post("/grpc.health.v1.Health/Check", {})
        disk.empty()
        recovered = await readiness_until(api, 200)

    assert (200, {"status": "ready"}) == before
    assert {"status": "not ready", "reason": "the store's disk is full"} == full
    assert {"status": "NOT_SERVING"} == health
    assert {"status": "ready"} == recovered


@pytest.mark.parametrize("free", [0, 40_000, 300_000])
async def test_a_start_on_a_full_disk_says_so(disk: SmallDisk, free: int):
    """
    SQLite calls it "disk I/O error", after which an operator looks for a broken disk.
    """
    disk.fill(all_but=free)
    refused = Server(disk.root)
    code = await refused.ended()
    disk.empty()
    with ExitStack() as ends:
        server = Server(disk.root)
        ends.callback(server.kill)
        await server.ready()

    assert 1 == code
    assert "Traceback" not in refused.logged.text
    assert "make room on the disk, or choose another --data-dir" in refused.logged.text
    assert str(disk.root) in refused.logged.text


async def readiness(api: Api) -> tuple[int, dict[str, str]]:
    """What `/readyz` answers."""
    try:
        return 200, await api.get("/readyz")
    except ApiError as refused:
        return refused.status, refused.error


async def readiness_until(api: Api, status: int) -> dict[str, str]:
    """Ask until it answers with this status."""
    async with asyncio.timeout(90):
        while True:
            found, answer = await readiness(api)
            if found == status:
                return answer


async def fill_up(deployment) -> tuple[list[str], ApiError]:
    """Publish until nothing goes in any more; return what was refused, and how."""
    async with asyncio.timeout(90):
        while True:
            ids = deployment.new_ids(5)
            try:
                await deployment.publish(ids, PAYLOAD)
            except ApiError as refused:
                return ids, refused
