"""Health, cross-origin requests, mounts and the life of the application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.asgi_client import ApiClient, in_process
from api.sample import OWNER, Lines, sample_app, sample_client
from api.wires import HttpRequest, Wire, result_of
from outrider.api.asgi.lifespan import LifespanApp
from outrider.api.asgi.types import App
from outrider.api.endpoints.health import Readiness
from outrider.errors import Unavailable
from outrider_api.zitadel.action.v2.action_service_pb import GetTargetResponse

GET_TARGET = "/zitadel.action.v2.ActionService/GetTarget"
ORIGIN = {"origin": "https://app.example"}


@pytest.mark.parametrize("path", ["/healthz", "/debug/healthz"])
async def test_a_living_process_says_so_without_asking_other_parts(path: str):
    """
    A probe that asks the database restarts the process when the database is down.
    """

    async def broken() -> str | None:
        raise ZeroDivisionError

    response = await sample_client(ready=broken).exchange(HttpRequest("GET", path))
    assert (response.status, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/readyz", "/debug/ready"])
async def test_readiness_tells_the_reason(path: str):
    """
    The reader of a probe's answer should not need the log.
    """

    async def migrating() -> str | None:
        return "migrations are running"

    response = await sample_client(ready=migrating).exchange(HttpRequest("GET", path))
    expected = {"status": "not ready", "reason": "migrations are running"}
    assert (response.status, response.json()) == (503, expected)
    response = await sample_client().exchange(HttpRequest("GET", path))
    assert (response.status, response.json()) == (200, {"status": "ready"})


async def test_a_check_that_fails_means_not_ready_and_is_logged():
    """
    The exception's text is for the log; probes are open to every caller.
    """

    async def broken() -> str | None:
        raise ZeroDivisionError("postgres://user:password@host")

    log = Lines()
    response = await sample_client(log, ready=broken).exchange(HttpRequest("GET", "/readyz"))
    assert response.status == 503
    assert b"password" not in response.body
    assert [line["event"] for line in log.lines] == ["readiness.failed"]


async def test_an_unavailable_database_is_the_reason():
    """
    It is no bug: a line with a traceback for every probe would hide the others.
    """

    async def away() -> str | None:
        raise Unavailable("the database cannot be reached; try again")

    log = Lines()
    response = await sample_client(log, ready=away).exchange(HttpRequest("GET", "/readyz"))
    expected = {"status": "not ready", "reason": "the database cannot be reached; try again"}
    assert (response.status, response.json()) == (503, expected)
    assert [] == [line["event"] for line in log.lines]


async def test_a_check_that_hangs_means_not_ready():
    """
    A probe that never answers looks like a dead process.
    """

    async def hanging() -> str | None:
        await asyncio.Event().wait()

    readiness = Readiness(hanging, Lines(), seconds=0.01)
    response = await in_process(readiness)(HttpRequest("GET", "/readyz"))
    assert response.status == 503
    assert response.json()["reason"] == "the check took longer than 0.01 s"


async def test_a_preflight_is_answered_for_every_origin(client: ApiClient):
    """
    Browsers ask before they send a token; there is no token yet.
    """
    ask = ORIGIN | {"access-control-request-method": "POST"}
    for path in (GET_TARGET, "/v2/actions/targets"):
        response = await client.exchange(HttpRequest("OPTIONS", path, ask))
        assert (response.status, response.body) == (204, b"")
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        assert response.headers["access-control-allow-credentials"] == "true"
        assert response.headers["vary"] == "Origin"
        methods = response.headers["access-control-allow-methods"].split(", ")
        assert methods == ["OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
        asked = {"authorization", "content-type", "x-grpc-web", "connect-protocol-version"}
        allowed = response.headers["access-control-allow-headers"].lower().split(", ")
        assert asked <= set(allowed)


async def test_a_page_may_read_answers_and_errors(client: ApiClient):
    """
    gRPC-Web keeps its status in headers, which a page sees only when they are exposed.
    """
    headers = OWNER | ORIGIN
    for path in ("/v2/actions/targets/1", "/v2/actions/targets/missing", "/nowhere"):
        response = await client.exchange(HttpRequest("GET", path, headers))
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        assert "Grpc-Status" in response.headers["access-control-expose-headers"]


async def test_without_an_origin_nothing_is_said_about_origins(client: ApiClient):
    """
    Servers are no browsers.
    """
    response = await client.exchange(HttpRequest("GET", "/v2/actions/targets/1", OWNER))
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_options_without_a_question_is_a_method_like_others(client: ApiClient):
    """
    Only a preflight is answered without a token.
    """
    response = await client.exchange(HttpRequest("OPTIONS", "/v2/actions/targets", ORIGIN))
    assert (response.status, response.headers["allow"]) == (405, "POST")


async def hello(scope, _receive, send) -> None:
    """An application mounted next to the API."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def deeper(_scope, _receive, send) -> None:
    """Another one, further down the same path."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_a_mount_gets_its_paths_and_no_cross_origin_headers():
    """
    What knows its users by a cookie must not be read by other origins.
    """
    exchange = in_process(sample_app(Lines(), mounts={"/ui/": hello, "/ui/deep/": deeper}))
    response = await exchange(HttpRequest("GET", "/ui/page", ORIGIN))
    assert response.body == b"/ui/page"
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert (await exchange(HttpRequest("GET", "/ui/deep/page"))).status == 204
    assert (await exchange(HttpRequest("GET", "/uix"))).status == 404


class Server:
    """The server's side of the lifespan protocol."""

    def __init__(self, *messages: str) -> None:
        self._messages = list(messages)
        self.sent: list[dict] = []

    async def receive(self) -> dict:
        return {"type": self._messages.pop(0)}

    async def send(self, message: dict) -> None:
        self.sent.append(message)


async def test_an_application_is_opened_and_closed_with_its_server():
    """
    The store opens before the first request, and closes after the last.
    """
    moments: list[str] = []

    @asynccontextmanager
    async def open_app() -> AsyncIterator[App]:
        moments.append("started")
        yield sample_app(Lines())
        moments.append("stopped")

    server = Server("lifespan.startup", "lifespan.shutdown")
    await LifespanApp(open_app)({"type": "lifespan"}, server.receive, server.send)
    assert moments == ["started", "stopped"]
    assert [message["type"] for message in server.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_a_start_that_fails_is_reported_and_raised():
    """
    A server that starts half-working is worse than one that does not start.
    """

    @asynccontextmanager
    async def open_app() -> AsyncIterator[App]:
        raise ZeroDivisionError("no disk")
        yield

    server = Server("lifespan.startup")
    with pytest.raises(ZeroDivisionError):
        await LifespanApp(open_app)({"type": "lifespan"}, server.receive, server.send)
    assert server.sent == [{"type": "lifespan.startup.failed", "message": "no disk"}]


async def test_a_websocket_is_turned_away():
    """
    This protocol is not spoken here.
    """
    server = Server()
    await sample_app(Lines())({"type": "websocket"}, server.receive, server.send)
    assert server.sent == [{"type": "websocket.close"}]


async def test_a_client_that_leaves_cancels_its_call(log: Lines):
    """
    No caller waits for the answer; a handler that continued would work in vain.
    """
    body = [{"type": "http.request", "body": b"{}"}, {"type": "http.disconnect"}]
    sent: list[dict] = []

    async def receive() -> dict:
        return body.pop(0) if body else await asyncio.Future()

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"authorization", b"Bearer owner")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v2/actions/targets/search",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }
    await sample_app(log)(scope, receive, send)
    assert log.lines[-1]["code"] == "canceled"
    assert sent[0]["status"] == 499


async def test_a_server_that_never_waits_does_not_keep_the_loop_busy(log: Lines):
    """
    pyvoy answers immediately with another empty end of the body; watching it would never yield.
    """
    asked = 0

    async def receive() -> dict:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"connect-timeout-ms", b"50"), (b"authorization", b"Bearer owner")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v2/actions/targets/search",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }
    await sample_app(log)(scope, receive, Server().send)
    assert log.lines[-1]["code"] == "deadline_exceeded"
    assert asked < 5


async def test_a_client_that_leaves_within_its_body_is_forgotten(log: Lines):
    """
    There is no caller to answer, and nothing went wrong.
    """

    async def receive() -> dict:
        return {"type": "http.disconnect"}

    async def send(_message: dict) -> None:
        raise OSError("the client has left")

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v2/actions/targets",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"content-type", b"application/json"),
            (b"authorization", OWNER["authorization"].encode()),
        ],
    }
    await sample_app(log)(scope, receive, send)
    assert [(line["event"], line["code"]) for line in log.lines] == [("rpc.answered", "canceled")]


async def test_an_answer_is_compressed_for_those_who_ask(client: ApiClient):
    """
    Lists of targets are long; but REST answers are taken apart on the way and stay plain.
    """
    headers = OWNER | {"accept-encoding": "gzip", "content-type": "application/json"}
    body = json.dumps({"id": "x" * 200}).encode()
    response = await client.exchange(HttpRequest("POST", GET_TARGET, headers, body))
    assert response.headers["content-encoding"] == "gzip"
    response = await client.exchange(HttpRequest("GET", "/v2/actions/targets/1", headers))
    assert "content-encoding" not in response.headers
    assert result_of(Wire.REST, response, GetTargetResponse).code == "ok"
