"""A server that must not start on its data; when the fault is over, nothing is missing."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from faults.deployment import Deployment, deployment_of
from faults.invariants import check_invariants, rows_of
from outrider.testing.receiver import Answer, Receiver
from system.disk import change
from system.server import Server

EVENTS = 200
IN_FLIGHT = 64
# The first server's children have some seconds to end before a second one gives up.
REFUSED_WITHIN_S = 15.0
OTHER_KEY = base64.b64encode(bytes(32)).decode()


@dataclass(frozen=True)
class StartFault:
    """Why a server does not start; each does to `server`'s directory what it is named for."""

    message: str
    environ: Mapping[str, str] = field(default_factory=dict)

    def make(self, server: Server) -> None:
        """Cause it."""

    def end(self, server: Server) -> None:
        """Undo it."""


class NewerSchema(StartFault):
    """The data was written by a newer release."""

    def make(self, server: Server) -> None:
        columns = "(version, name, applied_at)"
        change(
            server.data_dir, f"INSERT INTO schema_migrations {columns} VALUES (9999, 'later', 0)"
        )

    def end(self, server: Server) -> None:
        change(server.data_dir, "DELETE FROM schema_migrations WHERE version = 9999")


class LostKey(StartFault):
    """The master key is not there."""

    def make(self, server: Server) -> None:
        (server.data_dir / "master.key").rename(server.data_dir.with_name("elsewhere"))

    def end(self, server: Server) -> None:
        server.data_dir.with_name("elsewhere").rename(server.data_dir / "master.key")


FAULTS = [
    NewerSchema("the data has schema version 9999"),
    LostKey("master.key is missing"),
    StartFault("the master key does not open", {"OUTRIDER_MASTER_KEY": OTHER_KEY}),
]


async def test_pending_deliveries_survive_refused_starts(launch):
    """
    A wrong deploy changes nothing: with the right one everything continues, and every signature holds.
    """
    released = asyncio.Event()
    async with Receiver(lambda _: Answer(hang_until=released)) as receiver:
        deployment = await deployment_of(await launch().ready(), receiver)
        await deployment.feed(EVENTS)
        deployment.server.kill()
        for fault in FAULTS:
            await is_refused(launch, deployment, fault)
        deployment.server = await launch().ready()
        released.set()
        report = await check_invariants(deployment, most_repeated=IN_FLIGHT)

    assert EVENTS == len(report.attempts)


async def is_refused(launch, deployment: Deployment, fault: StartFault) -> None:
    """A server does not start with this fault, says why, and leaves everything as it is."""
    fault.make(deployment.server)
    before = stored(deployment)
    refused = launch(environ=fault.environ)
    code = await refused.ended()

    assert 1 == code
    assert fault.message in refused.logged.text
    assert "Traceback" not in refused.logged.text
    assert OTHER_KEY not in refused.logged.text
    assert before == stored(deployment)
    fault.end(deployment.server)


def stored(deployment: Deployment) -> list[tuple[object, ...]]:
    """Every delivery as it is stored."""
    return rows_of(deployment.server.data_dir)("SELECT * FROM deliveries ORDER BY id")


async def test_a_second_server_on_the_directory_delivers_nothing(launch):
    """
    Two that share a queue without knowing each other would deliver twice.
    """
    async with Receiver(lambda _: Answer(delay=0.05)) as receiver:
        deployment = await deployment_of(await launch().ready(), receiver)
        feeding = asyncio.create_task(deployment.feed(4 * EVENTS))
        await receiver.wait_for(EVENTS)
        second = launch()
        code = await second.ended(within=REFUSED_WITHIN_S)
        await feeding
        report = await check_invariants(deployment, most_repeated=0)

    assert 1 == code
    assert f"{deployment.server.data_dir} is in use by another outrider" in second.logged.text
    assert 0 == report.lost
    assert 4 * EVENTS == len(report.attempts)
