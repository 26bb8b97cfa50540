"""What targets are told, byte for byte, and which calls nobody is told of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.ids import InstanceId
from outrider.domain.interception.function import FunctionAnswers
from outrider.domain.interception.message import JSON_OBJECTS, InvalidResponse, Replaceable
from outrider.domain.interception.payload import (
    InterceptedCall,
    RenderedOnce,
    RequestSubject,
    ResponseSubject,
    is_exempt,
    method_lookup_id,
    shown_headers,
)
from outrider.domain.routing.condition import ConditionKind
from support.builders import INSTANCE

VECTORS = Path(__file__).parents[3] / "vectors" / "interception_payloads.json"
CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
CALL = InterceptedCall(full_method="/a.B/C")


def subject_of(case):
    if case["kind"] == "function":
        answers = FunctionAnswers(case["function"], json.loads(case["payload_json"]))
        for answer in case["answers"]:
            answers.apply(answer.encode())
        return answers
    call = InterceptedCall(**case["call"])
    instance = InstanceId(case["instance_id"])
    request = Replaceable(JSON_OBJECTS, json.loads(case["request_json"]))
    if case["kind"] == "request":
        return RequestSubject(call, instance, request)
    response = Replaceable(JSON_OBJECTS, json.loads(case["response_json"]))
    return ResponseSubject(call, instance, request.text(), response)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}: {case['name']}")
def test_targets_get_the_bytes_of_the_vectors(case):
    """
    Receivers were written against ZITADEL, and the signature covers every byte.
    """
    assert case["body"] == subject_of(case).render().decode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}: {case['name']}")
def test_a_vector_is_json_itself(case):
    """
    A wrong vector would make everybody wrong.
    """
    assert isinstance(json.loads(case["body"]), dict)
    assert all(each not in case["body"] for each in "<>&\u2028\u2029")


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
def test_nobody_can_lock_himself_out(method):
    """
    Whoever repairs an execution must not be stopped by it (ZITADEL's issue 8205).
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
    A name that only resembles one is somebody's own service.
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
    assert "s3cret" not in repr(FunctionAnswers("f", {"token": "s3cret"}))


class Counting:
    """A subject that counts."""

    def __init__(self) -> None:
        self.renders = 0
        self.fails = False

    def render(self) -> bytes:
        self.renders += 1
        return b"%d" % self.renders

    def apply(self, body: bytes) -> None:
        if self.fails:
            raise InvalidResponse("no")


def test_a_body_is_rendered_once_for_all_targets_that_change_nothing():
    """
    Webhooks are the usual case, and a message may have megabytes.
    """
    counting = Counting()
    once = RenderedOnce(counting)
    assert b"1" == once.render()
    once.apply(b"")
    assert b"1" == once.render()
    once.apply(b"{}")
    assert b"2" == once.render()
    counting.fails = True
    with pytest.raises(InvalidResponse):
        once.apply(b"null")

    # An answer that cannot be applied may have left its trace all the same.
    assert b"3" == once.render()


def test_a_response_shows_the_request_as_it_was_given():
    """
    What the application answered, after its own request executions; nobody changes it here.
    """
    subject = ResponseSubject(CALL, INSTANCE, '{"id":"1"}', Replaceable(JSON_OBJECTS, {"a": 1}))
    subject.apply(b'{"id":"2"}')
    shown = json.loads(subject.render())

    assert ({"id": "1"}, {"id": "2"}) == (shown["request"], shown["response"])
