"""Every error that a person reads: made once, shown on one page, and written for its reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from reference.error_page import Row, page, rows, texts
from reference.error_sites import made_errors, places

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"
PARTS = {"API", "Endpoints", "Bodies", "Command line"}
# What targets answer, in their words.
FORWARDED = {"(EXEC-bmhNhpcqpF)", "(EXEC-reUaUZCzCp)"}
WITH_ID = re.compile(r".* \([\w-]*\)", re.DOTALL)
# A rule, or an order: what to write instead is in it.
SAYS_WHAT_TO_DO = re.compile(
    r"\b(must|give|say|send|publish|try|use|call|await|name|choose|let|put|leave|set|only one of|one of|required|"
    r"invalid|no more than|at most|wants|such as)\b"
)
# A field such as `Events[3]`, or a header.
NAME = re.compile(r"[A-Z]\w*[.\[-]")
ENDS_WITH_A_CAUSE = re.compile(r".*\{\w+\}", re.DOTALL)


def is_zitadels(row: Row) -> bool:
    """Whether the message is fixed: it has an id, or is one of the two without."""
    fixed = ("auth header missing", "values array must not be empty ()")
    return row.part == "API" and (bool(WITH_ID.fullmatch(row.message)) or row.message in fixed)


def test_the_page_of_errors_is_current():
    """
    `make generate` writes it again. A reviewer of the texts reads them there.
    """
    assert page() == PAGE.read_text(encoding="utf-8")


def test_every_place_that_makes_an_error_was_made_to():
    """
    The page would be short of what could not be made, and no reviewer would see it.
    """
    made = {(error.path, error.line) for error in made_errors()}

    assert set() == {(place.path, place.call.lineno) for place in places()} - made
    assert len(made) > 200


def checked_rows() -> list[Row]:
    """The errors that a person reads."""
    return [row for row in rows() if row.part in PARTS]


def test_an_error_says_what_to_do():
    """
    A text of ZITADEL never changes, and says too little: its reason and the next step come with it.
    """
    assert [] == [row for row in checked_rows() if not says_what_to_do(row)]


def says_what_to_do(row: Row) -> bool:
    """Whether the reader of the error knows the next step."""
    if any(row.message.endswith(forwarded) for forwarded in FORWARDED):
        return True
    if is_zitadels(row):
        return bool(row.reason and row.hint)
    if row.code == "unavailable":  # asking again is what to do
        return True
    is_told = row.hint or SAYS_WHAT_TO_DO.search(row.message)
    return bool(is_told or ENDS_WITH_A_CAUSE.fullmatch(row.message))


def test_an_error_is_plain():
    """
    It stands in a log or behind a colon: no capital letter begins it, and no full stop ends it.
    """
    own = [
        text
        for row in checked_rows()
        for text in texts(row)
        if not (text == row.message and is_zitadels(row))
    ]

    assert [] == [text for text in own if not is_plain(text)]


def is_plain(text: str) -> bool:
    """Whether the text can stand behind a colon."""
    first, second = f"{text}  "[:2]
    is_name = NAME.match(text) is not None
    is_sentence = first.isupper() and second.islower() and not is_name
    return not (is_sentence or text.endswith((".", "!", "?")))


@pytest.mark.parametrize(
    "row",
    [
        Row("API", "not_found", "Target not found (QUERY-1)", "", ""),
        Row("API", "not_found", "Target not found (QUERY-1)", "no_target", ""),
        Row("Bodies", "invalid_argument", "the body is not JSON", "", ""),
    ],
)
def test_an_error_that_does_not_say_what_to_do_is_found(row):
    assert not says_what_to_do(row)


@pytest.mark.parametrize("text", ["There is none", "there is none.", "why?"])
def test_a_text_that_is_not_plain_is_found(text):
    assert not is_plain(text)
