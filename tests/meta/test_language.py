"""Plain English: sentences name the actor, have a verb, and use no archaisms and no metaphors."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meta.language import HABITS, OPENINGS
from meta.source import REPOSITORY

# Folders of Python, and what is read in them: in tests, strings are data.
PYTHON = (
    "src/outrider",
    "packages/receiver/src",
    "packages/receiver/tests",
    "scripts",
    "benchmarks",
    "examples",
    "tests",
)
PAGES = (
    "*.md",
    "docs/**/*.md",
    "packages/**/*.md",
    "examples/**/*.md",
    "proto/outrider/**/*.proto",
)
# Where a habit may stand, each with the reason.
EXCEPTIONS = {
    "CHANGELOG.md": "an entry keeps the words of its release",
    "tests/meta/language.py": "the list itself",
    "tests/meta/vocabulary.py": "lists of words as well",
    "tests/meta/test_language.py": "its examples",
    "tests/system/former/": "data of former schemas",
}
# Between two words there may be the end of a line, and the sign of a comment or a quotation.
_GAP = r"(?:[ \t]+|\s*\n[ \t]*(?:(?:#|//|>|\*)[ \t]*)?)"
_HABIT = re.compile(rf"\b(?:{'|'.join(HABITS)})\b".replace(" ", _GAP), re.IGNORECASE)
_WORD = re.compile(r"\w+")
_OPENING = re.compile(rf"(?:{'|'.join(OPENINGS)})\b")
_LITERALS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}

Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def python_files() -> Iterator[Path]:
    for folder in PYTHON:
        yield from sorted((REPOSITORY / folder).rglob("*.py"))


def pages() -> Iterator[Path]:
    for pattern in PAGES:
        yield from sorted(REPOSITORY.glob(pattern))


def is_exempt(path: Path) -> bool:
    parts = set(path.parts)
    name = path.relative_to(REPOSITORY).as_posix()
    return name.startswith(tuple(EXCEPTIONS)) or bool({"node_modules", "results"} & parts)


def is_test(path: Path) -> bool:
    return "tests" in path.relative_to(REPOSITORY).parts


def in_text(text: str, first_line: int = 1) -> Iterator[str]:
    """Habits in a text, with their lines. A line may break between two words of one."""
    for found in _HABIT.finditer(text):
        line = first_line + text.count("\n", 0, found.start())
        yield f"{line}: {' '.join(_WORD.findall(found.group().lower()))}"


def in_source(text: str) -> Iterator[str]:
    """Habits in the comments and in all strings of a module: messages are strings."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or token.type in _LITERALS:
            yield from in_text(token.string, token.start[0])


def in_test(text: str) -> Iterator[str]:
    """Habits in comments, docstrings and the names of tests."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield from in_text(token.string, token.start[0])
    for scope, docstring in docstrings(text):
        yield from in_text(docstring, scope.body[0].lineno)
    for scope in scopes(text):
        if not isinstance(scope, ast.Module) and scope.name.startswith(("test_", "Test")):
            yield from in_text(scope.name.replace("_", " "), scope.lineno)


def openings(text: str) -> Iterator[str]:
    """Docstrings that begin with a clause instead of a sentence."""
    for scope, docstring in docstrings(text):
        found = _OPENING.match(docstring)
        if found:
            yield f"{scope.body[0].lineno}: {found.group()} …"


def docstrings(text: str) -> Iterator[tuple[Scope, str]]:
    for scope in scopes(text):
        docstring = ast.get_docstring(scope, clean=False)
        if docstring:
            yield scope, docstring


def scopes(text: str) -> Iterator[Scope]:
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, Scope))


def offences(paths: Iterator[Path], rule: Callable[[str], Iterator[str]]) -> list[str]:
    return [
        f"{path.relative_to(REPOSITORY)}:{place}"
        for path in paths
        if not is_exempt(path)
        for place in rule(path.read_text("utf-8"))
    ]


def test_sources_have_none_of_the_habits():
    """
    Comments, docstrings and messages.
    """
    assert [] == offences((path for path in python_files() if not is_test(path)), in_source)


def test_tests_have_none_of_the_habits():
    """
    A failing test is read in a hurry: its name and docstring are the first thing that a reader sees.
    """
    assert [] == offences((path for path in python_files() if is_test(path)), in_test)


def test_pages_have_none_of_the_habits():
    """
    Documents, and the proto files, whose comments are the reference.
    """
    assert [] == offences(pages(), in_text)


def test_docstrings_begin_with_a_sentence():
    """
    "What is read", "How many are open": the reader has to find the verb first.
    """
    assert [] == offences((path for path in python_files() if not is_test(path)), openings)


@pytest.mark.parametrize(
    ("rule", "text", "found"),
    [
        (in_text, "It waits until\nsomebody comes.", ["2: somebody"]),
        (in_text, "all of them under\n  way", ["1: under way"]),
        (in_text, "// goes\n// on", ["1: goes on"]),
        (in_source, "# asks\nx = 'they go on'\n", ["2: go on"]),
        (in_source, "def f():\n    '''One.\n\n    Whoever asks.'''\n", ["4: whoever"]),
        (in_test, "def test_nobody_waits():\n    x = 'nobody'\n", ["1: nobody"]),
        (in_test, "async def test_it():\n    '''At once.'''\n", ["2: at once"]),
        (openings, "'''What is read.'''\n", ["1: What …"]),
        (openings, "class C:\n    def f():\n        '''How many.'''\n", ["3: How …"]),
    ],
)
def test_a_habit_is_found(rule, text, found):
    """
    A rule whose check cannot fail is a wish.
    """
    assert found == list(rule(text))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (in_text, "renewal, bedsides, category mongoose, recommend, amends"),
        (in_test, "x = 'nobody'\nnobody = 1\n"),
        (openings, "'''Return what is read.'''\n"),
        (openings, "x = 'What is read'\n"),
    ],
)
def test_what_is_no_habit_is_left_alone(rule, text):
    """
    A rule that forbids too much is soon switched off.
    """
    assert [] == list(rule(text))
