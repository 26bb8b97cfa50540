"""JSON as Go prints it: the receivers' tests were written against those bytes."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.domain.formats import go_json

# Lone surrogates have no bytes; no wire lets them in.
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
WRITERS = st.sampled_from([(", ", ": "), (",", ":"), (" ,\n", "\t: "), ("\r,", ":\n")])
_ESCAPED_BY_GO = re.compile("[<>&\u2028\u2029]")


@st.composite
def documents(draw):
    """Valid JSON with white space anywhere, and texts escaped in one way or the other."""
    ascii_only = draw(st.booleans())
    indent = draw(st.none() | st.integers(0, 3))
    return json.dumps(
        draw(VALUES), ensure_ascii=ascii_only, indent=indent, separators=draw(WRITERS)
    )


@given(documents())
@example('{"a":"\\\\" , "b" : "\\" "}')
@example('"\\u2028 \u2028"')
def test_compact_changes_the_writing_and_not_the_value(text):
    """
    A payload arrives at the receiver as the publisher meant it.
    """
    assert json.loads(text) == json.loads(go_json.compact(text))


@given(documents())
def test_compact_leaves_no_white_space_and_nothing_that_html_would_read(text):
    """
    Only inside texts, and there nothing is removed.
    """
    compacted = go_json.compact(text)
    external = re.sub(r'"(?:[^"\\]|\\.)*"', "", compacted)

    assert not re.search(r"\s", external)
    assert not _ESCAPED_BY_GO.search(compacted)
    assert compacted == go_json.compact(compacted)


@pytest.mark.parametrize(
    "text", ["1.50", "1E5", "1e-400", "-0", "123456789012345678901234567890", '"\\u0041\\/"']
)
def test_compact_rewrites_neither_numbers_nor_escapes(text):
    """
    What a publisher wrote as text is what gets signed, digit for digit.
    """
    assert text == go_json.compact(text)


@given(TEXTS)
def test_a_quoted_text_reads_back(text):
    """
    Whatever is in it.
    """
    quoted = go_json.quote(text)

    assert text == json.loads(quoted)
    assert not _ESCAPED_BY_GO.search(quoted)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ('a"b\\c/d', '"a\\"b\\\\c/d"'),
        ("\n\r\t\b\f", '"\\n\\r\\t\\b\\f"'),
        ("\x00\x01\x1f\x7f", '"\\u0000\\u0001\\u001f\x7f"'),
        ("<>&", '"\\u003c\\u003e\\u0026"'),
        ("\u2028\u2029\u2030", '"\\u2028\\u2029\u2030"'),
        ("é🦝", '"é🦝"'),
    ],
)
def test_texts_are_escaped_as_go_does(text, quoted):
    """
    The documented choices of Go's encoding/json.
    """
    assert quoted == go_json.quote(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.0, "-1"),
        (100.0, "100"),
        (1.5, "1.5"),
        (0.1, "0.1"),
        (4.35, "4.35"),
        (1e-6, "0.000001"),
        (1.234e-6, "0.000001234"),
        (9.99e-7, "9.99e-7"),
        (1e-7, "1e-7"),
        (-1e-10, "-1e-10"),
        (1e15, "1000000000000000"),
        (1e16, "10000000000000000"),
        (2.0**53, "9007199254740992"),
        (1.2345678901234567e20, "123456789012345670000"),
        (9.99e20, "999000000000000000000"),
        (1e21, "1e+21"),
        (-1e21, "-1e+21"),
        (1.5e300, "1.5e+300"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
    ],
)
def test_numbers_are_printed_as_go_does(value, text):
    """
    The shortest digits; `e` below 1e-6 and from 1e21, with a sign and without leading zeros.
    """
    assert text == go_json.number(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_and_is_written_in_one_way(value):
    """
    No digit too few for the value, none too many, and the exponent only where Go has it.
    """
    text = go_json.number(value)
    has_exponent = value != 0 and not 1e-6 <= abs(value) < 1e21

    assert value == float(text)
    assert math.copysign(1, value) == math.copysign(1, float(text))
    assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?(e[+-][1-9]\d*)?", text)
    assert has_exponent == ("e" in text)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_json_has_no_word_for_is_refused(value):
    """
    Only a binary wire can carry it here.
    """
    with pytest.raises(ValueError, match="is not a JSON number"):
        go_json.number(value)


@given(VALUES)
def test_dumps_writes_what_reads_back(value):
    """
    A payload that came as a structure is sent as text.
    """
    text = go_json.dumps(value)

    assert value == json.loads(text, parse_int=float)
    assert text == go_json.compact(text)


def test_dumps_keeps_the_order_of_keys():
    """
    The same structure always gives the same bytes.
    """
    assert '{"b":1,"a":[true,null,"<"]}'.replace("<", "\\u003c") == go_json.dumps(
        {"b": 1, "a": [True, None, "<"]}
    )


def test_dumps_refuses_what_is_no_json():
    """
    A value of ours that slipped in is a bug, not text.
    """
    with pytest.raises(TypeError, match="no JSON for object"):
        go_json.dumps({"a": [object()]})


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "null", "1", '"a"', "[]", "{", "}", "{}{}", "{} x", "{'a':1}", '{"a":1,}'),
        *('{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"a":01}', '{"a":+1}', '{"a":.5}'),
        *('{"a":1.}', '{"a":0x1}', '{"a":\u0661}', '{"a":"\n"}', '{"a":"\\x"}', '{"a":"\\u12"}'),
        *("{a:1}", '{"a":1}//', '{"a":tru}', "\ufeff{}", '{"a" 1}', '{,"a":1}', "\xa0{}"),
        '{"a":' * 100_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_not_one_json_object_is_refused(text):
    """
    It would be signed, sent, and fail at every receiver.
    """
    with pytest.raises(ValueError, match=r"."):
        go_json.check_object(text)


@given(st.dictionaries(TEXTS, VALUES, max_size=4).map(json.dumps))
@example(' \t\r\n{"a":' + "9" * 10_000 + "}\n")
@example('{"a":1e999999,"a":"\\ud800"}')
def test_every_json_object_is_taken(text):
    """
    Whatever its numbers: no limit of Python's is one of JSON's.
    """
    go_json.check_object(text)


@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_800 * 10**9 - 1))
@example(0)
@example(-1)
def test_a_timestamp_reads_back_to_the_nanosecond(nanoseconds):
    """
    RFC 3339 in UTC, with no digit more than needed.
    """
    text = go_json.timestamp(nanoseconds)
    parts = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{0,8}[1-9]))?Z", text)

    assert parts
    whole = datetime.fromisoformat(parts[1] + "+00:00") - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = whole // timedelta(seconds=1)
    assert nanoseconds == seconds * 10**9 + int((parts[2] or "0").ljust(9, "0"))
