"""How the JSON of a response is read, and that no response breaks the reader."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.domain.formats import go_json
from outrider.domain.interception.message import (
    JSON_TEXTS,
    MAX_DEPTH,
    InvalidResponse,
    parse_as_written,
    parse_json,
)


def test_the_deepest_message_that_is_taken():
    """
    One deeper is too deep; both are far from what Python could stand.
    """
    deepest = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)

    assert json.loads(deepest) == parse_json(deepest)
    assert {"a": parse_json(deepest)} == parse_json(b'{"a":' + deepest + b"}")
    with pytest.raises(InvalidResponse, match=f"nested deeper than {MAX_DEPTH}"):
        parse_json(b"[[" + deepest + b"]]")


def test_many_brackets_side_by_side_are_not_deep():
    """
    A list of a thousand objects is an ordinary response.
    """
    assert [{}] * 1000 == parse_json(b"[" + b",".join([b"{}"] * 1000) + b"]")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(
    st.text(),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    ),
).map(json.dumps)
BODIES = (
    VALUES.map(json.dumps).map(str.encode)
    | st.binary()
    | st.integers(0, 400).map(lambda depth: b"[" * depth + b"]" * depth)
    | st.lists(st.sampled_from([r"\ud800", r"\udc00", "a", r"\\", r"\""])).map(
        lambda parts: f'{{"a":"{"".join(parts)}"}}'.encode()
    )
)


@given(BODIES)
@example(b'{"a":' + b"9" * 5000 + b"}")
@example(b'{"a":1e999,"b":-1e-999}')
@example(b"[" * 500_000)
@example(b'"\\ud800\\ud83d\\ude00\\udc00"')
def test_whatever_is_taken_can_be_printed_and_read_again(body):
    """
    The next target gets it, and the caller: nothing that was taken may fail there.
    """
    try:
        value = parse_json(body)
    except InvalidResponse:
        return
    printed = go_json.dumps(value)

    assert json.dumps(value) == json.dumps(json.loads(printed.encode())) or has_float(value)


def has_float(value) -> bool:
    """Go prints 1.0 as 1: such numbers come back as another type."""
    if isinstance(value, dict):
        return any(map(has_float, value.values()))
    if isinstance(value, list):
        return any(map(has_float, value))
    assert not isinstance(value, float) or math.isfinite(value)
    return isinstance(value, float)


@given(OBJECTS)
@example('{"a":1,"a":1.0}')
def test_text_is_taken_as_it_is(text):
    """
    And printed for targets without its white space, its numbers and escapes as they are.
    """
    assert text == JSON_TEXTS.parse(f" {text}\n".encode())
    assert go_json.compact(text) == JSON_TEXTS.render(text)


@pytest.mark.parametrize(
    ("body", "reason", "is_json"),
    [
        (b"", "not JSON", False),
        (b"{", "not JSON", False),
        (b'{"a":"\xff"}', "not JSON", False),
        (b"1", "not a JSON object", True),
        (b'"a"', "not a JSON object", True),
        (b"[]", "not a JSON object", True),
        (b'{"a":' * 49 + b"1" + b"}" * 49, "nested deeper than 48", True),
        (b'{"a":[' + b"1," * 20_000 + b"1]}", "more than 20000 values", False),
    ],
)
def test_text_that_is_no_message(body, reason, is_json):
    with pytest.raises(InvalidResponse, match=reason) as refused:
        JSON_TEXTS.parse(body)

    assert is_json == refused.value.is_json


def test_numbers_of_an_answer_can_be_kept():
    """
    A half of a surrogate pair next to them is replaced, as ever.
    """
    body = b'{"a":[1.0,-0,1e400],"b":"\\ud800"}'

    assert '{"a":[1.0,-0,1e400],"b":"\ufffd"}' == go_json.dumps_as_read(parse_as_written(body))


def test_an_answer_whose_numbers_are_kept_has_fewer_values():
    parse_as_written(b"[" + b"1," * 4998 + b"1]")
    with pytest.raises(InvalidResponse, match="more than 5000 values"):
        parse_as_written(b"[" + b"1," * 4999 + b"1]")
