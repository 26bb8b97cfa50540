"""Which calls are plain, and what becomes of those that are not."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest

from api.asgi_client import ApiClient, in_process
from api.sample import Lines
from api.wires import HttpRequest
from outrider.api.asgi.limits import REQUEST_BYTES
from outrider.api.asgi.types import DisconnectedError, Receive, Scope, Send, read_body
from outrider.api.direct.app import DirectCalls
from outrider.api.direct.events import DirectPublish
from outrider.api.direct.interceptions import DirectRequest
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.rpc.interceptors import CallReporter
from outrider.domain.access.permission import Actor, Role
from outrider.domain.ids import AccountId, InstanceId
from outrider.errors import Unauthenticated
from outrider.usecases.delivery.known_events import PublishResult
from outrider.usecases.interception.intercept import InterceptionResult
from support.runtime import fixed_runtime

JSON = {"content-type": "application/json", "authorization": "Bearer good"}
BODY = json.dumps({"events": [{"id": "1", "eventType": "a.b"}]}).encode()


class Publish:
    """Takes every event."""

    def __init__(self) -> None:
        self.runtime = fixed_runtime()

    async def __call__(self, actor: Actor, events: Any) -> list[PublishResult]:
        return [PublishResult(event.id, 0, is_duplicate=False) for event in events]


class Interceptions:
    """A run that ends when it is cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.was_cancelled = False

    async def request(self, *_: Any) -> InterceptionResult[str]:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.was_cancelled = True
        raise AssertionError


async def authenticate(host: str, authorization: str | None) -> Actor:
    roles = {"Bearer good": {Role.IAM_OWNER}, "Bearer weak": set[Role]()}
    if authorization not in roles:
        raise Unauthenticated("no")
    return Actor(InstanceId("1"), AccountId("a"), frozenset(roles[authorization]))


async def general(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what it was given."""
    body = await read_body(receive)
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": body})


def application(*calls: Any) -> tuple[DirectCalls, Lines]:
    log = Lines()
    reporter = CallReporter(log, ErrorMapper(log))
    return DirectCalls(calls, authenticate, reporter, otherwise=general), log


async def posted(headers: Mapping[str, str], body: bytes = BODY, path: str = "/v1/events") -> Any:
    app, _ = application(DirectPublish(Publish()))
    return await ApiClient(in_process(app)).exchange(HttpRequest("POST", path, headers, body))


@pytest.mark.parametrize("path", ["/v1/events", "/outrider.v1.EventService/PublishEvents"])
async def test_a_plain_call_never_reaches_the_general_way(path: str):
    answer = await posted(JSON, path=path)

    assert (200, {"results": [{"id": "1"}]}) == (answer.status, answer.json())


async def test_a_packed_call_is_plain():
    answer = await posted({**JSON, "content-encoding": "gzip"}, gzip.compress(BODY))

    assert (200, {"results": [{"id": "1"}]}) == (answer.status, answer.json())


async def test_a_call_that_unpacks_to_too_much_goes_the_general_way():
    body = gzip.compress(b" " * (REQUEST_BYTES + 1))
    answer = await posted({**JSON, "content-encoding": "gzip"}, body)

    assert (299, body) == (answer.status, answer.body)


UNUSUAL = {
    "no token": {"authorization": ""},
    "a token that may not": {"authorization": "Bearer weak"},
    "another token": {"authorization": "Bearer bad"},
    "another type": {"content-type": "application/cloudevents+json"},
    "a parameter": {"content-type": "application/json; charset=utf-8"},
    "a browser": {"origin": "https://example.com"},
    "another encoding": {"content-encoding": "br"},
    "no gzip": {"content-encoding": "gzip"},
    "a deadline": {"connect-timeout-ms": "5"},
    "a deadline of gRPC": {"grpc-timeout": "5S"},
    "attributes of an event": {"ce-id": "1"},
    "another version": {"connect-protocol-version": "2"},
    "how many servers the event came through": {"outrider-hops": "1"},
    "another length": {"content-length": "4"},
    "no number": {"content-length": "x"},
    "too much": {"content-length": "99999999"},
    "a header that is not ASCII": {"x-name": "\xe9"},
}


@pytest.mark.parametrize("name", UNUSUAL)
async def test_an_unusual_call_goes_the_general_way_with_its_body(name: str):
    answer = await posted({**JSON, **UNUSUAL[name]})

    assert (299, BODY) == (answer.status, answer.body)


@pytest.mark.parametrize("path", ["/v1/events?a=b", "/v1/events/search", "/"])
async def test_other_paths_go_the_general_way(path: str):
    answer = await posted(JSON, path=path)

    assert (299, BODY) == (answer.status, answer.body)


async def test_a_body_that_is_not_plain_goes_the_general_way():
    answer = await posted(JSON, b"[]")

    assert (299, b"[]") == (answer.status, answer.body)


async def test_a_run_ends_when_its_caller_leaves():
    """
    A target may take minutes, and no caller waits for it any more.
    """
    interceptions = Interceptions()
    app, log = application(DirectRequest(interceptions))
    body = b'{"fullMethod":"/a.B/C"}'
    headers = {**JSON, "content-length": str(len(body)), "host": "x"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/intercept/request",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        if message := next(messages, None):
            return message
        await interceptions.begun.wait()
        return {"type": "http.disconnect"}

    with pytest.raises(DisconnectedError):
        await app(scope, receive, pytest.fail)

    assert interceptions.was_cancelled
    assert [line["code"] for line in log.lines] == ["canceled"]
