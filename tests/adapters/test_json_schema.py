"""JSON Schemas of applications: what can be checked against, and what hostile ones may not do."""

from __future__ import annotations

import json
import time

import pytest

from outrider.adapters.json_schema import JsonSchemas
from outrider.domain.interception.message import InvalidResponse
from outrider.domain.interception.response_check import check_response
from outrider.domain.routing.condition import ConditionKind
from outrider.testing.receiver import Receiver
from outrider.usecases.ports.schemas import InvalidSchema

REQUEST = ConditionKind.REQUEST


def check(schema: object, answer: object, before: object = None) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    compiled = JsonSchemas().compile(json.dumps(schema))
    check_response(text.encode(), lambda: json.dumps(before or {}), compiled)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nothing"},
        {"properties": 5},
        {"pattern": "("},
        # No linear engine has a look ahead.
        {"pattern": "(?=a)a"},
        {"$schema": "http://example.com/unknown"},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "#"}}},
    ],
    ids=str,
)
def test_what_cannot_be_checked_against_is_no_schema(schema):
    with pytest.raises(InvalidSchema) as caught:
        JsonSchemas().compile(json.dumps(schema))
    assert 0 < len(str(caught.value)) <= 200


async def test_nothing_is_fetched():
    """
    A tenant's schema would reach what only the server can reach.
    """
    async with Receiver() as receiver:
        for name in ("$ref", "$schema", "$id"):
            try:
                JsonSchemas().compile(json.dumps({name: receiver.url}))
            except InvalidSchema:
                continue
        assert [] == receiver.calls


def test_a_pattern_takes_linear_time():
    """
    `(a+)+$` takes a backtracking engine longer than any caller waits.
    """
    schema = {"properties": {"a": {"pattern": "^(a+)+$"}}}
    began = time.process_time()
    with pytest.raises(InvalidResponse, match="/properties/a/pattern"):
        check(schema, {"a": "a" * 50_000 + "!"})
    assert time.process_time() - began < 1


def test_too_many_values_for_a_costly_schema():
    """
    Each of them would be looked at hundreds of times.
    """
    schema = {"properties": {"a": {"items": {"anyOf": [{"type": "string"}] * 500}}}}
    check(schema, {"a": ["x"] * 100})
    with pytest.raises(InvalidResponse, match="too many values"):
        check(schema, {"a": ["x"] * 5000})


def test_a_number_that_python_cannot_read():
    with pytest.raises(InvalidResponse, match="cannot be checked"):
        check({"type": "object"}, '{"a":' + "1" * 5000 + "}")


@pytest.mark.parametrize(
    ("schema", "answer", "reason"),
    [
        ({"additionalProperties": False}, {"a": 1, "a/b": 1}, "/a~1b of the answer violates"),
        ({"unevaluatedProperties": False}, {"b": 1}, "/b of the answer violates /unevaluated"),
        ({"required": ["a"]}, {}, "/ of the answer violates /required"),
        ({"properties": {"a": {"maximum": 5}}}, {"a": 6}, "/a of the answer violates"),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"c": 1}, "/oneOf"),
        ({"properties": {"b": {"const": "x"}}}, {"b": "geheim"}, "/properties/b/const"),
    ],
)
def test_the_reason_has_place_and_rule(schema, answer, reason):
    """
    An operator finds what to change; the value stays out of the log.
    """
    with pytest.raises(InvalidResponse) as caught:
        check(schema, answer, before={"a": 1})
    assert reason in caught.value.reason
    assert "geheim" not in caught.value.reason


def test_what_the_message_violated_before_is_not_the_targets_fault():
    """
    The application sent it so.
    """
    schema = {"required": ["a"], "properties": {"b": {"type": "string"}}}
    check(schema, {"b": "x"}, before={"c": 1})
    check(schema, {"b": 6}, before={"b": 5})
    with pytest.raises(InvalidResponse, match="/b of"):
        check(schema, {"b": 6}, before={"c": 1})
