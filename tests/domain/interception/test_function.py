"""How the responses to a function add up."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.domain.interception.function import FunctionPayload, function_lookup_id
from outrider.domain.interception.message import InvalidResponse

CLAIM = {"key": "a", "value": 1}
LOG = ["one"]
FIRST = {"append_claims": [CLAIM], "append_log_claims": LOG}
TOKENS = ["preuserinfo", "preaccesstoken"]
OURS = [*TOKENS, "presamlresponse"]

for_tokens = pytest.mark.parametrize("function", TOKENS)


def after(*bodies: object, function: str = "preuserinfo", arguments=None) -> dict:
    """The result of these responses; text is sent as it is."""
    payload = FunctionPayload(function, arguments or {})
    for body in bodies:
        payload.apply((body if isinstance(body, str) else json.dumps(body)).encode())
    return payload.result


@for_tokens
@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ({}, FIRST),
        ("", FIRST),
        ("null", FIRST),
        ({"append_claims": []}, {**FIRST, "append_claims": []}),
        ({"append_claims": None}, {**FIRST, "append_claims": []}),
        (
            {"append_claims": [{"key": "b", "value": 2}]},
            {**FIRST, "append_claims": [{"key": "b", "value": 2}]},
        ),
        ({"append_log_claims": ["two"]}, {**FIRST, "append_log_claims": ["two"]}),
        (
            {"set_user_metadata": [{"key": "m", "value": "YQ=="}]},
            {**FIRST, "set_user_metadata": [{"key": "m", "value": "YQ=="}]},
        ),
        ({"append_attribute": [{"name": "n"}]}, FIRST),
        ({"unknown": {"append_claims": []}}, FIRST),
    ],
    ids=str,
)
def test_a_later_list_replaces_and_an_absent_one_stays(function, second, expected):
    """
    As Go decodes a second response into the same value: nothing is concatenated.
    """
    assert expected == after(FIRST, second, function=function)


@pytest.mark.parametrize("function", OURS)
def test_the_whole_payload_as_a_response_is_harmless(function):
    """
    A public example of a receiver answers with what it got.
    """
    arguments = {"userinfo": {"sub": "1"}, "user": {"id": "1"}, "user_grants": [{"id": "2"}]}
    payload = FunctionPayload(function, arguments)
    first = payload.render()
    payload.apply(first)
    second = payload.render()
    payload.apply(second)

    assert {} == payload.result
    assert (
        {**json.loads(first), "response": {}} == json.loads(second) == json.loads(payload.render())
    )


@for_tokens
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"APPEND_CLAIMS": [CLAIM]}, {"append_claims": [CLAIM]}),
        ({"Append_Claims": [{"KEY": "a", "Value": 1}]}, {"append_claims": [CLAIM]}),
        (
            {"set_user_metadata": [{"Key": "a", "Value": "YQ==", "State": 1}]},
            {"set_user_metadata": [{"key": "a", "value": "YQ=="}]},
        ),
        (
            '{"append_claims":[],"APPEND_CLAIMS":[{"key":"a","value":1}]}',
            {"append_claims": [CLAIM]},
        ),
        ({"append_log_claim\u017f": ["a"]}, {"append_log_claims": ["a"]}),
        ({"append_log_claim\xdf": ["a"]}, {}),
    ],
    ids=str,
)
def test_names_match_in_any_case(function, answer, expected):
    """
    Receivers in Go print the names of their fields, and Go does not mind.
    """
    assert expected == after(answer, function=function)


@pytest.mark.parametrize("encoded", ["", "YQ==", "AP8=", "/+8=", "YWJj"])
def test_metadata_is_base64(encoded):
    """
    Its values are bytes.
    """
    answer = {"set_user_metadata": [{"key": "a", "value": encoded}]}

    assert answer == after(answer)


@pytest.mark.parametrize("encoded", ["YW\r\nJj", "\nYWJj\n"])
def test_lines_of_base64_are_taken(encoded):
    """
    Encoders that follow MIME break their lines, and Go does not mind; the text that is passed on is one line.
    """
    answer = after({"set_user_metadata": [{"key": "a", "value": encoded}]})

    assert [{"key": "a", "value": "YWJj"}] == answer["set_user_metadata"]


@for_tokens
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([], "the answer is not a JSON object"),
        ("[]", "the answer is not a JSON object"),
        ("true", "the answer is not a JSON object"),
        ({"append_claims": {}}, "append_claims of the answer is not a list"),
        ({"append_claims": "a"}, "append_claims of the answer is not a list"),
        ({"append_claims": 0}, "append_claims of the answer is not a list"),
        ({"append_claims": ["a"]}, "append_claims of the answer: an element is not an object"),
        ({"append_claims": [{"key": 1}]}, "append_claims of the answer: key is not a string"),
        ({"append_log_claims": [1]}, "append_log_claims of the answer: an element is not a string"),
        ({"append_log_claims": [["a"]]}, "append_log_claims of the answer: an element is not a"),
        ({"set_user_metadata": [{"key": "a", "value": 1}]}, "value is not a string"),
        ({"set_user_metadata": [{"key": "a", "value": "YQ"}]}, "value is not Base64"),
        ({"set_user_metadata": [{"key": "a", "value": "Y Q=="}]}, "value is not Base64"),
        ({"set_user_metadata": [{"key": "a", "value": "_-8="}]}, "value is not Base64"),
        ({"set_user_metadata": [{"key": "a", "value": "\xe4"}]}, "value is not Base64"),
        ({"set_user_metadata": [{"key": "a", "value": "====="}]}, "value is not Base64"),
        ({"set_user_metadata": [[]]}, "an element is not an object"),
    ],
    ids=str,
)
def test_what_is_of_the_wrong_type_changes_nothing(function, answer, reason):
    """
    Not even the lists of the same response that are right.
    """
    if isinstance(answer, dict):
        answer = {"append_log_claims": ["two"], **answer}
    payload = FunctionPayload(function, {})
    payload.apply(json.dumps(FIRST).encode())
    before = payload.render()
    with pytest.raises(InvalidResponse) as refused:
        payload.apply((answer if isinstance(answer, str) else json.dumps(answer)).encode())

    assert reason in refused.value.reason
    assert refused.value.is_json
    assert (FIRST, before) == (payload.result, payload.render())


def test_what_is_not_json_is_told_apart():
    """
    It has a separate error, ACTION-4m9s2.
    """
    with pytest.raises(InvalidResponse) as refused:
        after("not JSON")

    assert not refused.value.is_json


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ({"name": "n", "name_format": "f", "value": ["a", "b"]}, None),
        ({"name": "n"}, {"name": "n", "name_format": "", "value": []}),
        (
            {"Name": "n", "NAME_FORMAT": None, "value": None},
            {"name": "n", "name_format": "", "value": []},
        ),
        ({}, {"name": "", "name_format": "", "value": []}),
        ({"name": "n", "value": [None]}, {"name": "n", "name_format": "", "value": [""]}),
    ],
)
def test_attributes_of_an_assertion(attribute, expected):
    """
    What is absent is empty, as in Go.
    """
    answer = after({"append_attribute": [attribute]}, function="presamlresponse")

    assert [expected or attribute] == answer["append_attribute"]


@pytest.mark.parametrize("value", ["text", "", 0, False, {}, [1], [["a"]]])
def test_an_attribute_of_another_type_is_refused(value):
    """
    Also one that Python takes for nothing.
    """
    with pytest.raises(InvalidResponse, match="append_attribute of the answer"):
        after({"append_attribute": [{"name": "n", "value": value}]}, function="presamlresponse")


def test_a_function_of_the_application_keeps_whatever_is_answered():
    """
    Its lists are not known here: keys are laid over each other, as they are written.
    """
    first = {"price": 1, "Currency": "EUR", "append_claims": "no list"}
    second = {"price": None, "currency": "CHF"}

    assert {**first, **second} == after(first, second, function="quote.price")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, "\ud800", object()])
def test_a_payload_that_is_no_json_is_an_error_of_the_caller(value):
    """
    Before any target was called.
    """
    with pytest.raises((ValueError, TypeError)):
        FunctionPayload("preuserinfo", {"user": {"id": value}}).render()


def test_a_function_is_looked_up_under_its_name():
    """
    Targets get it too.
    """
    assert "function/preuserinfo" == function_lookup_id("preuserinfo")


NAMES = st.sampled_from(
    ["append_claims", "append_log_claims", "set_user_metadata", "append_attribute", "key", "value"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(
    st.lists(VALUES.map(json.dumps).map(str.encode) | st.binary(), max_size=4),
    st.sampled_from(OURS),
)
@example([b'{"set_user_metadata":[{"key":"\\ud800","value":"\\ud800"}]}'], "preuserinfo")
@example([b'{"append_claims":[{"key":"a","value":1e999}]}'], "preuserinfo")
@example(
    [b'{"append_claims":[{"key":"a","value":' + b"[" * 5000 + b"]" * 5000 + b"}]}"], "preuserinfo"
)
def test_no_response_breaks_a_run(bodies, function):
    """
    Whatever targets send, the next one gets what was taken, and it is JSON.
    """
    payload = FunctionPayload(function, {"user": {"id": "1"}})
    for body in bodies:
        before = payload.render()
        try:
            payload.apply(body)
        except InvalidResponse:
            assert before == payload.render()
        shown = json.loads(payload.render()).get("response", {})
        assert payload.result == shown or has_float(payload.result)


def has_float(value) -> bool:
    members = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        return any(map(has_float, members))
    return isinstance(value, float)
