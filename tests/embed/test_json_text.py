"""JSON text in, JSON text out: by the engine, and around the bodies of an application."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embed.asgi.test_middleware import CREATE, bind, shop
from embed.asgi_server import call, serve
from outrider.domain.formats.json_members import members_of
from outrider.embed import Engine, Event, on_event, on_function, on_request, on_response
from outrider.errors import InvalidRequest
from outrider.testing.receiver import Answer, Receiver

METHOD = "/acme.v1.Shop/Create"
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "json_text.json").read_text())
TEXTS = {row["name"]: (row["text"], row["for_targets"]) for row in VECTORS["texts"]}
each_text = pytest.mark.parametrize("name", TEXTS)


def raw(body: bytes, name: str) -> str:
    """The text of one member."""
    return members_of(body.decode())[name].text


def raw_body(body: bytes, name: str) -> str:
    """The text of the body in the message of a call."""
    return members_of(raw(body, name))["body"].text


@each_text
async def test_the_engine_takes_and_gives_text(engine, name):
    """
    Requests and responses; targets get it as they get it from a server.
    """
    text, for_targets = TEXTS[name]
    async with Receiver(lambda _: Answer(body=text.encode())) as receiver:
        await engine.register_methods([METHOD])
        target = await engine.create_target("t", receiver.url)
        await engine.set_execution(on_request(METHOD), [target])
        await engine.set_execution(on_response(METHOD), [target])

        asked = await engine.intercept_request(METHOD, text)
        answered = await engine.intercept_response(METHOD, text, request=text)
        first, second = receiver.calls

    assert (text, text) == (asked.message, answered.message)
    assert for_targets == raw(first.body, "request") == raw(second.body, "request")
    assert for_targets == raw(second.body, "response")


async def test_a_dict_keeps_whole_numbers(engine):
    """
    Python has them all.
    """
    message = {"id": 7615917337495251231, "n": 1, "p": 0.1}
    async with Receiver(lambda _: Answer(body=json.dumps(message).encode())) as receiver:
        await engine.register_methods([METHOD])
        target = await engine.create_target("t", receiver.url)
        await engine.set_execution(on_request(METHOD), [target])

        done = await engine.intercept_request(METHOD, message)
        (seen,) = receiver.calls

    assert '{"id":7615917337495251231,"n":1,"p":0.1}' == raw(seen.body, "request")
    assert (message, int) == (done.message, type(done.message["n"]))


@pytest.mark.parametrize("number", VECTORS["numbers"])
async def test_functions_take_and_give_text(engine, number):
    claims = f'{{"append_claims":[{{"key":"a","value":{number}}}]}}'
    async with Receiver(lambda _: Answer(body=claims.encode())) as receiver:
        target = await engine.create_target("t", receiver.url)
        await engine.set_execution(on_function("preuserinfo"), [target])

        done = await engine.call_function("preuserinfo", f'{{"userinfo": {{"n": {number}}}}}')
        (seen,) = receiver.calls

    assert f'{{"n":{number}}}' == raw(seen.body, "userinfo")
    assert claims == done.message


@pytest.mark.parametrize("text", ["", "[]", "{", "1", '{"a":NaN}'])
async def test_text_that_is_no_object_is_refused(engine, receiver, text):
    await engine.register_methods([METHOD])
    target = await engine.create_target("t", receiver.url)
    await engine.set_execution(on_request(METHOD), [target])

    with pytest.raises(InvalidRequest, match="the message must be JSON"):
        await engine.intercept_request(METHOD, text)
    with pytest.raises(InvalidRequest, match="the message must be JSON"):
        await engine.call_function("preuserinfo", text)
    with pytest.raises(InvalidRequest, match=r"events\[0\].payload"):
        await engine.publish(Event(event_type="a", payload=text))


@each_text
async def test_a_payload_may_be_text(engine, receiver, name):
    text, for_targets = TEXTS[name]
    target = await engine.create_target("t", receiver.url, type="webhook")
    await engine.register_event_types(["order.created"])
    await engine.set_execution(on_event("order.created"), [target])

    await engine.publish(Event(event_type="order.created", payload=text))
    await receiver.wait_for(1)

    assert for_targets == raw(receiver.calls[0].body, "event_payload")


@pytest.fixture
def middle(tmp_path):
    """An engine that an application opens."""
    return Engine.open(data_dir=tmp_path / "data", dev=True)


@each_text
async def test_a_body_that_no_target_changed_keeps_its_bytes(middle, name):
    """
    And the target saw every number of it.
    """
    text, for_targets = TEXTS[name]
    async with Receiver() as receiver, serve(shop(middle)) as port:
        await bind(middle, on_request("/acme.Shop/raw"), receiver)
        sent = text.encode()
        reply = await call(port, "POST", "/v1/raw", sent)

    assert for_targets == raw_body(receiver.calls[0].body, "request")
    assert sent == reply.body


@each_text
async def test_a_changed_body_is_the_text_of_the_target(middle, name):
    text, _ = TEXTS[name]
    async with (
        Receiver(lambda _: Answer(body=b'{"body": ' + text.encode() + b"}")) as receiver,
        serve(shop(middle)) as port,
    ):
        await bind(middle, on_request("/acme.Shop/raw"), receiver)
        await bind(middle, on_response("/acme.Shop/shape"), receiver)
        raw_reply = await call(port, "POST", "/v1/raw", b"{}")
        shaped = await call(port, "GET", "/v1/shape/object")

    assert text.encode() == raw_reply.body == shaped.body


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-be"])
async def test_what_frameworks_read_does_not_slip_past_the_targets(middle, encoding):
    """
    Python's JSON reads more than UTF-8.
    """
    async with Receiver() as receiver, serve(shop(middle)) as port:
        await bind(middle, on_request(CREATE), receiver)
        sent = '{"a":1.0}'.encode(encoding)
        await call(port, "POST", "/v1/orders/tea", sent)

    assert '{"a":1.0}' == raw_body(receiver.calls[0].body, "request")
