"""HTTP/1.0: what health probes of older balancers and older nginx speak, with and without `Host`."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass

import pytest

from api.asgi_client import ApiClient, at
from api.sample import OWNER
from api.test_real_server import base_url
from api.wires import HttpRequest
from outrider.server.envoy_config import ApiServer, connection_managers

__all__ = ["base_url"]  # the fixture: one server for the module

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTHORIZATION = f"Authorization: {OWNER['authorization']}\r\n"
GET_TARGET = "/zitadel.action.v2.ActionService/GetTarget"
BODY = '{"id":"7"}'
JSON = "Content-Type: application/json\r\n"
ANSWER = '{"target":{"id":"7","name":"name"}}'


@dataclass(frozen=True)
class Answer:
    """What came until the server closed the connection."""

    line: str
    head: str
    body: str

    @property
    def status(self) -> int:
        return int(self.line.split()[1])


def until_closed(base_url: str, request: str) -> Answer:
    host, _, port = base_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return Answer(head.partition("\r\n")[0], head.lower(), body)


async def ask(base_url: str, request: str) -> Answer:
    return await asyncio.to_thread(until_closed, base_url, request)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("host", ["", "Host: 10.0.0.7\r\n"], ids=["without Host", "with Host"])
async def test_a_probe_is_answered_and_the_connection_closed(base_url: str, method: str, host: str):
    """
    Without `Connection: keep-alive` a caller of 1.0 takes the end of the connection for that of the answer.
    """
    answer = await ask(base_url, f"{method} /healthz HTTP/1.0\r\n{host}\r\n")

    assert "HTTP/1.0 200 OK" == answer.line
    assert "\r\nconnection: close" in answer.head
    assert ("" if method == "HEAD" else '{"status": "ok"}') == answer.body


@pytest.mark.parametrize(
    "request_text",
    [
        f"GET /v2/actions/targets/7 HTTP/1.0\r\n{AUTHORIZATION}\r\n",
        (
            f"POST {GET_TARGET} HTTP/1.0\r\nHost: api.example\r\nConnection: close\r\n{AUTHORIZATION}"
            f"{JSON}Content-Length: {len(BODY)}\r\n\r\n{BODY}"
        ),
        (
            f"POST {GET_TARGET} HTTP/1.0\r\n{AUTHORIZATION}{JSON}Transfer-Encoding: chunked\r\n\r\n"
            f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"
        ),
    ],
    ids=["REST", "Connect, as nginx proxies", "chunked"],
)
async def test_a_call_is_answered_without_chunks(base_url: str, request_text: str):
    """
    Readers of 1.0 do not know chunks; nginx passes bodies on in both ways.
    """
    answer = await ask(base_url, request_text)

    assert 200 == answer.status
    assert "transfer-encoding" not in answer.head
    assert ANSWER == answer.body


async def test_a_connection_is_kept_for_a_caller_that_asks(base_url: str):
    """
    Then the answer says so, and where its body ends.
    """
    kept = "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    answer = await ask(base_url, kept + "GET /healthz HTTP/1.0\r\n\r\n")

    assert "\r\nconnection: keep-alive" in answer.head
    assert "\r\ncontent-length: 16" in answer.head
    first, _, second = answer.body.partition("HTTP/1.0 200 OK\r\n")
    assert '{"status": "ok"}' == first
    assert second.endswith('\r\nconnection: close\r\n\r\n{"status": "ok"}')


async def test_grpc_says_what_it_needs(base_url: str):
    """
    As over 1.1, in headers.
    """
    request = f"POST {GET_TARGET} HTTP/1.0\r\nContent-Type: application/grpc\r\n{AUTHORIZATION}"
    answer = await ask(base_url, f"{request}Content-Length: 5\r\n\r\n\0\0\0\0\0")

    assert "\r\ngrpc-status: 12" in answer.head


async def test_a_page_without_a_host_names_no_address(base_url: str):
    """
    The stand-in for an absent `Host` is no address to which a client could connect.
    """
    answer = await ask(base_url, "GET /docs HTTP/1.0\r\n\r\n")

    assert 200 == answer.status
    assert not re.search(r"https?://~", answer.body)


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/docs", "/nowhere", "/v2/actions/targets/7"]
)
async def test_the_answer_to_head_has_no_body(base_url: str, path: str):
    """
    Balancers probe with HEAD, and read what follows the head as the start of the next answer.
    """
    probe = f"HEAD {path} HTTP/1.1\r\nHost: x\r\n"
    answer = await ask(base_url, f"{probe}\r\n{probe}Connection: close\r\n\r\n")

    assert answer.line == answer.body.partition("\r\n")[0]
    assert answer.body.endswith("\r\n\r\n")
    assert 1 == answer.body.count("\r\n\r\n")


async def test_http_1_1_still_needs_a_host(base_url: str):
    """
    RFC 9112, 3.2: only 1.0 has an excuse.
    """
    assert 400 == (await ask(base_url, "GET /healthz HTTP/1.1\r\n\r\n")).status


async def test_other_versions_are_answered_as_before(base_url: str):
    """
    The option changes nothing for other callers.
    """
    client: ApiClient = at(base_url)
    response = await client.exchange(HttpRequest("GET", "/v2/actions/targets/7", OWNER))
    assert "7" == response.json()["target"]["id"]


async def test_every_listener_takes_it():
    """
    Also those with TLS, should the server get one.
    """
    server = ApiServer("a:b", tls_port=8443, tls_key=b"key", tls_cert=b"certificate")
    config = server.get_envoy_config()

    assert 3 == len(config["static_resources"]["listeners"])
    for manager in connection_managers(config):
        assert manager["http_protocol_options"]["accept_http_10"]
