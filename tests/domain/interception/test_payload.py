"""The bodies for targets, byte for byte, what responses change, and which calls are exempt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.formats import go_json
from outrider.domain.ids import InstanceId
from outrider.domain.interception.function import FunctionPayload
from outrider.domain.interception.message import JSON_OBJECTS, MAX_DEPTH, InvalidResponse
from outrider.domain.interception.payload import (
    InterceptedCall,
    InterceptionPayload,
    is_exempt,
    method_lookup_id,
    shown_headers,
)
from outrider.domain.routing.condition import ConditionKind
from support.builders import INSTANCE

VECTORS = Path(__file__).parents[3] / "vectors" / "interception_payloads.json"
CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
CALL = InterceptedCall(full_method="/a.B/C")


BEFORE = {"id": "1", "kept": True}


def payload_of(case):
    if case["kind"] == "function":
        payload = FunctionPayload(case["function"], json.loads(case["payload_json"]))
        for body in case["answers"]:
            payload.apply(body.encode())
        return payload
    call = InterceptedCall(**case["call"])
    instance = InstanceId(case["instance_id"])
    request = json.loads(case["request_json"])
    if case["kind"] == "request":
        return InterceptionPayload(call, instance, JSON_OBJECTS, request)
    response = json.loads(case["response_json"])
    request_text = JSON_OBJECTS.render(request)
    return InterceptionPayload(call, instance, JSON_OBJECTS, response, request_text)


def request_payload() -> InterceptionPayload:
    return InterceptionPayload(CALL, INSTANCE, JSON_OBJECTS, dict(BEFORE))


def rendered(message) -> bytes:
    """The body for targets with this request."""
    text = go_json.dumps(message)
    return f'{{"fullMethod":"/a.B/C","instanceID":"{INSTANCE}","request":{text}}}'.encode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}: {case['name']}")
def test_targets_get_the_bytes_of_the_vectors(case):
    """
    Receivers were written against ZITADEL, and the signature covers every byte.
    """
    assert case["body"] == payload_of(case).render().decode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}: {case['name']}")
def test_a_vector_is_json_itself(case):
    """
    A wrong vector would make every implementation wrong.
    """
    assert isinstance(json.loads(case["body"]), dict)
    assert all(sign not in case["body"] for sign in "<>&\u2028\u2029")


@pytest.mark.parametrize(
    "method",
    [
        "/zitadel.action.v2.ActionService/SetExecution",
        "/zitadel.action.v2.ActionService/AnyMethodThatIsToCome",
        "/zitadel.action.v2beta.ActionService/DeleteTarget",
        "/zitadel.webkey.v2.WebKeyService/ActivateWebKey",
        "/zitadel.webkey.v2beta.WebKeyService/ListWebKeys",
        "/outrider.v1.TargetPolicyService/SetTargetPolicy",
        "/outrider.v1.EventService/PublishEvents",
        "/outrider.v1.AServiceThatIsToCome/Do",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "zitadel.action.v2.ActionService/GetTarget",
    ],
)
def test_no_operator_can_lock_himself_out(method):
    """
    An operator who repairs an execution must not be stopped by it (ZITADEL's issue 8205).
    """
    assert is_exempt(method)


@pytest.mark.parametrize(
    "method",
    [
        "/zitadel.user.v2.UserService/AddHumanUser",
        "/zitadel.action.v2.ActionServices/Get",
        "/zitadel.action.v2.actionservice/Get",
        "/zitadel.action.v3.ActionService/Get",
        "/zitadel.action.v2/ActionService",
        "/outrider.v10.Any/Do",
        "/outrider.v1/Do",
        "/com.outrider.v1.Any/Do",
        "/grpc.healthy.v1.Health/Check",
        "/grpc.reflections.v1.Any/Do",
        "/zitadel.user.v2.UserService/zitadel.action.v2.ActionService",
        "/",
        "",
    ],
)
def test_everything_else_is_intercepted(method):
    """
    A name that only resembles one is an application's service.
    """
    assert not is_exempt(method)


def test_a_method_is_looked_up_without_its_slash():
    """
    Ids of executions have one slash after the kind.
    """
    assert "request/a.B/C" == method_lookup_id(ConditionKind.REQUEST, "/a.B/C")
    assert "response/a.B/C" == method_lookup_id(ConditionKind.RESPONSE, "a.B/C")


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(max_size=5), max_size=3)))
def test_no_header_but_the_listed_ones_is_ever_shown(headers):
    """
    Credentials of the caller are none of a target's business.
    """
    listed = {"content-type", "x-forwarded-for", "x-forwarded-host", "host", "origin"}

    assert {shown_header.lower() for shown_header in shown_headers(headers)} <= listed


@pytest.mark.parametrize("name", ["authorization", "Cookie", "x-api-key", "ho\u017ft", "host "])
def test_what_only_resembles_a_listed_header_is_not_shown(name):
    """
    The Unicode long s folds to an s: names of headers are ASCII.
    """
    assert {} == shown_headers({name: ["secret"]})


def test_credentials_are_not_in_a_repr():
    """
    Calls end up in tracebacks.
    """
    call = InterceptedCall(full_method="/a.B/C", headers={"authorization": ["Bearer s3cret"]})

    assert "s3cret" not in repr(call)
    assert "s3cret" not in repr(
        InterceptionPayload(call, INSTANCE, JSON_OBJECTS, {"token": "s3cret"}, '{"t":"s3cret"}')
    )
    assert "s3cret" not in repr(FunctionPayload("f", {"token": "s3cret"}))


@pytest.mark.parametrize(
    ("body", "after"),
    [
        (b"", BEFORE),
        (b"{}", {}),
        (b'{"id":"2"}', {"id": "2"}),
        (b' \n{"id":null}\n', {"id": None}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"a":9007199254740993}', {"a": 9007199254740993}),
        (b'{"a":1' + b"0" * 308 + b"}", {"a": 10**308}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a":"\\ud83d","b":"\\ude00"}', {"a": "\ufffd", "b": "\ufffd"}),
        (b'{"\\udfff":["\\ud800x"]}', {"\ufffd": ["\ufffdx"]}),
        (b'{"a":"\\\\ud800"}', {"a": "\\ud800"}),
        (b'{"a":"\\u0000"}', {"a": "\0"}),
    ],
)
def test_a_response_replaces_the_message_whole(body, after):
    """
    Nothing is merged; an empty body changes nothing.
    """
    payload = request_payload()
    payload.apply(body)

    assert after == payload.message
    assert rendered(after) == payload.render()


@pytest.mark.parametrize(
    ("body", "is_json"),
    [
        (b"not JSON", False),
        (b"{", False),
        (b"{} {}", False),
        (b"{'a':1}", False),
        (b'{"a":1,}', False),
        (b" ", False),
        (b"\xff", False),
        (b'{"a":"\xff"}', False),
        (b'\xef\xbb\xbf{"a":1}', False),
        ('{"a":1}'.encode("utf-16"), False),
        (b'{"a":NaN}', False),
        (b'{"a":-Infinity}', False),
        (b'{"a":1e999}', False),
        (b'{"a":1' + b"0" * 400 + b"}", False),
        (b'{"a":-1' + b"0" * 5000 + b"}", False),
        (b'{"a":"\n"}', False),
        (b'{"a":01}', False),
        (b"[" * 100_000, False),
        (b"[]", True),
        (b'"text"', True),
        (b"1", True),
        (b"true", True),
        (b'[{"a":1}]', True),
        (b'{"a":' * MAX_DEPTH + b"{}" + b"}" * MAX_DEPTH, True),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_applied_changes_nothing(body, is_json):
    """
    The message is passed on unchanged where the target does not interrupt.
    """
    payload = request_payload()
    with pytest.raises(InvalidResponse) as refused:
        payload.apply(body)

    assert is_json == refused.value.is_json
    assert BEFORE == payload.message
    assert rendered(BEFORE) == payload.render()


@pytest.mark.parametrize("body", [b"null", b" null\n"])
def test_null_empties_the_message_and_is_an_error(body):
    """
    As in ZITADEL: the message is reset before the error is found.
    """
    payload = request_payload()
    with pytest.raises(InvalidResponse) as refused:
        payload.apply(body)

    assert "the answer is null" == refused.value.reason
    assert rendered({}) == payload.render()


class CountingType:
    """A kind of message that counts how often it is rendered; `fails` lets its parser fail."""

    def __init__(self) -> None:
        self.renders = 0
        self.fails = False

    def render(self, message, /) -> str:
        self.renders += 1
        return go_json.dumps(message)

    def parse(self, body: bytes, /):
        if self.fails:
            raise InvalidResponse("no")
        return JSON_OBJECTS.parse(body)

    empty = JSON_OBJECTS.empty


def test_a_body_is_rendered_once_for_all_targets_that_change_nothing():
    """
    Webhooks are the usual case, and a message may have megabytes.
    """
    counting = CountingType()
    payload = InterceptionPayload(CALL, INSTANCE, counting, {})
    assert (rendered({}), 1) == (payload.render(), counting.renders)
    assert (rendered({}), 1) == (payload.render(), counting.renders)
    payload.apply(b"")
    assert (rendered({}), 1) == (payload.render(), counting.renders)
    payload.apply(b'{"a":1}')
    assert (rendered({"a": 1}), 2) == (payload.render(), counting.renders)
    counting.fails = True
    with pytest.raises(InvalidResponse):
        payload.apply(b"no")

    # A response that cannot be applied may have changed the message all the same.
    assert (rendered({"a": 1}), 3) == (payload.render(), counting.renders)


def test_the_body_of_a_function_is_rendered_once_too():
    """
    It has the same interface.
    """
    payload = FunctionPayload("f", {"a": 1})
    body = payload.render()
    assert body is payload.render()
    payload.apply(b"")
    payload.apply(b"null")
    assert body is payload.render()
    payload.apply(b'{"b":2}')

    assert b'{"function":"function/f","a":1,"response":{"b":2}}' == payload.render()
    assert payload.render() is payload.render()


def test_a_response_shows_the_request_as_it_was_given():
    """
    The one that the application handled, after its own executions; targets do not change it.
    """
    payload = InterceptionPayload(CALL, INSTANCE, JSON_OBJECTS, {"a": 1}, '{"id":"1"}')
    payload.apply(b'{"id":"2"}')
    shown = json.loads(payload.render())

    assert ({"id": "1"}, {"id": "2"}) == (shown["request"], shown["response"])
