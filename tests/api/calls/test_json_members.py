"""Which members JSON may have, how often, and how many values: on every wire that is JSON."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from protobuf.wkt import Struct

from api.calls.runner import WORDS
from api.calls.service import Service, rpc_named
from api.calls.table import Caller
from api.calls.test_json_text import (
    BINARY,
    PATHS,
    a_target,
    bind,
    call,
    delivered,
    json_wires,
    post,
    send,
)
from api.wires import HttpRequest, HttpResponse, Wire
from outrider.domain.formats.json_bounds import MAX_BATCH_VALUES, MAX_JSON_VALUES
from outrider_api.outrider.v1 import catalogue_service_pb as catalogue_pb
from outrider_api.outrider.v1 import event_service_pb as event_pb
from outrider_api.outrider.v1 import interception_service_pb as pb
from outrider_api.outrider.v1 import target_policy_service_pb as policy_pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACTIONS = "/zitadel.action.v2.ActionService"


def error(answer: HttpResponse) -> tuple[int, str, str]:
    """What a caller is told, without what the library writes before it."""
    told = answer.json()
    return answer.status, told["code"], told["message"].removeprefix("unmarshal message: ")


def invalid(text: str) -> tuple[int, str, str]:
    """The error of a request that is wrong."""
    return 400, "invalid_argument", text


# Twice

TWICE = {
    '{"events":[],"events":[]}': 'the member "events" is there twice',
    '{"events":[{"eventType":"a"},{"id":"1","id":"1","eventType":"a"}]}': (
        'the member "id" is there twice'
    ),
    '{"events":[{"eventType":"a","event_type":"b"}]}': (
        "the member eventType is there twice, once as event_type"
    ),
    '{"events":[{"eventType":"a","aggregateId":"1","aggregateID":"2"}]}': (
        "the member aggregateId is there twice, once as aggregateID"
    ),
    '{"events":[{"eventType":"a","eventPayload":{},"event_payload":{}}]}': (
        "the member eventPayload is there twice, once as event_payload"
    ),
    '{"events":[{"eventType":"a","\\u0065ventType":"b"}]}': (
        'the member "\\u0065ventType" is there twice'
    ),
}


@json_wires
@pytest.mark.parametrize("body", TWICE)
async def test_a_member_that_is_there_twice_is_refused(service: Service, face: str, body: str):
    """
    The last one would win, and the caller would not learn that the other one was dropped.
    """
    assert invalid(TWICE[body]) == error(await post(service, face, "PublishEvents", body))


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        (f"{ACTIONS}/CreateTarget", '{"name":"a","name":"b"}', '"name"'),
        (f"{ACTIONS}/CreateTarget", '{"restCall":{"later":1,"later":2}}', '"later"'),
        (f"{ACTIONS}/ListTargets", '{"filters":[{"a":1,"a":2}]}', '"a"'),
        ("/v2/actions/targets", '{"name":"a","name":"b"}', '"name"'),
        ("/v2/actions/targets/1", '{"name":"a","name":"b"}', '"name"'),
        ("/v1/targets/1/test", '{"payload":{},"payload":{}}', '"payload"'),
        ("/v1/intercept/request", '{"headers":{"a":{},"a":{}}}', '"a"'),
    ],
)
async def test_it_is_refused_in_every_message(service: Service, path: str, body: str, name: str):
    """
    ZITADEL's own server refuses it, too.
    """
    status, code, text = error(await send(service, path, body))

    assert (400, "invalid_argument") == (status, code)
    assert text.endswith(f"the member {name} is there twice")


# Unknown

UNKNOWN = {
    "PublishEvents": (
        '{"events":[{"eventType":"a","eventpayload":{}}]}',
        'unknown member "eventpayload"; did you mean eventPayload?',
    ),
    "InterceptRequest": (
        '{"fullMethod":"/a.B/C","requests":{}}',
        'unknown member "requests"; did you mean request?',
    ),
    "CallFunction": ('{"function":"a","zzz":1}', 'unknown member "zzz"'),
    "AddEntries": (
        '{"entries":[{"kind":3,"name":"a","schemas":{}}]}',
        'unknown member "schemas"; did you mean schema?',
    ),
}


@json_wires
@pytest.mark.parametrize("rpc", UNKNOWN)
async def test_unknown_members_of_our_messages_are_refused(service: Service, face: str, rpc: str):
    """
    To drop one loses data.
    """
    body, text = UNKNOWN[rpc]

    assert invalid(text) == error(await post(service, face, rpc, body))


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (
            "/v1/deliveries/search",
            '{"targetid":"1"}',
            'unknown member "targetid"; did you mean targetId?',
        ),
        (
            "/v1/targets/1/test",
            '{"payloads":{}}',
            'unknown member "payloads"; did you mean payload?',
        ),
        (
            "/outrider.v1.TargetPolicyService/SetTargetPolicy",
            '{"targetId":"1","policy":{"retry":{"wait":[]}}}',
            'unknown member "wait"; did you mean waits?',
        ),
    ],
)
async def test_a_filter_is_not_widened(service: Service, path: str, body: str, text: str):
    """
    Nor is a setting lost, however deep it stands.
    """
    assert invalid(text) == error(await send(service, path, body))


async def test_an_unknown_field_of_a_query_is_refused(service: Service):
    headers = service.headers[Caller.ADMIN]
    answer = await service.client.exchange(
        HttpRequest("GET", "/v1/targets/1/policy?targetid=2", headers)
    )

    text = 'the query cannot be read: unknown member "targetid"; did you mean targetId?'
    assert invalid(text) == error(answer)


async def test_zitadels_messages_take_unknown_members(service: Service):
    """
    As its own server does: published guides send some.
    """
    body = {"name": next(WORDS), "endpoint": "https://a.example", "restAsync": {}, "later": [{}]}
    answer = await send(service, f"{ACTIONS}/CreateTarget", json.dumps(body))

    assert 200 == answer.status


# The body that targets get


@json_wires
async def test_a_delivered_body_can_be_published(service: Service, face: str):
    """
    It was captured from ZITADEL, or from outrider; nothing of it is lost.
    """
    type_ = f"{next(WORDS)}.happened"
    await service.ask("PublishEvents", {"events": [{"eventType": type_}]})
    await bind(
        service, {"event": {"event": type_}}, await a_target(service, "http://127.77.0.1:9/")
    )
    body = (
        '{"aggregateID":"1","aggregateType":"user","resourceOwner":"2","instanceID":"%s",'
        '"version":"v2","sequence":18446744073709551615,"event_type":"%s",'
        '"created_at":"2026-01-02T01:04:05.123456789Z","userID":"3",'
        '"event_payload":{"id":7615917337495251231,"p":12.50}}'
    )
    answer = await post(service, face, "PublishEvents", '{"events":[%s]}' % (body % ("9", type_)))

    assert 200 == answer.status, answer.body
    assert (body % (service.instance, type_)).encode() == await delivered(service, type_)


@json_wires
@pytest.mark.parametrize("is_url_safe", [False, True])
async def test_a_payload_in_base64_is_the_object_in_it(
    service: Service, face: str, *, is_url_safe: bool
):
    """
    Some of ZITADEL's events have it so; targets get the object, its numbers as they were written.
    """
    type_ = f"{next(WORDS)}.happened"
    await service.ask("PublishEvents", {"events": [{"eventType": type_}]})
    await bind(
        service, {"event": {"event": type_}}, await a_target(service, "http://127.77.0.1:9/")
    )
    encode = base64.urlsafe_b64encode if is_url_safe else base64.b64encode
    payload = '{"p":12.50,"text":"~~??>>"}'
    event = {"event_type": type_, "event_payload": encode(payload.encode()).decode()}
    answer = await post(service, face, "PublishEvents", json.dumps({"events": [event]}))

    assert 200 == answer.status, answer.body
    body = (await delivered(service, type_)).decode()
    assert body.endswith('"event_payload":{"p":12.50,"text":"~~??\\u003e\\u003e"}}')


@json_wires
@pytest.mark.parametrize("payload", ["not Base64!", "WzFd", "e30", "bnVsbA=="])
async def test_another_text_is_no_payload(service: Service, face: str, payload: str):
    """
    Dropping it would lose what happened.
    """
    event = {"event_type": "a.b", "event_payload": payload}
    answer = await post(service, face, "PublishEvents", json.dumps({"events": [event]}))

    expected = 200 if payload == "e30" else 400
    assert (expected, expected == 400) == (answer.status, b"eventPayload" in answer.body)


# One or the other

BOTH: dict[str, tuple[Any, str]] = {
    "InterceptRequest": (
        pb.InterceptRequestRequest(full_method="/a.B/C", request=Struct(), request_json="{}"),
        "InterceptRequestRequest.Request: only one of Request and RequestJson may be set",
    ),
    "InterceptResponse": (
        pb.InterceptResponseRequest(full_method="/a.B/C", response=Struct(), response_json="{}"),
        "InterceptResponseRequest.Response: only one of Response and ResponseJson may be set",
    ),
    "CallFunction": (
        pb.CallFunctionRequest(function="a", payload=Struct(), payload_json="{}"),
        "CallFunctionRequest.Payload: only one of Payload and PayloadJson may be set",
    ),
    "TestTarget": (
        policy_pb.TestTargetRequest(target_id="1", payload=Struct(), payload_json="{}"),
        "TestTargetRequest.Payload: only one of Payload and PayloadJson may be set",
    ),
    "AddEntries": (
        catalogue_pb.AddEntriesRequest(
            entries=[
                catalogue_pb.CatalogueEntry(
                    kind=catalogue_pb.CatalogueKind.EVENT_TYPE,
                    name="a",
                    example=Struct(),
                    example_json="{}",
                )
            ]
        ),
        "AddEntriesRequest.Entries[0].Example: only one of Example and ExampleJson may be set",
    ),
}


@pytest.mark.parametrize("wire", BINARY, ids=str)
@pytest.mark.parametrize("rpc", BOTH)
async def test_both_forms_are_refused(service: Service, rpc: str, wire: Wire):
    message, text = BOTH[rpc]
    result = await call(service, wire, rpc, message)

    assert ("invalid_argument", f"invalid {text}") == (result.code, result.text)


@json_wires
@pytest.mark.parametrize(
    ("rpc", "body", "names"),
    [
        (
            "InterceptRequest",
            '{"fullMethod":"/a.B/C","request":{},"requestJson":"{}"}',
            "request, requestJson",
        ),
        (
            "CallFunction",
            '{"function":"a","payload":{},"payloadJson":"{}"}',
            "payload, payloadJson",
        ),
        (
            "AddEntries",
            '{"entries":[{"kind":3,"name":"a","schema":{},"schema_json":"{}"}]}',
            "schema, schemaJson",
        ),
    ],
)
async def test_both_forms_are_refused_in_json(
    service: Service, face: str, rpc: str, body: str, names: str
):
    answer = await post(service, face, rpc, body)

    assert invalid(f"only one of {names} may be set") == error(answer)


# What is no JSON object

NO_OBJECTS = ["", "1", "[]", "null", '"a"', "{", '{"a":NaN}', '{"a":1,}', '{"a":01}', "{} {}"]


@pytest.mark.parametrize("wire", BINARY, ids=str)
@pytest.mark.parametrize("text", NO_OBJECTS[1:])
async def test_text_that_is_no_object_is_refused(service: Service, text: str, wire: Wire):
    request = pb.InterceptRequestRequest(full_method="/a.B/C", request_json=text)
    result = await call(service, wire, "InterceptRequest", request)

    assert "invalid_argument" == result.code
    assert result.text.startswith("invalid InterceptRequestRequest.Request: value must be JSON: ")


@json_wires
@pytest.mark.parametrize("text", NO_OBJECTS[1:3] + NO_OBJECTS[4:])
async def test_a_member_that_is_no_object_is_refused(service: Service, face: str, text: str):
    body = f'{{"fullMethod":"/a.B/C","request":{text}}}'
    answer = await post(service, face, "InterceptRequest", body)

    assert (400, "invalid_argument") == error(answer)[:2]


@json_wires
async def test_text_that_is_not_utf_8_is_refused(service: Service, face: str):
    answer = await post(
        service, face, "InterceptRequest", b'{"fullMethod":"/a.B/C","request":{"a":"\xff"}}'
    )

    assert (400, "invalid_argument") == error(answer)[:2]


@json_wires
async def test_messages_are_48_levels_deep_at_most(service: Service, face: str):
    """
    As deep as a Struct can be, so that every caller of either form can be told.
    """

    async def nested(depth: int) -> HttpResponse:
        text = '{"a":' * depth + "1" + "}" * depth
        body = f'{{"fullMethod":"/a.B/C","request":{text}}}'
        return await post(service, face, "InterceptRequest", body)

    assert 200 == (await nested(48)).status
    text = "invalid InterceptRequestRequest.Request: value must be JSON: nested deeper than 48"
    assert invalid(text) == error(await nested(49))


# Many values


def many(count: int, value: str = "{}") -> str:
    """An object of this number of values, itself and its list included."""
    return '{"a":[' + ",".join([value] * (count - 2)) + "]}"


def bodies(text: str) -> dict[str, str]:
    """Calls that carry it."""
    return {
        "InterceptRequest": f'{{"fullMethod":"/a.B/C","request":{text}}}',
        "InterceptResponse": f'{{"fullMethod":"/a.B/C","response":{text}}}',
        "CallFunction": f'{{"function":"a","payload":{text}}}',
        "PublishEvents": f'{{"events":[{{"eventType":"a","eventPayload":{text}}}]}}',
    }


@json_wires
@pytest.mark.parametrize("rpc", bodies("{}"))
async def test_as_many_values_as_may_be_and_one_more(service: Service, face: str, rpc: str):
    """
    150 kB of empty objects took a second in which no other call made progress.
    """
    fits, exceeds = (bodies(many(MAX_JSON_VALUES + more))[rpc] for more in (0, 1))
    refused = await post(service, face, rpc, exceeds)

    assert 200 == (await post(service, face, rpc, fits)).status
    assert (400, "invalid_argument") == error(refused)[:2]
    assert f"the JSON has more than {MAX_JSON_VALUES} values" in error(refused)[2]


@pytest.mark.parametrize("path", [*PATHS.values(), f"{ACTIONS}/ListTargets", "/v1/targets/1/test"])
@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_no_body_has_more_values_than_a_call_may_have(
    service: Service, path: str, encoding: str
):
    """
    Whatever the message: the values are counted before anything is made of them.
    """
    body = many(MAX_BATCH_VALUES + 1, "1").encode()
    headers = {**service.headers[Caller.ADMIN], "content-type": "application/json"}
    if encoding:
        headers["content-encoding"] = encoding
        body = gzip.compress(body)
    answer = await service.client.exchange(HttpRequest("POST", path, headers, body))

    assert (400, "invalid_argument") == error(answer)[:2]
    assert f"the JSON has more than {MAX_BATCH_VALUES} values" in error(answer)[2]


async def test_no_test_payload_and_no_description_has_more(service: Service):
    target = await a_target(service, "http://127.77.0.1:9/")
    text = many(MAX_JSON_VALUES + 1, "1")
    tested = await send(service, f"/v1/targets/{target}/test", f'{{"payload":{text}}}')
    entry = f'{{"kind":3,"name":"a","schema":{text}}}'
    described = await post(service, "rest", "AddEntries", f'{{"entries":[{entry}]}}')

    for answer in (tested, described):
        assert (400, "invalid_argument") == error(answer)[:2]
        assert f"more than {MAX_JSON_VALUES} values" in error(answer)[2]


@pytest.mark.parametrize("wire", BINARY, ids=str)
async def test_payloads_of_one_call_have_a_bound_together(service: Service, wire: Wire):
    """
    As text they pass the bound of the message, which does not look into texts.
    """
    text = many(MAX_BATCH_VALUES // 4, "1")
    method = rpc_named("PublishEvents")

    async def published(count: int) -> str:
        events = [{"eventType": "a", "eventPayloadJson": text}] * count
        message = method.input.type.from_json(json.dumps({"events": events}))
        return (await call(service, wire, "PublishEvents", message)).text

    assert "" == await published(4)
    refused = await published(5)
    assert refused.startswith("invalid PublishEventsRequest.Events: the payloads have more than")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (
            "application/cloudevents+json",
            '{"specversion":"1.0","id":"a","source":"s","type":"t","data":%s}',
        ),
        (
            "application/cloudevents-batch+json",
            '[{"specversion":"1.0","id":"a","source":"s","type":"t","data":%s}]',
        ),
        ("application/json", "%s"),
    ],
)
@pytest.mark.parametrize("count", [MAX_JSON_VALUES + 1, MAX_BATCH_VALUES + 1])
async def test_cloud_events_have_the_same_bounds(
    service: Service, kind: str, data: str, count: int
):
    headers = {**service.headers[Caller.ADMIN], "content-type": kind}
    if kind == "application/json":
        headers |= {"ce-specversion": "1.0", "ce-id": "a", "ce-source": "s", "ce-type": "t"}
    body = (data % many(count, "1")).encode()
    answer = await service.client.exchange(HttpRequest("POST", "/v1/events", headers, body))

    assert (400, "invalid_argument") == error(answer)[:2]
    assert "values" in error(answer)[2]


@pytest.mark.parametrize("wire", BINARY, ids=str)
@pytest.mark.parametrize("value", ["{}", "[]", "1", '""', '{"a":1}'])
async def test_structs_have_5000_values(service: Service, wire: Wire, value: str):
    """
    Each costs a hundred times what text costs.
    """

    async def refusal(count: int) -> str:
        request = pb.InterceptRequestRequest(
            full_method="/a.B/C", request=Struct.from_json(many(count, value))
        )
        return (await call(service, wire, "InterceptRequest", request)).text

    assert "" == await refusal(5000 if value != '{"a":1}' else 2500)
    assert "items, entries and values" in await refusal(6500)


@pytest.mark.parametrize("wire", BINARY, ids=str)
async def test_empty_messages_are_counted_before_they_are_made(service: Service, wire: Wire):
    """
    Two bytes are an event; two million of them took a second.
    """
    request = event_pb.PublishEventsRequest(events=[event_pb.Event()] * 50_000)
    result = await call(service, wire, "PublishEvents", request)

    assert "invalid_argument" == result.code
    assert "items, entries and values" in result.text
