"""What an answer makes of a message, and that no answer breaks the reader."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.domain.formats import go_json
from outrider.domain.interception.message import (
    JSON_OBJECTS,
    MAX_DEPTH,
    InvalidResponse,
    Replaceable,
    parse_json,
)

BEFORE = {"id": "1", "kept": True}


def replaceable() -> Replaceable:
    return Replaceable(JSON_OBJECTS, dict(BEFORE))


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
def test_an_answer_replaces_the_message_whole(body, after):
    """
    Nothing is merged; nothing at all changes nothing (sheet, section 3.8).
    """
    message = replaceable()
    message.apply(body)

    assert after == message.value
    assert go_json.dumps(after) == message.text()


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
    The message goes on as it was, where the target does not interrupt.
    """
    message = replaceable()
    with pytest.raises(InvalidResponse) as refused:
        message.apply(body)

    assert is_json == refused.value.is_json
    assert BEFORE == message.value
    assert go_json.dumps(BEFORE) == message.text()


@pytest.mark.parametrize("body", [b"null", b" null\n"])
def test_null_empties_the_message_and_is_an_error(body):
    """
    As in ZITADEL: the message is reset before the error is found.
    """
    message = replaceable()
    with pytest.raises(InvalidResponse) as refused:
        message.apply(body)

    assert "the answer is null" == refused.value.reason
    assert "{}" == message.text()


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
    A list of a thousand objects is an ordinary answer.
    """
    assert [{}] * 1000 == parse_json(b"[" + b",".join([b"{}"] * 1000) + b"]")


def test_a_message_is_rendered_once():
    """
    Every target in front of a change gets the same text.
    """

    class Counting:
        renders = 0

        def render(self, message, /) -> str:
            self.renders += 1
            return go_json.dumps(message)

        parse, empty = JSON_OBJECTS.parse, JSON_OBJECTS.empty

    counting = Counting()
    message = Replaceable(counting, {})
    message.text()
    message.text()
    message.apply(b"")
    assert ("{}", 1) == (message.text(), counting.renders)
    message.apply(b'{"a":1}')

    assert ('{"a":1}', 2) == (message.text(), counting.renders)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
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
