"""A server that must not start on data that is there; when the trouble is over, nothing is missing."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from faults.invariants import reckon, rows_of
from faults.subject import Subject, owing
from outrider.testing.receiver import Answer, Receiver
from system.disk import change
from system.server import Server

EVENTS = 200
IN_FLIGHT = 64
# The first server's children have some seconds to end before a second one gives up.
REFUSED_WITHIN_S = 15.0
OTHER_KEY = base64.b64encode(bytes(32)).decode()


@dataclass(frozen=True)
class Trouble:
    """Why a server does not start; each does to `server`'s directory what it is named for."""

    says: str
    environ: Mapping[str, str] = field(default_factory=dict)

    def make(self, server: Server) -> None:
        """Let it happen."""

    def end(self, server: Server) -> None:
        """Let it be over."""


class Newer(Trouble):
    """The data was written by a newer release."""

    def make(self, server: Server) -> None:
        columns = "(version, name, applied_at)"
        change(
            server.data_dir, f"INSERT INTO schema_migrations {columns} VALUES (9999, 'later', 0)"
        )

    def end(self, server: Server) -> None:
        change(server.data_dir, "DELETE FROM schema_migrations WHERE version = 9999")


class KeyLost(Trouble):
    """The master key is not there."""

    def make(self, server: Server) -> None:
        (server.data_dir / "master.key").rename(server.data_dir.with_name("elsewhere"))

    def end(self, server: Server) -> None:
        server.data_dir.with_name("elsewhere").rename(server.data_dir / "master.key")


TROUBLES = [
    Newer("the data has schema version 9999"),
    KeyLost("master.key is missing"),
    Trouble("the master key does not open", {"OUTRIDER_MASTER_KEY": OTHER_KEY}),
]


@pytest.mark.timeout(120)
async def test_what_is_owed_survives_starts_that_are_refused(launch):
    """
    A wrong deploy changes nothing: with the right one everything goes on, and every signature holds.
    """
    held = asyncio.Event()
    async with Receiver(lambda _: Answer(hang_until=held)) as receiver:
        subject = await owing(await launch().ready(), receiver)
        await subject.feed(EVENTS)
        subject.server.kill()
        for trouble in TROUBLES:
            await is_refused(launch, subject, trouble)
        subject.server = await launch().ready()
        held.set()
        reckoning = await reckon(subject, most_repeated=IN_FLIGHT)

    assert EVENTS == len(reckoning.attempts)


async def is_refused(launch, subject: Subject, trouble: Trouble) -> None:
    """A server does not start in this trouble, says why, and leaves everything as it is."""
    trouble.make(subject.server)
    before = stored(subject)
    refused = launch(environ=trouble.environ)
    code = await refused.ended()

    assert 1 == code
    assert trouble.says in refused.logged.text
    assert "Traceback" not in refused.logged.text
    assert OTHER_KEY not in refused.logged.text
    assert before == stored(subject)
    trouble.end(subject.server)


def stored(subject: Subject) -> list[tuple[object, ...]]:
    """Every delivery as it lies there."""
    return rows_of(subject.server.data_dir)("SELECT * FROM deliveries ORDER BY id")


async def test_a_second_server_on_the_directory_delivers_nothing(launch):
    """
    Two that share a queue without knowing each other would deliver twice.
    """
    async with Receiver(lambda _: Answer(delay=0.05)) as receiver:
        subject = await owing(await launch().ready(), receiver)
        feeding = asyncio.create_task(subject.feed(4 * EVENTS))
        await receiver.wait_for(EVENTS)
        second = launch()
        code = await second.ended(within=REFUSED_WITHIN_S)
        await feeding
        reckoning = await reckon(subject, most_repeated=0)

    assert 1 == code
    assert f"{subject.server.data_dir} is in use by another outrider" in second.logged.text
    assert 0 == reckoning.lost
    assert 4 * EVENTS == len(reckoning.attempts)
