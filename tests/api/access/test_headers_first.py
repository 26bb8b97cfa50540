"""Who calls is found out from the headers: no byte of a body is read before, on no wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from protobuf import DescMethod

from api.asgi_client import Connection
from api.calls.service import Service, running
from api.contract import METHODS
from api.endpoints.relay_sender import KEY, signature
from api.wires import (
    HttpRequest,
    HttpResponse,
    Wire,
    has_route,
    method_named,
    request_of,
    result_of,
)
from outrider.api.asgi.limits import PUBLIC_BYTES, REQUEST_BYTES, UNAUTHENTICATED_BYTES_OF_ONE
from outrider.api.asgi.types import BodyTooLargeError
from outrider.api.asgi.unauthenticated import UnauthenticatedBodies
from outrider.errors import InvalidRequest, ResourceExhausted
from outrider_api.grpc.health.v1.health_connect import Health
from outrider_api.grpc.health.v1.health_pb import HealthCheckRequest, HealthCheckResponse

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEALTH = Health.desc()
LARGE = REQUEST_BYTES
# Of every kind that is refused when a body is read: no JSON, no Base64, no gzip, another type.
BODY_HEADERS = ({}, {"content-type": "text/plain"}, {"content-encoding": "gzip"})
EVENTS = "/v1/events"
CLOUD_EVENTS = {
    "structured": {"content-type": "application/cloudevents+json"},
    "batch": {"content-type": "application/cloudevents-batch+json"},
    "binary": {"content-type": "application/json", "ce-id": "1", "ce-type": "a"},
}
CALLS = [
    pytest.param(method, wire, id=f"{wire} {method.parent.type_name}/{method.name}")
    for method in METHODS
    for wire in Wire
    if wire is not Wire.REST or has_route(method)
]


class Unread(Connection):
    """A request whose body was not read."""

    async def receive(self) -> dict[str, Any]:
        raise AssertionError("the body was read")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """With two sources of relayed calls."""
    sources = [{"name": "hmac", "signing_keys": KEY, "max_age": 60}]
    directory = tmp_path_factory.mktemp("service")
    async with running(directory, relay_sources=json.dumps(sources)) as opened:
        yield opened


async def unread(service: Service, request: HttpRequest) -> HttpResponse:
    """The answer to a request whose body cannot be read."""
    connection = Unread(request, trailers=True)
    assert service.app is not None
    async with asyncio.timeout(20):
        await service.app(connection.scope, connection.receive, connection.send)
    return connection.response()


@pytest.mark.parametrize(("method", "wire"), CALLS)
async def test_a_caller_without_a_token_is_refused_unread(
    service: Service, method: DescMethod, wire: Wire
):
    """
    Every procedure that needs a token, on every wire.
    """
    names = {item.name: "7" for item in method.input.fields if item.name.endswith("id")}
    message = method.input.type.from_json(json.dumps(names))
    response = await unread(service, request_of(wire, method, message))
    result = result_of(wire, response, method.output.type)
    assert (result.code, result.text) == ("unauthenticated", "auth header missing")


@pytest.mark.parametrize("headers", BODY_HEADERS, ids=str)
async def test_what_is_wrong_with_a_body_is_told_to_known_callers_only(
    service: Service, headers: dict[str, str]
):
    request = HttpRequest("POST", "/v2/actions/targets", headers, b"\xff")
    response = await unread(service, request)
    assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("headers", CLOUD_EVENTS.values(), ids=CLOUD_EVENTS)
async def test_cloud_events_without_a_token_are_unread(service: Service, headers: dict[str, str]):
    response = await unread(service, HttpRequest("POST", EVENTS, headers, b"{}"))
    assert response.status == 401


UNSIGNED = {
    "unknown source": ("nobody", {"ZITADEL-Signature": "t=1,v1=" + "0" * 64}),
    "no signature": ("hmac", {}),
    "no time": ("hmac", {"ZITADEL-Signature": "v1=" + "0" * 64}),
    "old": ("hmac", {"ZITADEL-Signature": "t=1,v1=" + "0" * 64}),
    "no value": ("hmac", {"ZITADEL-Signature": "t=1"}),
}


@pytest.mark.parametrize(("source", "headers"), UNSIGNED.values(), ids=UNSIGNED)
async def test_a_relayed_call_that_cannot_be_genuine_is_unread(
    service: Service, source: str, headers: dict[str, str]
):
    response = await unread(service, HttpRequest("POST", f"/v1/relay/{source}", headers, b"{}"))
    assert (response.status, response.json()["message"]) == (
        401,
        "this source has not signed the call",
    )


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/healthz", "/readyz", "/docs", "/openapi.json", "/", "/nothing/there"),
        *("/oauth/v2/keys", "/.well-known/openid-configuration", "/v2/actions/nothing"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_has_no_body_reads_none(service: Service, method: str, path: str):
    response = await unread(service, HttpRequest(method, path, {}, b"x"))
    assert response.status in {200, 302, 401, 404, 405}


@pytest.mark.parametrize("wire", [wire for wire in Wire if wire is not Wire.REST], ids=str)
async def test_a_procedure_without_a_token_reads_little(service: Service, wire: Wire):
    """
    The health of the server is asked for by every prober.
    """
    name = "x" * (PUBLIC_BYTES + 1)
    made = request_of(wire, method_named(HEALTH, "Check"), HealthCheckRequest(service=name))
    response = await service.client.exchange(made)
    result = result_of(wire, response, HealthCheckResponse)
    assert (result.code, result.text) == (
        "invalid_argument",
        f"request is larger than {PUBLIC_BYTES} bytes",
    )


def body_of(*chunks: bytes, all_taken: asyncio.Event | None = None):
    """A `receive` of this body, whose end does not come; the event: all else was taken."""
    left = list(chunks)

    async def receive() -> dict[str, Any]:
        if not left:
            if all_taken is not None:
                all_taken.set()
            await asyncio.Event().wait()
        return {"type": "http.request", "body": left.pop(0), "more_body": True}

    return receive


def whole(body: bytes):
    """A `receive` of this body."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def test_unauthenticated_bodies_have_a_bound_together():
    """
    What one place holds leaves room for the others, up to the bound of all.
    """
    bodies = UnauthenticatedBodies(total=30, of_one=20)
    async with bodies.body(whole(b"x" * 20), 20, "one") as body:
        assert (len(body), bodies.size) == (20, 20)
        with pytest.raises(ResourceExhausted, match="try again later"):
            async with bodies.body(whole(b"x"), 20, "one"):
                pass
        async with bodies.body(whole(b"x" * 10), 20, "two"):
            with pytest.raises(ResourceExhausted):
                async with bodies.body(whole(b"x"), 20, "three"):
                    pass
    assert bodies.size == 0


async def test_bodies_that_are_refused_hold_nothing():
    bodies = UnauthenticatedBodies(total=30, of_one=30, seconds=0.05)
    with pytest.raises(BodyTooLargeError):
        async with bodies.body(body_of(b"x" * 10, b"x" * 11), 20, "one"):
            pass
    with pytest.raises(InvalidRequest, match=r"the body took longer than 0\.05 s"):
        async with bodies.body(body_of(b"x" * 10), 20, "one"):
            pass
    assert bodies.size == 0


async def test_a_relayed_call_beyond_the_bound_may_come_again(service: Service):
    """
    Bodies whose headers look right are read, and so a caller who has no key can send them too.
    """
    assert service.app is not None
    headers = signature(b"", service.clock.now.timestamp(), "wrong key")
    request = HttpRequest("POST", "/v1/relay/hmac", headers, b"x")
    async with asyncio.TaskGroup() as group:
        waiting = []
        for _number in range(UNAUTHENTICATED_BYTES_OF_ONE // LARGE):
            connection, taken = Connection(request, trailers=True), asyncio.Event()
            receive = body_of(b"x" * LARGE, all_taken=taken)
            app = service.app(connection.scope, receive, connection.send)
            waiting.append(group.create_task(app))
            await taken.wait()
        response = await service.client.exchange(request)
        for task in waiting:
            task.cancel()
    assert (response.status, response.json()["code"]) == (429, "resource_exhausted")
