"""Plain calls are answered past the protocol library: each as the general way answers it."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.calls.receiver import ECHO, answering, forwarding
from api.calls.service import Service, rpc_named, running
from api.calls.table import Caller
from api.calls.test_json_text import a_target, bind
from api.wires import HttpRequest, HttpResponse

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A header that makes a call unusual, and changes nothing else.
GENERAL = {"expect": "100-continue"}
PATHS = {
    "PublishEvents": "/v1/events",
    "InterceptRequest": "/v1/intercept/request",
    "InterceptResponse": "/v1/intercept/response",
    "CallFunction": "/v1/intercept/function",
}
# Ids that the server makes, times, and references of internal errors.
MADE = re.compile(
    r'\b1[0-9]{17,18}\b|"duration":"[^"]*"|"created_at":"[^"]*"|"value": "[^"]*"|[0-9a-f]{8}$'
)
# What is in the place of @: each way has its own events.
WAYS = ("direct", "common")
wires = pytest.mark.parametrize("wire", ["rest", "rpc"])
METHODS = ("Echo", "Changed", "Refused", "Broken", "Unbound")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Targets at methods, at a function and at all events."""
    async with running(tmp_path_factory.mktemp("service")) as opened:
        for method in METHODS:
            entry = {"kind": "CATALOGUE_KIND_METHOD", "name": f"/direct.v1.Calls/{method}"}
            await opened.ask("AddEntries", {"entries": [entry]})
        endpoints = {
            "Changed": answering({"a": 1.50, "b": "\u00e9"}),
            "Refused": forwarding(403, "not <allowed>"),
            "Broken": answering(b"{"),
        }
        for name, endpoint in endpoints.items():
            target = await a_target(opened, endpoint.replace("$receiver", opened.receiver))
            for kind in ("request", "response"):
                await bind(opened, {kind: {"method": f"/direct.v1.Calls/{name}"}}, target)
        for kind in ("request", "response"):
            echo = f"{ECHO}{kind}".replace("$receiver", opened.receiver)
            condition = {kind: {"method": "/direct.v1.Calls/Echo"}}
            await bind(opened, condition, await a_target(opened, echo))
        claims = answering({"append_claims": [{"key": "tier", "value": 1.0}]})
        target = await a_target(opened, claims.replace("$receiver", opened.receiver))
        await bind(opened, {"function": {"name": "preuserinfo"}}, target)
        await bind(opened, {"event": {"all": True}}, target)
        yield opened


async def exchanged(service: Service, path: str, body: bytes, way: str) -> HttpResponse:
    """A call on one of the two ways."""
    headers = {**service.headers[Caller.ADMIN], "content-type": "application/json"}
    if way == "common":
        headers |= GENERAL
    return await service.client.exchange(HttpRequest("POST", path, headers, body))


async def answers(service: Service, rpc: str, wire: str, body: str) -> list[tuple[int, str]]:
    """Status and body of both ways."""
    method = rpc_named(rpc)
    path = PATHS[rpc] if wire == "rest" else f"/{method.parent.type_name}/{rpc}"
    found = []
    for way in WAYS:
        sent = body.replace("@", f"{way}-{wire}").encode("utf-8", "surrogatepass")
        answer = await exchanged(service, path, sent, way)
        text = answer.body.decode().replace(f"{way}-{wire}", "@")
        found.append((answer.status, MADE.sub("made", text)))
    return found


def stored(service: Service) -> dict[str, list[tuple[Any, ...]]]:
    """What is stored of the events that each way has published: type, body, deliveries."""
    query = "SELECT id, type, body, aggregate, delivery_count FROM events ORDER BY number"
    path = service.store.path  # type: ignore[attr-defined]
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(query).fetchall()
    return {
        way: [
            tuple(MADE.sub("made", _text(value).replace(way, "@")) for value in row)
            for row in rows
            if row[0].startswith(f"{way}-")
        ]
        for way in WAYS
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def event(**members: Any) -> str:
    """A call that publishes one event."""
    return json.dumps({"events": [{"id": "@", "eventType": "a.b", **members}]})


EVENTS = {
    "the least": event(),
    "everything": event(
        aggregateId="7",
        aggregateType="order",
        resourceOwner="o",
        version="v1",
        sequence="18446744073709551615",
        createdAt="2026-11-29T12:00:00.123456789+02:00",
        userId="u",
        eventPayload={"b": [1, "\u20ac<"], "a": None},
    ),
    "a number as sequence": event(sequence=5),
    "a sequence of 0": event(sequence=0),
    "a sequence with a point": event(sequence=5.0),
    "a sequence with letters": event(sequence="5a"),
    "a negative sequence": event(sequence=-1),
    "a sequence that is too large": event(sequence=2**64),
    "numbers as written": '{"events":[{"id":"@","eventType":"a.b","eventPayload":{"n":1.0,"m":1e400}}]}',
    "white space": ' {"events" : [ {"id":"@","eventType":"a.b","eventPayload": { "n" : " a " } } ] } ',
    "text": event(eventPayloadJson='{"a":1.0}'),
    "both": event(eventPayloadJson="{}", eventPayload={}),
    "a list as payload": event(eventPayload=[]),
    "null as payload": event(eventPayload=None),
    "Base64 as payload": event(eventPayload="eyJhIjoxfQ=="),
    "as it is delivered": '{"events":[{"id":"@","event_type":"a.b","aggregateID":"1","event_payload":{}}]}',
    "quotation marks": event(aggregateId='a"b', eventPayload={"q": 'x"y'}),
    "escapes": '{"events":[{"id":"@","eventType":"a.\\u0062"}]}',
    "an escaped name": '{"events":[{"id":"@","\\u0065ventType":"a.b"}]}',
    "twice": '{"events":[{"id":"@","eventType":"a.b","eventType":"a.c"}]}',
    "twice, hidden": '{"events":[{"id":"@","eventType":"a.b","userId":"\\u0022\\u0022","userId":""}]}',
    "events twice": '{"events":[{"id":"@","eventType":"a.b"}],"events":[{"id":"@","eventType":"a.b"}]}',
    "a payload's name twice": '{"events":[{"id":"@","eventType":"a.b","eventPayload":{"a":1,"a":2}}]}',
    "half a pair": '{"events":[{"id":"@","eventType":"a.b","eventPayload":{"a":"\\ud800"}}]}',
    "half a pair in an id": '{"events":[{"id":"@\\ud800","eventType":"a.b"}]}',
    "no UTF-8": '{"events":[{"id":"@","eventType":"a.b","eventPayload":{"a":"\ud800"}}]}',
    "a bad type": event(eventType="a..b"),
    "our own type": event(eventType="outrider.x"),
    "no type": '{"events":[{"id":"@"}]}',
    "a long id": event(id="@" + "x" * 200),
    "a NUL": event(id="@\0"),
    "a bad time": event(createdAt="yesterday"),
    "an early time": event(createdAt="0001-01-01T00:00:00Z"),
    "a late time": event(createdAt="9999-12-31T23:59:59.9999999Z"),
    "a misspelling": event(eventPayloud={}),
    "deep": event(eventPayload={"a": json.loads("[" * 150 + "]" * 150)}),
    "deeper": event(eventPayload={"a": json.loads("[" * 250 + "]" * 250)}),
    "a large payload": event(eventPayload={"a": "x" * 600_000}),
    "many values": event(eventPayload={"a": [1] * 60_000}),
    "none": '{"events":[]}',
    "nothing": "{}",
    "too many": json.dumps({"events": [{"eventType": "a.b"}] * 1001}),
    "several": '{"events":[{"id":"@1","eventType":"a.b"},{"id":"@1","eventType":"a.b"},{"id":"@2","eventType":"a.c"}]}',
    "a list": "[]",
    "no JSON": '{"events":[',
    "more behind it": '{"events":[{"id":"@","eventType":"a.b"}]}x',
}


@wires
@pytest.mark.parametrize("name", EVENTS)
async def test_publishing_is_answered_alike(service: Service, wire: str, name: str):
    direct, general = await answers(service, "PublishEvents", wire, EVENTS[name])

    assert direct == general
    by_way = stored(service)
    assert by_way["direct"] == by_way["common"]


def intercepted(name: str, **members: Any) -> str:
    """A call that intercepts one."""
    return json.dumps({"fullMethod": f"/direct.v1.Calls/{name}", **members})


TEXT = '{"n":1.0,"m":7600000000000000001,"t":"\\u20ac <&>"}'
REQUESTS = {
    **{name: intercepted(name, request={"a": 1}) for name in METHODS},
    "no request": intercepted("Echo"),
    "an empty one": intercepted("Echo", request={}),
    "null": intercepted("Echo", request=None),
    "as written": intercepted("Echo")[:-1] + f',"request": {TEXT}}}',
    "as text": intercepted("Echo", requestJson=TEXT),
    "both": intercepted("Echo", request={}, requestJson=TEXT),
    "a list": intercepted("Echo", request=[1]),
    "caller": intercepted("Echo", orgId="o", projectId="p", userId="u", request={}),
    "headers": intercepted("Echo", headers={"host": {"values": ["a", "b"]}}, request={}),
    "no headers": intercepted("Echo", headers={}, request={}),
    "a header without values": intercepted("Echo", headers={"host": {}}, request={}),
    "a header twice": intercepted("Echo")[:-1]
    + ',"headers":{"host":{"values":["a"]},"host":{"values":["b"]}}}',
    "many headers": intercepted("Echo", headers={f"x{n}": {"values": []} for n in range(1001)}),
    "a bad method": intercepted("Echo/x", request={}),
    "no method": '{"request":{}}',
    "a long user": intercepted("Echo", userId="x" * 201),
    "a misspelling": intercepted("Echo", reqest={}),
    "deep": intercepted("Echo", request={"a": json.loads("[" * 60 + "]" * 60)}),
    "many values": intercepted("Echo", request={"a": [1] * 21_000}),
    "a large one": intercepted("Echo", request={"a": "x" * 300_000}),
    "names in snake case": '{"full_method":"/direct.v1.Calls/Echo","request":{}}',
    "twice": intercepted("Echo")[:-1] + ',"request":{"a":1},"request":{"a":2}}',
    "twice inside": intercepted("Unbound")[:-1] + ',"request":{"a":1,"a":2}}',
}


@wires
@pytest.mark.parametrize("name", REQUESTS)
async def test_requests_and_responses_are_answered_alike(service: Service, wire: str, name: str):
    direct, general = await answers(service, "InterceptRequest", wire, REQUESTS[name])
    assert direct == general

    body = REQUESTS[name].replace('"request', '"response')
    direct, general = await answers(service, "InterceptResponse", wire, body)
    assert direct == general

    handled = f'{body[:-1]},"request":{{"handled":1.0}}}}'
    direct, general = await answers(service, "InterceptResponse", wire, handled)
    assert direct == general


FUNCTIONS = {
    "the least": '{"function":"preuserinfo"}',
    "a payload": '{"function":"preuserinfo","payload":{"user":{"id":"1"},"userinfo":{"tier":2}}}',
    "text": '{"function":"preuserinfo","payloadJson":"{}"}',
    "unbound": '{"function":"other","payload":{"a":1.0}}',
    "a bad name": '{"function":"a b"}',
    "a list": '{"function":"preuserinfo","payload":[]}',
}


@wires
@pytest.mark.parametrize("name", FUNCTIONS)
async def test_functions_are_answered_alike(service: Service, wire: str, name: str):
    direct, general = await answers(service, "CallFunction", wire, FUNCTIONS[name])

    assert direct == general


MEMBERS = [
    *("id", "aggregateId", "aggregateID", "sequence", "eventType", "event_type", "createdAt"),
    *("userId", "eventPayload", "eventPayloadJson", "version", "other"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
LIKELY = st.sampled_from(["@", "a.b", "", "1", 'a"b', "\x00", 0, 5, 1.5, {}, {"a": 1.0}, [], None])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.sampled_from(MEMBERS), LIKELY | VALUES), max_size=6)))
async def test_any_events_are_answered_alike(service: Service, events: list[list[tuple[str, Any]]]):
    """
    Members may be there twice: they are written one by one.
    """
    objects = [
        ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in members)
        for members in events
    ]
    body = f'{{"events":[{",".join(f"{{{members}}}" for members in objects)}]}}'
    direct, general = await answers(service, "PublishEvents", "rest", body)

    assert direct == general
