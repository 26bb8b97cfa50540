"""`outrider.v1.TunnelService` on the wire: who gets calls, for how long, and what may be answered."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from api.asgi_client import Connection, in_process
from api.sample import Lines
from api.wires import HttpRequest
from outrider.adapters.tunnel.unix_socket import UnixTunnelClient, UnixTunnelSockets
from outrider.api.app import build_app
from outrider.api.rpc.service import serve
from outrider.api.services.outrider.tunnels import TunnelHandlers
from outrider.domain.access.permission import Actor, Role
from outrider.domain.calls.request import OutboundRequest
from outrider.domain.ids import AccountId, InstanceId
from outrider.domain.targets.tunnel import ReverseTunnel
from outrider.errors import Unauthenticated
from outrider.runtime import Runtime
from outrider.usecases.targets.tunnels import TunnelRegistry
from outrider_api.outrider.v1.tunnel_service_connect import (
    TunnelService,
    TunnelServiceASGIApplication,
)

ADA = ReverseTunnel(InstanceId("7"), "ada")
SERVICE = "/outrider.v1.TunnelService"


class Tokens:
    """One token, which may be revoked, or its account's role taken away."""

    role: Role | None = Role.IAM_OWNER

    async def authenticate(self, _host: str, authorization: str | None) -> Actor:
        if authorization != "Bearer owner" or self.role is None:
            raise Unauthenticated("no")
        return Actor(ADA.instance, AccountId("1"), frozenset({self.role}))


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def stopping() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def app(tmp_path: Path, tokens: Tokens, stopping: asyncio.Event):
    log = Lines()
    tunnels = TunnelRegistry(UnixTunnelSockets(tmp_path), Runtime())
    handlers = TunnelHandlers(tunnels, tokens.authenticate, stopping, alive_every_s=0.02)

    async def ready() -> None:
        return None

    application = TunnelServiceASGIApplication
    services = [serve(application, handlers, TunnelService.desc(), tokens.authenticate, log)]
    return build_app(services, ready=ready, log=log)


class Stream(Connection):
    """A listener: what it is told, frame by frame."""

    def __init__(self, name: str) -> None:
        body = json.dumps({"name": name}).encode()
        headers = {"content-type": "application/connect+json", "authorization": "Bearer owner"}
        framed = struct.pack(">BI", 0, len(body)) + body
        super().__init__(HttpRequest("POST", f"{SERVICE}/Listen", headers, framed), trailers=True)
        self._frames: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    async def send(self, message: dict[str, object]) -> None:
        rest = message.get("body", b"")
        while rest:
            _, length = struct.unpack(">BI", rest[:5])
            self._frames.put_nowait(json.loads(rest[5 : 5 + length]))
            rest = rest[5 + length :]

    async def frame(self, matches: Callable[[dict[str, object]], object]) -> dict[str, object]:
        """The next one of this kind."""
        async with asyncio.timeout(20):
            while not matches(found := await self._frames.get()):
                pass
        return found

    async def error(self) -> dict[str, str]:
        """How it ends."""
        return (await self.frame(lambda frame: "error" in frame))["error"]


@asynccontextmanager
async def listening(app, name: str = "ada"):
    stream = Stream(name)
    task = asyncio.create_task(app(stream.scope, stream.receive, stream.send))
    try:
        yield stream
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_opened(frame: dict[str, object]) -> bool:
    return "endpoint" in frame


async def answer(app, **fields: object) -> tuple[int, dict[str, object]]:
    headers = {"content-type": "application/json", "authorization": "Bearer owner"}
    body = json.dumps({"name": "ada", "callId": "1", **fields}).encode()
    exchange = in_process(app)
    response = await exchange(HttpRequest("POST", f"{SERVICE}/AnswerCall", headers, body))
    return response.status, json.loads(response.body)


@pytest.mark.parametrize(
    ("role", "code"), [(None, "unauthenticated"), (Role.EVENT_PUBLISHER, "permission_denied")]
)
async def test_who_is_locked_out_gets_no_more_calls(tmp_path, app, tokens, role, code):
    """
    A stream lasts for days; a token that was revoked must not.
    """
    async with listening(app) as stream:
        opened = await stream.frame(is_opened)
        tokens.role = role
        error = await stream.error()

    assert {"endpoint": ADA.endpoint} == opened
    assert code == error["code"]
    assert [] == list((tmp_path / "tunnels").iterdir())


async def test_a_listener_hears_that_the_tunnel_is_alive_until_the_server_stops(app, stopping):
    """
    A laptop that was closed does not notice by itself that its connection is gone.
    """
    async with listening(app) as stream:
        await stream.frame(is_opened)
        await stream.frame(lambda frame: frame == {})
        stopping.set()
        error = await stream.error()

    assert "unavailable" == error["code"]


async def test_a_call_is_given_whole_and_its_answer_comes_back(tmp_path, app):
    """
    Path, headers, body and time-out: what the target would have got.
    """
    call = OutboundRequest(f"{ADA.endpoint}a?b=c", (("X-Is", "there"),), b"{}", 4.5)
    async with listening(app) as stream:
        await stream.frame(is_opened)
        asked = asyncio.create_task(UnixTunnelClient(tmp_path, "agent").send(ADA, call))
        given = (await stream.frame(lambda frame: "call" in frame))["call"]
        told = await answer(app, callId=given["id"], status=201, body="aGk=")
        answered = await asked

    assert ("/a?b=c", "4.500s", "e30=") == (given["target"], given["timeout"], given["body"])
    assert {"name": "X-Is", "value": "there"} in given["headers"]
    assert (200, {}) == told
    assert (201, b"hi") == (answered.status, answered.body)


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"status": 200}, "not_found", "call 1 has expired or was already answered"),
        ({"failure": "refused"}, "not_found", "call 1 has expired or was already answered"),
        ({"status": 99}, "invalid_argument", "Status"),
        ({"status": 600}, "invalid_argument", "Status"),
        ({"callId": "", "status": 200}, "invalid_argument", "CallId"),
        ({"failure": "x" * 501}, "invalid_argument", "Failure"),
    ],
)
async def test_what_answers_no_call_is_refused(app, fields, code, message):
    """
    Also the answer that comes after its time-out.
    """
    status, error = await answer(app, **fields)

    assert (404 if code == "not_found" else 400) == status
    assert code == error["code"]
    assert message in error["message"]


@pytest.mark.parametrize("name", ["", "A", "a.b"])
async def test_a_name_that_no_tunnel_has_is_refused(app, name):
    """
    With what a name is made of.
    """
    async with listening(app, name) as stream:
        error = await stream.error()

    assert "invalid_argument" == error["code"]
    assert "ListenRequest.Name" in error["message"]
