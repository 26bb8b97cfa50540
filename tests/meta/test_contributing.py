"""The contributor's guide names what exists."""

from __future__ import annotations

import re

import pytest

from meta.source import REPOSITORY, SERVICE

GUIDE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
ARCHITECTURE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^\| (.+\?) \| `([^`]+)` \|$", GUIDE, re.MULTILINE)
# Whole paths of files and folders; those with a placeholder are patterns.
PATHS = sorted(set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", GUIDE)))
TARGETS = sorted(set(re.findall(r"`make ([a-z-]+)`", GUIDE)))
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_the_guide_exists(path):
    """
    A list with a file that was moved costs a newcomer more than no list.
    """
    roots = (REPOSITORY, SERVICE, SERVICE / "usecases" / "interception")
    assert any((root / path).exists() for root in roots)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_of_make_exists(target):
    """
    They are the first commands that a newcomer types.
    """
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


def test_there_are_twenty_questions():
    """
    Each has one answer, which is a file.
    """
    assert 20 == len({question for question, _ in QUESTIONS})
    assert 20 == len({answer for _, answer in QUESTIONS})


@pytest.mark.parametrize(("question", "answer"), QUESTIONS)
def test_a_question_is_answered_by_the_architecture(question, answer):
    """
    The page names the file, so that no search is needed.
    """
    assert (SERVICE / answer).is_file()
    assert re.search(rf"(?<!\w){re.escape(answer.rsplit('/', 1)[-1])}", ARCHITECTURE)
