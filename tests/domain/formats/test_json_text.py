"""JSON that is looked at: names without their spelling, places, repeated members."""

from __future__ import annotations

import pytest

from outrider.domain.formats import go_json
from outrider.domain.formats.json_text import bare, pairs_of, pointer_text, read, values_at


@pytest.mark.parametrize(
    "name", ["statusCode", "STATUS_CODE", "status-code", "_status__code-", "\u017ftatuscode"]
)
def test_a_name_is_the_same_in_every_spelling(name):
    assert "statuscode" == bare(name)


def test_letters_are_compared_as_go_does():
    """
    What Go reads as a member's name must not pass as another one.
    """
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    ours = {letter for letter in letters if bare(letter).isascii()} - {"_", "-"}
    theirs = {letter for letter in letters if go_json.folded(letter).isascii()} - {"_", "-"}
    assert theirs == ours
    assert [] == [letter for letter in ours if bare(letter) != go_json.folded(letter)]


def test_repeated_members_are_all_there():
    assert [("a", "1"), ("b", None), ("a", "2")] == list(pairs_of(read('{"a":1,"b":null,"a":2}')))
    assert [("a", True)] == list(pairs_of(read('{"a":true}')))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], [{"a": [{"b": 1}, {"c": 2}], "new_one": 3}]),
        (["a"], [[{"b": 1}, {"c": 2}]]),
        (["a", 0, "c"], [2]),
        (["a", 7, "b"], [1]),
        (["newOne"], [3]),
        (["x"], []),
        (["a", "b"], []),
        (["new_one", 0], []),
    ],
)
def test_values_are_found_at_a_place(steps, expected):
    value = {"a": [{"b": 1}, {"c": 2}], "new_one": 3}
    assert expected == values_at(value, steps)


def test_pointers_are_short():
    assert "/" == pointer_text(None)
    assert "/a~1b/0/~0" == pointer_text((((None, "a/b"), 0), "~"))
    assert 201 == len(pointer_text((None, "x" * 1000)))
