"""JSON that is only carried: text in, the same text out, on every wire and whatever calls targets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api.calls.receiver import HOST
from api.calls.runner import WORDS
from api.calls.service import Service, rpc_named
from api.calls.steps import of_type
from api.calls.table import Caller
from api.wires import HttpRequest, HttpResponse, Result, Wire
from outrider.domain.formats.json_members import members_of
from outrider.testing.receiver import Answer, Receiver
from outrider_api.outrider.v1 import interception_service_pb as pb
from outrider_api.outrider.v1 import target_policy_service_pb as policy_pb
from outrider_api.outrider.v1.catalogue_service_pb import ListEntriesRequest, ListEntriesResponse

pytestmark = pytest.mark.asyncio(loop_scope="module")

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "json_text.json").read_text())
TEXTS = {row["name"]: (row["text"], row["for_targets"]) for row in VECTORS["texts"]}
each_text = pytest.mark.parametrize("name", TEXTS)
BINARY = [wire for wire in Wire if wire not in {Wire.CONNECT_JSON, Wire.REST}]
binary_wires = pytest.mark.parametrize("wire", BINARY, ids=str)
PATHS = {
    "InterceptRequest": "/v1/intercept/request",
    "InterceptResponse": "/v1/intercept/response",
    "CallFunction": "/v1/intercept/function",
    "AddEntries": "/v1/catalogue",
    "ListEntries": "/v1/catalogue/search",
    "PublishEvents": "/v1/events",
}
json_wires = pytest.mark.parametrize("face", ["connect", "rest"])


async def post(service: Service, face: str, rpc: str, body: str | bytes) -> HttpResponse:
    """A call of JSON as it is written here."""
    method = rpc_named(rpc)
    path = PATHS[rpc] if face == "rest" else f"/{method.parent.type_name}/{rpc}"
    return await send(service, path, body)


async def send(service: Service, path: str, body: str | bytes) -> HttpResponse:
    """A request of JSON."""
    headers = {**service.headers[Caller.ADMIN], "content-type": "application/json"}
    sent = body if isinstance(body, bytes) else body.encode()
    return await service.client.exchange(HttpRequest("POST", path, headers, sent))


async def call(service: Service, wire: Wire, rpc: str, message: Any) -> Result[Any]:
    """A call over a binary wire."""
    method = rpc_named(rpc)
    headers = service.headers[Caller.ADMIN]
    return await service.client.call(
        wire, method.parent, method.name, message, method.output.type, headers
    )


async def a_target(service: Service, endpoint: str, type_: str = "restCall") -> str:
    """A target of this test's own."""
    request = of_type(type_, interrupts=True, name=next(WORDS), endpoint=endpoint)
    return str((await service.ask("CreateTarget", request))["id"])


async def bind(service: Service, condition: Mapping[str, Any], target: str) -> None:
    """Have a target called."""
    await service.ask("SetExecution", {"condition": condition, "targets": [target]})


async def a_method(service: Service) -> str:
    """A method of this test's own."""
    method = f"/{next(WORDS)}.Service/Do"
    entry = {"kind": "CATALOGUE_KIND_METHOD", "name": method}
    await service.ask("AddEntries", {"entries": [entry]})
    return method


def raw(body: bytes, name: str) -> str:
    """The text of one member of an answer."""
    return members_of(body.decode())[name].text


# Nothing is called


@json_wires
@each_text
async def test_an_object_comes_back_as_it_was_written(service: Service, face: str, name: str):
    text, _ = TEXTS[name]
    answer = await post(
        service, face, "InterceptRequest", f'{{"fullMethod":"/a.B/C","request":{text}}}'
    )

    assert (200, text) == (answer.status, raw(answer.body, "request"))


@json_wires
@each_text
async def test_a_string_comes_back_as_a_string(service: Service, face: str, name: str):
    text, _ = TEXTS[name]
    body = {"fullMethod": "/a.B/C", "requestJson": text}
    answer = await post(service, face, "InterceptRequest", json.dumps(body))

    assert (200, {"requestJson": text}) == (answer.status, answer.json())


@binary_wires
@each_text
async def test_text_of_the_binary_protocol_comes_back(service: Service, wire: Wire, name: str):
    text, _ = TEXTS[name]
    request = pb.InterceptRequestRequest(full_method="/a.B/C", request_json=text)
    response = pb.InterceptResponseRequest(full_method="/a.B/C", response_json=text)

    result = await call(service, wire, "InterceptRequest", request)
    assert pb.InterceptRequestResponse(request_json=text) == result.message
    result = await call(service, wire, "InterceptResponse", response)
    assert pb.InterceptResponseResponse(response_json=text) == result.message


# Targets are called


@json_wires
@each_text
async def test_targets_get_and_give_the_text_of_requests(service: Service, face: str, name: str):
    """
    They get it compact and escaped as Go does it, the numbers as they are written.
    """
    text, for_targets = TEXTS[name]
    async with Receiver([Answer(body=text.encode())], host=HOST) as receiver:
        method = await a_method(service)
        await bind(service, {"request": {"method": method}}, await a_target(service, receiver.url))
        asked = f'{{"fullMethod":"{method}","request":{text}}}'
        answer = await post(service, face, "InterceptRequest", asked)
        (seen,) = receiver.calls

    assert for_targets == raw(seen.body, "request")
    assert (200, text) == (answer.status, raw(answer.body, "request"))


@json_wires
@each_text
async def test_targets_get_and_give_the_text_of_responses(service: Service, face: str, name: str):
    text, for_targets = TEXTS[name]
    async with Receiver([Answer(body=text.encode())], host=HOST) as receiver:
        method = await a_method(service)
        await bind(service, {"response": {"method": method}}, await a_target(service, receiver.url))
        asked = f'{{"fullMethod":"{method}","request":{text},"response":{text}}}'
        answer = await post(service, face, "InterceptResponse", asked)
        (seen,) = receiver.calls

    assert for_targets == raw(seen.body, "request") == raw(seen.body, "response")
    assert (200, text) == (answer.status, raw(answer.body, "response"))


@binary_wires
@each_text
async def test_targets_get_and_give_text_of_the_binary_protocol(
    service: Service, wire: Wire, name: str
):
    text, for_targets = TEXTS[name]
    async with Receiver([Answer(body=text.encode())], host=HOST) as receiver:
        method = await a_method(service)
        target = await a_target(service, receiver.url)
        await bind(service, {"request": {"method": method}}, target)
        asked = pb.InterceptRequestRequest(full_method=method, request_json=text)
        result = await call(service, wire, "InterceptRequest", asked)
        (seen,) = receiver.calls

    assert for_targets == raw(seen.body, "request")
    assert result.message is not None
    assert text == result.message.request_json


@json_wires
async def test_an_empty_message_that_a_target_fills_keeps_its_numbers(service: Service, face: str):
    """
    Who sends no message has sent no Struct either.
    """
    async with Receiver([Answer(body=b'{"n":1.0}')], host=HOST) as receiver:
        method = await a_method(service)
        await bind(service, {"request": {"method": method}}, await a_target(service, receiver.url))
        answer = await post(service, face, "InterceptRequest", f'{{"fullMethod":"{method}"}}')

    assert '{"n":1.0}' == raw(answer.body, "request")


@json_wires
@pytest.mark.parametrize("number", VECTORS["numbers"])
async def test_functions_keep_numbers(service: Service, face: str, number: str):
    """
    Of what the application gives, of what targets answer, and of the claims that come of it.
    """
    answer_text = f'{{"append_claims":[{{"key":"n","value":[{number},{{"a":{number}}}]}}]}}'
    async with Receiver([Answer(body=answer_text.encode())] * 2, host=HOST) as receiver:
        target = await a_target(service, receiver.url)
        again = await a_target(service, receiver.url)
        condition = {"function": {"name": "preuserinfo"}}
        await service.ask("SetExecution", {"condition": condition, "targets": [target, again]})
        asked = f'{{"function":"preuserinfo","payload":{{"userinfo":{{"x":{number}}}}}}}'
        answer = await post(service, face, "CallFunction", asked)
        first, second = receiver.calls
        await service.ask("SetExecution", {"condition": condition, "targets": []})

    assert f'{{"x":{number}}}' == raw(first.body, "userinfo")
    assert answer_text == raw(second.body, "response") == raw(answer.body, "answer")
    assert f'{{"n":[{number},{{"a":{number}}}]}}' == raw(answer.body, "claims")


@binary_wires
async def test_functions_keep_numbers_of_the_binary_protocol(service: Service, wire: Wire):
    name = next(WORDS)
    entry = {"kind": "CATALOGUE_KIND_FUNCTION", "name": name}
    await service.ask("AddEntries", {"entries": [entry]})
    text = '{"a":7600000000000000001,"b":[1.0,-0]}'
    async with Receiver([Answer(body=text.encode())], host=HOST) as receiver:
        await bind(service, {"function": {"name": name}}, await a_target(service, receiver.url))
        asked = pb.CallFunctionRequest(function=name, payload_json='{"p": 1.0, "p": 2}')
        result = await call(service, wire, "CallFunction", asked)
        (seen,) = receiver.calls

    assert f'{{"function":"function/{name}","p":1.0,"p":2}}'.encode() == seen.body
    assert result.message is not None
    assert (text, "{}") == (result.message.answer_json, result.message.claims_json)


@json_wires
async def test_what_is_ours_is_not_sent_twice(service: Service, face: str):
    """
    Also when an escape hides its name.
    """
    name = next(WORDS)
    entry = {"kind": "CATALOGUE_KIND_FUNCTION", "name": name}
    await service.ask("AddEntries", {"entries": [entry]})
    payload = '{"function":1,"a":1.0,"respons\\u0065":2,"\\u0062":{"response":3}}'
    async with Receiver([Answer()], host=HOST) as receiver:
        await bind(service, {"function": {"name": name}}, await a_target(service, receiver.url))
        asked = f'{{"function":"{name}","payload":{payload}}}'
        await post(service, face, "CallFunction", asked)
        (seen,) = receiver.calls

    rest = '"a":1.0,"\\u0062":{"response":3}'
    assert f'{{"function":"function/{name}",{rest}}}'.encode() == seen.body


@each_text
async def test_a_test_sends_the_text(service: Service, name: str):
    """
    Over REST the id of the target stands in the path, and the body is put together with it.
    """
    text, for_targets = TEXTS[name]
    async with Receiver([Answer()] * 3, host=HOST) as receiver:
        target = await a_target(service, receiver.url)
        path = f"/v1/targets/{target}/test"
        rpc = "/outrider.v1.TargetPolicyService/TestTarget"
        await send(service, path, f'{{"payload":{text}}}')
        await send(service, rpc, f'{{"targetId":"{target}","payload":{text}}}')
        request = policy_pb.TestTargetRequest(target_id=target, payload_json=text)
        await call(service, Wire.GRPC, "TestTarget", request)
        bodies = [seen.body.decode() for seen in receiver.calls]

    assert [for_targets] * 3 == bodies


# Events and the catalogue


@json_wires
@each_text
async def test_a_payload_is_delivered_as_its_text(service: Service, face: str, name: str):
    text, for_targets = TEXTS[name]
    type_ = f"{next(WORDS)}.happened"
    target = await a_target(service, f"http://{HOST}:9/", "restWebhook")
    await service.ask("PublishEvents", {"events": [{"eventType": type_}]})
    await bind(service, {"event": {"event": type_}}, target)
    event = f'{{"eventType":"{type_}","eventPayload":{text}}}'
    answer = await post(service, face, "PublishEvents", f'{{"events":[{event}]}}')

    assert (200, 1) == (answer.status, answer.json()["results"][0]["deliveries"])
    assert for_targets == raw(await delivered(service, type_), "event_payload")


async def delivered(service: Service, event_type: str) -> bytes:
    """The body of the one delivery of an event type."""
    found = await service.ask("ListDeliveries", {"eventType": event_type})
    method = rpc_named("GetDelivery")
    request = method.input.type(id=found["deliveries"][0]["id"])
    result = await call(service, Wire.GRPC, "GetDelivery", request)
    assert result.message is not None
    return bytes(result.message.delivery.payload)


@json_wires
@each_text
async def test_a_schema_and_an_example_are_kept_as_text(service: Service, face: str, name: str):
    text, _ = TEXTS[name]
    word = next(WORDS)
    entry = f'{{"kind":3,"name":"{word}.a","schema":{text},"example":{text}}}'
    await post(service, face, "AddEntries", f'{{"entries":[{entry}]}}')
    answer = await post(service, face, "ListEntries", f'{{"prefix":"{word}"}}')
    strings = await post(service, face, "ListEntries", f'{{"prefix":"{word}","asText":true}}')
    binary = await call(
        service, Wire.GRPC, "ListEntries", ListEntriesRequest(prefix=word, as_text=True)
    )

    entries = raw(answer.body, "entries")
    assert f'"schema":{text}' in entries
    assert f'"example":{text}' in entries
    method = f"/{word}.A/B"
    entry = f'{{"kind":1,"name":"{method}","responseExample":{text}}}'
    await post(service, face, "AddEntries", f'{{"entries":[{entry}]}}')
    answer = await post(service, face, "ListEntries", f'{{"prefix":"{method}"}}')
    assert f'"responseExample":{text}' in raw(answer.body, "entries")
    assert [text, text] == [strings.json()["entries"][0][f"{n}Json"] for n in ("schema", "example")]
    assert isinstance(binary.message, ListEntriesResponse)
    assert (text, text) == (
        binary.message.entries[0].schema_json,
        binary.message.entries[0].example_json,
    )


@json_wires
async def test_each_call_has_its_own_form(service: Service, face: str):
    """
    One waits for its target while another one, of the other form, is answered.
    """
    released = asyncio.Event()
    waiting = Answer(body=b'{"n":1.0}', hang_until=released)
    async with Receiver([waiting] * 2, host=HOST) as receiver:
        method = await a_method(service)
        await bind(service, {"request": {"method": method}}, await a_target(service, receiver.url))
        asked = f'{{"fullMethod":"{method}","request":{{}}}}'
        objects = asyncio.create_task(post(service, face, "InterceptRequest", asked))
        asked = f'{{"fullMethod":"{method}","requestJson":"{{}}"}}'
        strings = asyncio.create_task(post(service, face, "InterceptRequest", asked))
        await receiver.wait_for(2)
        plain = await post(service, face, "InterceptRequest", '{"fullMethod":"/a.B/C"}')
        released.set()
        answers = [(await objects).json(), (await strings).json()]

    assert {"request": {}} == plain.json()
    assert ['{"n": 1.0}', '{"n":1.0}'] == [
        json.dumps(answers[0]["request"]),
        answers[1]["requestJson"],
    ]
