"""Texts that are cut keep their characters whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.formats.bounded_text import bounded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("x" * 10, "x" * 10),
        ("x" * 11, "x" * 7 + "…"),
        ("ä" * 5, "ä" * 5),
        ("ä" * 6, "ä" * 3 + "…"),
        ("\N{GRINNING FACE}" * 3, "\N{GRINNING FACE}…"),
        ("x" * 6 + "ä" * 9, "x" * 6 + "…"),
        ("a\ud800b", "a?b"),
    ],
)
def test_a_text_is_cut_between_two_characters(text, expected):
    """
    At ten bytes, of which the sign for what is missing takes three.
    """
    assert expected == bounded(text, 10)


@given(st.text(st.characters()), st.integers(3, 40))
def test_no_text_is_longer_than_its_bound(text, limit):
    """
    Whatever it is made of, half a surrogate pair included.
    """
    encoded = bounded(text, limit).encode()

    assert len(encoded) <= limit
    assert encoded == bounded(encoded.decode(), limit).encode()
