"""JSON that is nested too deep is seen before the protobuf library reads it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.api.asgi.json_depth import MAX_DEPTH, check_depth

WORDS = st.text(st.sampled_from('[]{}"\\,ä'), max_size=20)
VALUES = st.recursive(
    st.none() | WORDS | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=10,
)


def deep(levels: int, inner: object = None) -> object:
    for level in range(levels):
        inner = [inner] if level % 2 else {'a"]': inner}
    return inner


@given(VALUES, st.integers(0, 30), st.booleans())
def test_depth_is_counted_whatever_stands_in_texts(value, spare, ascii_only):
    """
    Brackets in texts are no nesting, and no text can hide any.
    """
    text = json.dumps([value, deep(MAX_DEPTH - 1)], ensure_ascii=ascii_only).encode()
    check_depth(text)
    too_deep = json.dumps([value, deep(MAX_DEPTH + spare)], ensure_ascii=ascii_only).encode()
    with pytest.raises(ValueError, match="nested more than 200 levels deep"):
        check_depth(too_deep)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1000,
        b'{"a":' * 1000,
        b'["\\\\",' * 1000,
        b'["\\"]",' * 1000,
        b'["]",' * 1000,
        bytearray(b"[" * 1000),
        b"[" * 201 + b"]" * 201,
    ],
)
def test_what_never_ends_is_deep_as_well(text):
    """
    A reader is as deep in it before it sees that the end is missing.
    """
    with pytest.raises(ValueError, match="nested"):
        check_depth(text)


@pytest.mark.parametrize("text", [b"", b"[]" * 10_000, b'"' + b"[" * 10_000 + b'"', b"]" * 1000])
def test_what_is_flat_passes(text):
    """
    A thousand events side by side are no nesting.
    """
    check_depth(text)
