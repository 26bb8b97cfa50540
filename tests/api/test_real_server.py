"""The same answers through the real server, from third-party clients."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from api.asgi_client import ApiClient, at
from api.sample import OWNER
from api.wires import HttpRequest, Wire
from outrider.server.envoy_config import ApiServer
from outrider_api.zitadel.action.v2.action_service_connect import ActionService
from outrider_api.zitadel.action.v2.action_service_pb import (
    GetTargetRequest,
    GetTargetResponse,
    ListTargetsRequest,
    ListTargetsResponse,
)
from outrider_api.zitadel.action.v2.target_pb import Target

ACTIONS = ActionService.desc()
TARGETS = "/v2/actions/targets"
every_wire = pytest.mark.parametrize("wire", list(Wire), ids=str)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def running() -> AsyncIterator[str]:
    """The sample behind pyvoy, at its base URL."""
    async with ApiServer("api.real_app:app", lifespan=True, worker_threads=1) as server:
        yield f"http://127.0.0.1:{server.listener_port}"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def base_url() -> AsyncIterator[str]:
    """One server for the module: it takes a second to start."""
    async with running() as url:
        yield url


@pytest.fixture
def client(base_url: str) -> ApiClient:
    """A caller of the server."""
    return at(base_url)


@every_wire
async def test_a_call_is_answered(client: ApiClient, wire: Wire):
    """
    All protocols share one port; gRPC comes over HTTP/2 without TLS.
    """
    request = GetTargetRequest(id="7")
    result = await client.call(wire, ACTIONS, "GetTarget", request, GetTargetResponse, OWNER)
    assert result.message == GetTargetResponse(target=Target(id="7", name="name"))


@every_wire
async def test_an_error_arrives_whole(client: ApiClient, wire: Wire):
    """
    Texts with umlauts and line breaks travel in headers and trailers on some wires.
    """
    request = GetTargetRequest(id="umlaut")
    result = await client.call(wire, ACTIONS, "GetTarget", request, GetTargetResponse, OWNER)
    expected = ("not_found", "Zürich: 50% “nicht” da\n (ID-ä)", "ID-ä")
    assert expected == (result.code, result.text, result.detail_id)


@every_wire
async def test_a_stranger_is_turned_away(client: ApiClient, wire: Wire):
    """
    The header passes through the server on every wire.
    """
    request = GetTargetRequest(id="1")
    result = await client.call(wire, ACTIONS, "GetTarget", request, GetTargetResponse)
    assert (result.code, result.text) == ("unauthenticated", "auth header missing")


@every_wire
async def test_a_deadline_is_kept(client: ApiClient, wire: Wire):
    """
    A handler that hangs must not keep the connection.
    """
    header = "connect-timeout-ms" if wire.startswith("connect") else "grpc-timeout"
    value = "50" if wire.startswith("connect") else "50m"
    result = await client.call(
        wire,
        ACTIONS,
        "ListTargets",
        ListTargetsRequest(),
        ListTargetsResponse,
        OWNER | {header: value},
    )
    assert result.code == "deadline_exceeded"


async def test_zitadels_own_client_is_answered(base_url: str):
    """
    It speaks Connect with JSON and builds its models from the whole contract.
    """
    assert await asyncio.to_thread(ask_with_zitadels_client, base_url) == "7 name\n"


@pytest.mark.parametrize("path", ["%FF", "a%C0%80", "%ED%A0%80"])
async def test_a_path_that_cannot_be_decoded_is_refused(client: ApiClient, path: str):
    """
    The server itself would leave the caller waiting for ever.
    """
    response = await client.exchange(HttpRequest("GET", f"{TARGETS}/{path}", OWNER))
    assert (response.status, response.json()["code"]) == (400, "invalid_argument")


async def test_an_encoded_slash_belongs_to_the_id(client: ApiClient):
    """
    The server hands over the path as it was sent.
    """
    response = await client.exchange(HttpRequest("GET", f"{TARGETS}/a%2Fb", OWNER))
    assert response.json()["target"]["id"] == "a/b"


async def test_a_large_body_is_refused_before_it_has_come(base_url: str):
    """
    The announced length is enough.
    """
    head = f"POST {TARGETS} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n"
    answer = await asyncio.to_thread(raw, base_url, head.encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"request is larger than" in answer


async def test_grpc_over_http1_is_refused_in_headers(base_url: str):
    """
    The server announces trailers there and then loses them.
    """
    head = (
        f"POST /{ACTIONS.type_name}/GetTarget HTTP/1.1\r\nhost: x\r\n"
        "content-type: application/grpc\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0"
    )
    answer = await asyncio.to_thread(raw, base_url, head.encode())
    assert b"grpc-status: 12" in answer


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_what_callers_read_about_the_api_is_served(client: ApiClient, path: str):
    """
    The server writes some headers itself, and must leave those of an answer without a body alone.
    """
    full = await client.exchange(HttpRequest("GET", path))
    head = await client.exchange(HttpRequest("HEAD", path))
    again = await client.exchange(HttpRequest("GET", path, {"if-none-match": full.headers["etag"]}))
    assert (200, 200, 304) == (full.status, head.status, again.status)
    assert str(len(full.body)) == head.headers["content-length"]
    assert (b"", b"") == (head.body, again.body)


async def test_the_page_names_the_address_that_it_came_from(client: ApiClient, base_url: str):
    """
    Its commands are there to be copied.
    """
    page = await client.exchange(HttpRequest("GET", "/docs"))
    assert f"curl {base_url}/healthz".encode() in page.body


ASK = """
import sys
from zitadel_client import Zitadel
from zitadel_client.models import ActionServiceGetTargetRequest as Request
with Zitadel.with_access_token(sys.argv[1], "owner") as client:
    target = client.actions.get_target(Request(id="7")).target
print(target.id, target.name)
"""


def ask_with_zitadels_client(base_url: str) -> str:
    """GetTarget through the package that ZITADEL publishes, in its own process.

    What it imports warns about deprecations, which only their owners can fix.
    """
    done = subprocess.run(
        [sys.executable, "-c", ASK, base_url], capture_output=True, text=True, check=True
    )
    return done.stdout


def raw(base_url: str, data: bytes) -> bytes:
    """The first piece of the server's answer to these bytes."""
    host, _, port = base_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(data)
        return connection.recv(65536)
