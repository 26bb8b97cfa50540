"""A server whose database becomes unavailable and recovers: what probes and balancers see."""

from __future__ import annotations

import asyncio
import json

from outrider.cli.remote import probe
from support.postgres import postgres_server

PASSWORD = "hunter2-secret"


async def test_a_server_without_its_database_is_not_ready_and_recovers(launch):
    """
    A balancer sends requests to other nodes meanwhile; the process need not be restarted.
    """
    with postgres_server() as database:
        url = database.url().replace("postgres@", f"postgres:{PASSWORD}@")
        server = await launch(environ={"OUTRIDER_DATABASE_URL": url}).ready()

        async def probed(path: str) -> tuple[int, dict[str, str]]:
            answer = await asyncio.to_thread(probe.get, f"{server.url}{path}")
            return answer.status, json.loads(answer.text)

        before = await probed("/readyz")
        await asyncio.to_thread(database.kill)
        unavailable, alive = await probed("/readyz"), await probed("/healthz")
        await asyncio.to_thread(database.start)
        back = await probed("/readyz")
        published = await server.api.publish("database.is.back", ["event-1"])
        assert 0 == await server.stop()

    assert ((200, {"status": "ready"}), (200, {"status": "ready"})) == (before, back)
    reason = "the database cannot be reached; try again"
    assert (503, {"status": "not ready", "reason": reason}) == unavailable
    assert (200, {"status": "ok"}) == alive
    assert 1 == len(published)
    assert PASSWORD not in server.logged.text + server.output.text
