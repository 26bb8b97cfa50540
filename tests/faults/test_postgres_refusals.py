"""PostgreSQL that answers and refuses writes: what callers, probes and the log of a server show."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import pwd
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import unquote, urlsplit

import grpc
import pytest

from faults.deployment import EVENT_TYPE, deployment_of
from faults.invariants import check_invariants
from faults.small_disk import small_disk
from outrider.testing.receiver import Answer, Receiver
from outrider_api.outrider.v1 import event_service_pb as pb
from support.postgres import PostgresServer
from support.refusing_database import Database, refusing_database
from system.api import Api, ApiError
from system.server import Server

METHOD = "/zitadel.session.v2.SessionService/ListSessions"
PROCEDURE = "/outrider.v1.EventService/PublishEvents"
READ_ONLY = "the database is read-only (SQLSTATE 25006)"
PAYLOAD = "x" * 20_000
IN_FLIGHT = 64


async def test_a_server_whose_database_became_read_only_says_so_and_recovers(
    launch: Callable[..., Server], database: PostgresServer
):
    """
    A primary that was demoted: 25006 on every wire, interceptions continue, one line in the log.
    """
    answer = Answer(body=json.dumps({"query": {"limit": 1}}).encode())
    async with Receiver() as receiver, Receiver(lambda _: answer) as changing:
        with refusing_database(database) as db:
            server = await launch(environ={"OUTRIDER_DATABASE_URL": db.url}).ready()
            deployment = await deployment_of(server, receiver)
            change = await server.api.create_target("change", changing.url, kind="restCall")
            body = {"condition": {"request": {"method": METHOD}}, "targets": [change.id]}
            await server.api.post("/v2/actions/executions", body, method="PUT")
            await deployment.feed(10)
            db.execute(
                "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"
            )
            try:
                unready = await readiness_until(server.api, 503)
                refused = await asyncio.gather(*(wire(server) for wire in WIRES))
                call = {"fullMethod": METHOD, "request": {"query": {"limit": 10}}}
                intercepted = await server.api.post("/v1/intercept/request", call)
                await server.logs("worker.poll_failed", within=20)
                await failed_commits(server, 12)
                lines = [line for line in server.log if line["event"].endswith("_failed")]
            finally:
                db.execute(
                    "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"
                )
            ready = await readiness_until(server.api, 200)
            recovered = await server.logs("store.recovered", within=20)
            await deployment.feed(10)
            report = await check_invariants(deployment, db.execute, most_repeated=2 * IN_FLIGHT)

    text = f"{READ_ONLY}: nothing of this call was stored"
    assert {"status": "not ready", "reason": READ_ONLY} == unready
    assert [("unavailable", text)] * len(WIRES) == refused
    assert {"query": {"limit": 1}} == intercepted["request"]
    assert ["worker.poll_failed"] == [line["event"] for line in lines]
    assert ("worker.poll_failed", True) == (recovered["activity"], recovered["failures"] > 2)
    assert "default_transaction_read_only" in lines[0]["reason"]
    assert "exception" not in lines[0]
    assert "Traceback" not in server.logged.text
    assert {"status": "ready"} == ready
    assert 20 == len(report.attempts)


async def test_a_database_whose_disk_is_full_refuses_and_loses_nothing_and_recovers(
    launch: Callable[..., Server], database: PostgresServer, tmp_path
):
    """
    53100: a tablespace on a small disk.
    """
    with ExitStack() as ends:
        disk = ends.enter_context(small_disk(open_directory(database), mebibytes=40))
        space = disk.root / "space"
        space.mkdir()
        give_away(disk.root, space)
        owner = Database(database, "postgres")
        owner.execute("DROP TABLESPACE IF EXISTS small")
        owner.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        ends.callback(owner.execute, "DROP TABLESPACE small")
        db = ends.enter_context(refusing_database(database, options="TABLESPACE small"))
        async with Receiver(lambda _: Answer()) as receiver:
            server = await launch(environ={"OUTRIDER_DATABASE_URL": db.url}).ready()
            deployment = await deployment_of(server, receiver)
            await deployment.feed(10)
            disk.fill(all_but=100_000)
            refused_ids, refusal = await fill_up(deployment)
            unready = await readiness_until(server.api, 503)
            disk.empty()
            ready = await readiness_until(server.api, 200)
            results = await deployment.publish(refused_ids, PAYLOAD)
            report = await check_invariants(deployment, db.execute, most_repeated=2 * IN_FLIGHT)
            server.kill()

    reason = "the store's disk is full (SQLSTATE 53100)"
    assert (503, "unavailable") == (refusal.status, refusal.error["code"])
    assert f"{reason}: nothing of this call was stored" == refusal.error["message"]
    assert {"status": "not ready", "reason": reason} == unready
    assert {"status": "ready"} == ready
    assert not any(result.get("duplicate") for result in results)
    assert len(deployment.answered) == len(report.attempts)
    assert "Traceback" not in server.logged.text


async def test_a_start_waits_for_a_database_that_is_read_only(
    launch: Callable[..., Server], database: PostgresServer
):
    """
    A fail-over may be running; the terminal shows what the start waits for.
    """
    with refusing_database(database) as db:
        db.execute("ALTER ROLE {role} SET default_transaction_read_only = on")
        server = launch(environ={"OUTRIDER_DATABASE_URL": db.url})
        line = await server.output.line(lambda text: "waiting for" in text, within=20)
        db.execute("ALTER ROLE {role} RESET default_transaction_read_only")
        await server.ready()

    assert READ_ONLY in line
    assert "Traceback" not in server.logged.text


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("ALTER ROLE {role} CONNECTION LIMIT 5", "CONNECTION LIMIT of the role leaves 5 of 5"),
        ("ALTER DATABASE {database} CONNECTION LIMIT 7", "CONNECTION LIMIT of the database leaves"),
        ("ALTER ROLE {role} CONNECTION LIMIT 0", "no connection left (SQLSTATE 53300)"),
        ("ALTER ROLE {role} NOLOGIN", "refuses the login of outrider's role (SQLSTATE 28000)"),
        ("REVOKE CREATE ON SCHEMA public FROM {role}, PUBLIC, pg_database_owner", "42501"),
    ],
)
async def test_a_start_that_cannot_succeed_says_why_immediately(
    launch: Callable[..., Server], database: PostgresServer, statement: str, expected: str
):
    """
    Without a traceback, and without the half minute in which a database may come up.
    """
    with refusing_database(database) as db:
        db.execute(statement)
        server = launch(environ={"OUTRIDER_DATABASE_URL": db.url})
        code = await server.ended(within=15)

    assert 1 == code
    assert expected in server.logged.text
    assert "Traceback" not in server.logged.text
    if "leaves" in expected:
        # The API and one worker, four each.
        assert "and 8 are needed" in server.logged.text
        assert "max_connections" in server.logged.text


async def readiness_until(api: Api, status: int) -> dict[str, str]:
    """Ask `/readyz` until it answers with this status."""
    async with asyncio.timeout(30):
        while True:
            try:
                found, answer = 200, await api.get("/readyz")
            except ApiError as refused:
                found, answer = refused.status, refused.error
            if found == status:
                return answer
            await asyncio.sleep(0.05)


async def failed_commits(server: Server, least: int) -> None:
    """Wait until the server's processes have failed to commit so often."""

    def count() -> float:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {server.token}"})
        text = connection.getresponse().read().decode()
        connection.close()
        name = 'outrider_store_commits_total{result="failed"} '
        return sum(float(line.removeprefix(name)) for line in text.splitlines() if name in line)

    async with asyncio.timeout(30):
        while await asyncio.to_thread(count) < least:
            await asyncio.sleep(0.1)


async def fill_up(deployment) -> tuple[list[str], ApiError]:
    """Publish until nothing goes in any more; return what was refused, and how."""
    async with asyncio.timeout(60):
        while True:
            ids = deployment.new_ids(5)
            try:
                await deployment.publish(ids, PAYLOAD)
            except ApiError as refused:
                return ids, refused


def open_directory(database: PostgresServer):
    """Where the server's user may go: next to its data."""
    return database._directory / "disk"


def give_away(*paths) -> None:
    if os.geteuid() == 0:
        entry = pwd.getpwnam("nobody")
        for path in paths:
            os.chown(path, entry.pw_uid, entry.pw_gid)


EVENT = {"id": "refused", "eventType": EVENT_TYPE}
REQUEST = pb.PublishEventsRequest.from_json(json.dumps({"events": [EVENT]}).encode()).to_binary()
FRAMED = b"\0" + len(REQUEST).to_bytes(4, "big") + REQUEST


def answered(server: Server, path: str, kind: str, body: bytes, **headers: str) -> tuple[Any, Any]:
    """Headers and body of the answer."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": kind, **headers}
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.headers, response.read()
    finally:
        connection.close()


async def by_json(server: Server, path: str = PROCEDURE, body: Any = None) -> tuple[str, str]:
    text = json.dumps(body or {"events": [EVENT]}).encode()
    _, answer = await asyncio.to_thread(answered, server, path, "application/json", text)
    error = json.loads(answer)
    return error["code"], error["message"]


async def by_rest(server: Server) -> tuple[str, str]:
    return await by_json(server, "/v1/events")


async def by_cloud_event(server: Server) -> tuple[str, str]:
    event = {"specversion": "1.0", "id": "refused", "source": "/here", "type": EVENT_TYPE}
    kind, text = "application/cloudevents+json", json.dumps(event).encode()
    _, answer = await asyncio.to_thread(answered, server, "/v1/events", kind, text)
    error = json.loads(answer)
    return error["code"], error["message"]


async def by_proto(server: Server) -> tuple[str, str]:
    _, answer = await asyncio.to_thread(answered, server, PROCEDURE, "application/proto", REQUEST)
    error = json.loads(answer)
    return error["code"], error["message"]


async def by_grpc_web(server: Server) -> tuple[str, str]:
    kind = "application/grpc-web+proto"
    headers, answer = await asyncio.to_thread(answered, server, PROCEDURE, kind, FRAMED)
    trailers = dict(
        line.split(": ", 1) if ": " in line else line.split(":", 1)
        for line in answer[5:].decode().splitlines()
        if ":" in line
    )
    status = {**{name.lower(): value for name, value in headers.items()}, **trailers}
    code = grpc.StatusCode.UNAVAILABLE.value[0]
    assert str(code) == status["grpc-status"]
    return "unavailable", unquote(status["grpc-message"])


async def by_grpc(server: Server) -> tuple[str, str]:
    host, port = server.address

    def call() -> tuple[str, str]:
        with grpc.insecure_channel(f"{host}:{port}") as channel:
            publish = channel.unary_unary(PROCEDURE, lambda data: data, lambda data: data)
            metadata = [("authorization", f"Bearer {server.token}")]
            with pytest.raises(grpc.RpcError) as refused:
                publish(REQUEST, metadata=metadata, timeout=20)
            return refused.value.code().name.lower(), refused.value.details()

    return await asyncio.to_thread(call)


WIRES = (by_json, by_rest, by_proto, by_grpc, by_grpc_web, by_cloud_event)
