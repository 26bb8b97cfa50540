"""Escapes, halves of pairs and the case of names: as Go has them, and in time that receivers cannot stretch."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.formats import go_json

ESCAPED = {sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
MIB = 1024 * 1024


@given(st.text(st.sampled_from('a<>&\u2028\u2029\u00e9\U0001f600\\"')))
def test_each_sign_is_escaped_once(text):
    """
    What is escaped already has a backslash, and none of the signs.
    """
    assert "".join(ESCAPED.get(sign, sign) for sign in text) == go_json.escape(text)


@given(st.lists(st.sampled_from(["a", "\ud83d", "\ude00", "\U0001f600", "\ufffd"])).map("".join))
def test_halves_become_replacement_characters_and_pairs_letters(text):
    """
    UTF-16 says what is a pair: the codec is slow, and right.
    """
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    assert expected == go_json.with_whole_pairs(text)


@given(st.text())
def test_the_case_of_names_is_folded_letter_by_letter(name):
    """
    As Go does; a letter that is two in another case stays one.
    """
    folded = go_json.folded(name)
    letters = [letter.casefold() for letter in name]

    if all(len(letter) == 1 for letter in letters):
        assert "".join(letters) == folded
    else:
        assert not folded.isascii()
    assert go_json.folded("forwardedStatusCode") != go_json.folded("forwardedStatu\u00dfCode")


def test_letters_that_look_like_ascii_are_ascii_in_another_case():
    """
    The Kelvin sign and the long s are what Go takes for k and s.
    """
    assert go_json.folded("\u212aEY\u017f") == "keys"


@pytest.mark.parametrize(
    ("act", "text"),
    [
        pytest.param(go_json.escape, "<" * MIB, id="escapes"),
        pytest.param(go_json.escape, "<>&\u2028\u2029" * (MIB // 5), id="all escapes"),
        pytest.param(
            go_json.with_whole_pairs, json.loads('"' + "\\ud800x" * 170_000 + '"'), id="halves"
        ),
        pytest.param(go_json.folded, "\u00df" * MIB, id="letters that are two"),
        pytest.param(go_json.folded, "A" * MIB, id="letters"),
    ],
)
def test_a_text_of_one_mib_takes_no_time(act, text):
    """
    Receivers choose the letters. It was 60 to 250 ms; now it is 1 to 20.
    """
    began = time.thread_time()
    act(text)

    assert time.thread_time() - began < 0.05
