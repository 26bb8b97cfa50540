"""The fault table and the threat model name tests: each of them is there, and none is forgotten."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from meta.source import REPOSITORY

FAULTS = REPOSITORY / "docs" / "faults.md"
THREATS = REPOSITORY / "THREAT_MODEL.md"
# A path below the repository, with or without the name of a test in it.
NAMED = re.compile(r"`((?:packages/receiver/)?tests/[\w/.]+)(?:::(\w+))?`")
VECTORS = re.compile(r"`(vectors/[\w.]+)`")
# In a table of these columns, each row has to name a test.
HELD = re.compile(r"^\| (?:fault|attempt) \|")


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of all tests of a file, those of classes too."""
    tree = ast.parse((REPOSITORY / path).read_text("utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def missing(text: str) -> list[str]:
    """Tests that a document names and that do not exist."""
    found = []
    for path, name in NAMED.findall(text):
        if not (REPOSITORY / path).exists():
            found.append(path)
        elif name and name not in names_in(path):
            found.append(f"{path}::{name}")
    found += [path for path in VECTORS.findall(text) if not (REPOSITORY / path).exists()]
    return found


def unheld(text: str) -> list[str]:
    """Rows of tables of faults and attempts that name no test."""
    found, is_held = [], False
    for line in text.splitlines():
        if not line.startswith("|"):
            is_held = False
        elif HELD.match(line):
            is_held = True
        elif is_held and not line.startswith("| ---") and not NAMED.search(line):
            found.append(line)
    return found


@pytest.mark.parametrize("document", [FAULTS, THREATS], ids=lambda value: value.name)
def test_every_test_that_a_document_names_is_there(document):
    """
    A promise whose test was renamed or removed is not checked.
    """
    text = document.read_text("utf-8")

    assert [] == missing(text)
    assert [] == unheld(text)
    assert len(NAMED.findall(text)) > 15


def test_every_test_of_a_fault_is_in_the_table():
    """
    A developer who looks for a fault looks there.
    """
    named = {name for _, name in NAMED.findall(FAULTS.read_text("utf-8"))}
    faults = REPOSITORY / "tests" / "faults"
    tests = {
        name
        for path in faults.glob("test_*.py")
        for name in names_in(str(path.relative_to(REPOSITORY)))
    }

    assert set() == tests - named
    assert len(tests) > 10


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (missing, "`tests/faults/test_nothing.py`"),
        (missing, "`tests/meta/test_promises.py::test_nothing`"),
        (missing, "`vectors/nothing.json`"),
        (unheld, "| fault | promised | test |\n| --- | --- | --- |\n| a | b | none |"),
    ],
)
def test_what_is_missing_is_found(check, text):
    """
    A rule whose check cannot fail is a wish.
    """
    assert 1 == len(check(text))
