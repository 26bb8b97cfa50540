"""`outrider.v1.TunnelService` on the wire: who gets calls, for how long, and what may be answered."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path

import pytest

from api.asgi_client import Exchange, in_process
from api.sample import Lines
from api.wires import HttpRequest
from outrider.adapters.tunnel.doors import DoorCaller, SocketDoors
from outrider.ambient import Ambient
from outrider.api.app import build_app, serve
from outrider.api.connect.tunnels import TunnelHandlers
from outrider.domain.call import Call
from outrider.domain.ids import AccountId, InstanceId
from outrider.domain.permission import Actor, Role, require
from outrider.domain.tunnel import Tunnel
from outrider.errors import Unauthenticated
from outrider.usecases.tunnels import Tunnels
from outrider_api.outrider.v1.tunnel_service_connect import (
    TunnelService,
    TunnelServiceASGIApplication,
)

ADA = Tunnel(InstanceId("7"), "ada")
SERVICE = "/outrider.v1.TunnelService"


class Tokens:
    """One token, which may be revoked, or its account's role taken away."""

    role: Role | None = Role.IAM_OWNER

    async def authenticate(self, authorization: str | None, _authority: str) -> Actor:
        if authorization != "Bearer owner" or self.role is None:
            raise Unauthenticated("no")
        return Actor(ADA.instance, AccountId("1"), frozenset({self.role}))

    def require(self, actor: Actor, permission: str) -> None:
        require(actor, permission)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def stopping() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def exchange(tmp_path: Path, tokens: Tokens, stopping: asyncio.Event) -> Exchange:
    log = Lines()
    tunnels = Tunnels(SocketDoors(tmp_path), Ambient())
    handlers = TunnelHandlers(tunnels, tokens, stopping, alive_every_s=0.02)

    async def ready() -> None:
        return None

    application = TunnelServiceASGIApplication
    services = [serve(application, handlers, TunnelService.desc(), tokens, log)]
    return in_process(build_app(services, ready=ready, log=log))


async def listen(exchange: Exchange, name: str = "ada") -> list[dict[str, object]]:
    """Everything that the listener is told, with how it ends."""
    body = json.dumps({"name": name}).encode()
    headers = {"content-type": "application/connect+json", "authorization": "Bearer owner"}
    framed = struct.pack(">BI", 0, len(body)) + body
    response = await exchange(HttpRequest("POST", f"{SERVICE}/Listen", headers, framed))
    frames, rest = [], response.body
    while rest:
        _, length = struct.unpack(">BI", rest[:5])
        frames.append(json.loads(rest[5 : 5 + length]))
        rest = rest[5 + length :]
    return frames


async def answer(exchange: Exchange, **fields: object) -> tuple[int, dict[str, object]]:
    headers = {"content-type": "application/json", "authorization": "Bearer owner"}
    body = json.dumps({"name": "ada", "callId": "1", **fields}).encode()
    response = await exchange(HttpRequest("POST", f"{SERVICE}/AnswerCall", headers, body))
    return response.status, json.loads(response.body)


async def opened(tmp_path: Path) -> None:
    """Wait until somebody listens."""
    async with asyncio.timeout(10):
        while not (tmp_path / "tunnels" / "7.ada").exists():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("role", "code"), [(None, "unauthenticated"), (Role.EVENT_PUBLISHER, "permission_denied")]
)
async def test_who_is_locked_out_gets_no_more_calls(tmp_path, exchange, tokens, role, code):
    """
    A stream lasts for days; a token that was revoked must not.
    """
    listening = asyncio.create_task(listen(exchange))
    await opened(tmp_path)
    tokens.role = role

    first, *_, last = await asyncio.wait_for(listening, 10)

    assert {"endpoint": ADA.endpoint} == first
    assert code == last["error"]["code"]
    assert [] == list((tmp_path / "tunnels").iterdir())


async def test_a_listener_hears_that_the_tunnel_is_alive_until_the_server_stops(
    tmp_path, exchange, stopping
):
    """
    A laptop that was closed does not notice by itself that its connection is gone.
    """
    listening = asyncio.create_task(listen(exchange))
    await opened(tmp_path)
    await asyncio.sleep(0.1)
    stopping.set()

    frames = await asyncio.wait_for(listening, 10)

    assert {} in frames
    assert "unavailable" == frames[-1]["error"]["code"]


async def test_a_call_is_given_whole(tmp_path, exchange, stopping):
    """
    Path, headers, body and time-out: what the target would have got.
    """
    listening = asyncio.create_task(listen(exchange))
    await opened(tmp_path)
    call = Call(f"{ADA.endpoint}a?b=c", (("X-Is", "there"),), b"{}", 4.5)
    asked = asyncio.create_task(DoorCaller(tmp_path, "agent").post(ADA, call))
    await asyncio.sleep(0.1)
    stopping.set()

    given = next(each["call"] for each in await listening if "call" in each)
    asked.cancel()

    assert ("/a?b=c", "4.500s", "e30=") == (given["target"], given["timeout"], given["body"])
    assert {"name": "X-Is", "value": "there"} in given["headers"]


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"status": 200}, "not_found", "nobody waits"),
        ({"failure": "refused"}, "not_found", "nobody waits"),
        ({"status": 99}, "invalid_argument", "Status"),
        ({"status": 600}, "invalid_argument", "Status"),
        ({"callId": "", "status": 200}, "invalid_argument", "CallId"),
        ({"failure": "x" * 501}, "invalid_argument", "Failure"),
    ],
)
async def test_what_answers_no_call_is_refused(exchange, fields, code, says):
    """
    Also the answer that comes after its time-out.
    """
    status, error = await answer(exchange, **fields)

    assert (404 if code == "not_found" else 400) == status
    assert code == error["code"]
    assert says in error["message"]


@pytest.mark.parametrize("name", ["", "A", "a.b"])
async def test_a_name_that_no_tunnel_has_is_refused(exchange, name):
    """
    With what a name is made of.
    """
    (error,) = await listen(exchange, name)

    assert "invalid_argument" == error["error"]["code"]
    assert "ListenRequest.Name" in error["error"]["message"]
