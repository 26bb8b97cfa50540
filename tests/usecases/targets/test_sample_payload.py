"""Made-up bodies have the shape of real ones."""

from __future__ import annotations

import json

import pytest

from outrider.domain.ids import InstanceId
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.usecases.targets.sample_payload import SAMPLE_EVENT_TYPE, sample_body

NOW_NS = 1_735_787_045_000_000_000
INSTANCE = InstanceId("3")
EXAMPLE = '{"userName": "a&b", "big": 9007199254740993}'
REQUEST, RESPONSE = ConditionKind.REQUEST, ConditionKind.RESPONSE
FUNCTION, EVENT = ConditionKind.FUNCTION, ConditionKind.EVENT
METHOD = "/zitadel.user.v2.UserService/AddHumanUser"


def body(condition: Condition | None, example: str | None = None) -> dict:
    return json.loads(sample_body(condition, example, INSTANCE, NOW_NS))


@pytest.mark.parametrize(
    ("condition", "event_type"),
    [
        (None, SAMPLE_EVENT_TYPE),
        (Condition(EVENT, Scope.ALL), SAMPLE_EVENT_TYPE),
        (Condition(EVENT, Scope.GROUP, "user"), SAMPLE_EVENT_TYPE),
        (Condition(EVENT, Scope.EVENT, "user.human.added"), "user.human.added"),
    ],
    ids=str,
)
def test_an_event(condition, event_type):
    """
    A target that is bound to nothing gets one, too.
    """
    shown = body(condition, EXAMPLE)

    assert (event_type, "3") == (shown["event_type"], shown["instanceID"])
    assert "2025-01-02T03:04:05Z" == shown["created_at"]
    assert json.loads(EXAMPLE) == shown["event_payload"]


@pytest.mark.parametrize(
    ("condition", "method"),
    [
        (Condition(REQUEST, Scope.ALL), "/outrider.sample.SampleService/DoSomething"),
        (Condition(REQUEST, Scope.SERVICE, "a.B"), "/a.B/DoSomething"),
        (Condition(REQUEST, Scope.METHOD, METHOD), METHOD),
        (Condition(RESPONSE, Scope.METHOD, METHOD), METHOD),
    ],
    ids=str,
)
def test_a_call(condition, method):
    """
    Both messages where a response is intercepted.
    """
    shown = body(condition, EXAMPLE)

    assert (method, "3") == (shown["fullMethod"], shown["instanceID"])
    assert json.loads(EXAMPLE) == shown["request"]
    assert (condition.kind is RESPONSE) == ("response" in shown)


@pytest.mark.parametrize("function", ["preuserinfo", "preaccesstoken", "presamlresponse"])
def test_a_function(function):
    """
    With the keys that ZITADEL's newest release sends; an assertion has no request with scopes.
    """
    shown = body(Condition(FUNCTION, Scope.NAME, function))

    assert f"function/{function}" == shown["function"]
    assert {"userinfo", "user", "user_grants"} <= shown.keys()
    scope = shown.get("request", {}).get("scope")
    assert (["openid", "profile", "email"] if function != "presamlresponse" else None) == scope


@pytest.mark.parametrize("example", ["{}", " { } ", EXAMPLE])
def test_a_function_with_an_example(example):
    """
    What the catalogue knows, as it is written there.
    """
    shown = body(Condition(FUNCTION, Scope.NAME, "quote.price"), example)

    assert {"function": "function/quote.price", **json.loads(example)} == shown
