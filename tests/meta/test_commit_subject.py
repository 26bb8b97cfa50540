"""The hook that checks commit messages."""

from __future__ import annotations

import pytest
from commit_subject import problem_of


@pytest.mark.parametrize(
    "message",
    [
        "Add a payload type",
        "Add a payload type\n\nIts receivers expect it.\n",
        "x" * 72,
        f"Merge branch '{'x' * 80}'",
        "Add a type\n# Please enter the commit message\n",
    ],
)
def test_a_good_subject_passes(message):
    """
    Also a long one that git writes.
    """
    assert None is problem_of(message)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("x" * 73, "73 characters"),
        ("Add a payload type.", "full stop"),
        ("Add a type\nand one more", "second line"),
    ],
)
def test_a_bad_subject_is_refused_with_the_reason(message, problem):
    """
    `git log --oneline` is the change log of developers.
    """
    assert problem in (problem_of(message) or "")
