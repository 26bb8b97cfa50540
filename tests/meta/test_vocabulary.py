"""One concept has one name: terms that were given up do not come back."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta.source import REPOSITORY
from meta.vocabulary import IDENTIFIERS, NAMES, WORDS

FOLDERS = ("src", "tests", "packages", "benchmarks", "examples", "scripts", "docs", "proto")
SUFFIXES = {".py", ".md", ".proto", ".toml", ".sql"}
# Where the old terms may stand, each with the reason.
EXCEPTIONS = {
    "src/outrider/adapters/sql/schema/migrations_sql/": "released steps are never edited",
    "src/outrider/adapters/sql/schema/migrations_pg/": "released steps are never edited",
    "src/outrider_api/": "generated",
    "tests/adapters/sql/schema/": "writes tables of former schemas",
    "tests/meta/vocabulary.py": "the list itself",
    "tests/meta/test_vocabulary.py": "its examples",
    "tests/system/former/": "data of the former schema",
    "tests/system/test_upgrade.py": "changes tables of the former schema",
    "benchmarks/results/": "records of what was measured",
}
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PROSE = re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE)


def files() -> Iterator[Path]:
    """Every file that is read: sources and documents, without what was installed or generated."""
    for folder in FOLDERS:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in SUFFIXES and not {"node_modules", "__pycache__"} & set(path.parts):
                yield path
    yield from sorted(REPOSITORY.glob("*.md"))


def is_exempt(path: Path) -> bool:
    """Whether the old terms may stand there. The change log names them next to the new ones."""
    name = path.relative_to(REPOSITORY).as_posix()
    return name == "CHANGELOG.md" or name.startswith(tuple(EXCEPTIONS))


def in_identifier(name: str) -> list[str]:
    """The terms that a Python name is made of and must not be."""
    if name in NAMES:
        return [name]
    parts = [part.lower() for part in _PARTS.findall(name)]
    return [part for part in parts if part in IDENTIFIERS or part.removesuffix("s") in IDENTIFIERS]


def in_python(text: str) -> Iterator[str]:
    """Old terms in the names, comments and docstrings of a module, with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            yield from (f"{token.start[0]}: {term}" for term in in_identifier(token.string))
        elif token.type in {tokenize.COMMENT, tokenize.STRING}:
            yield from in_prose(token.string, token.start[0])


def in_prose(text: str, first_line: int = 1) -> Iterator[str]:
    """Old terms in a text, with their lines."""
    for number, line in enumerate(text.splitlines(), first_line):
        yield from (f"{number}: {found.group().lower()}" for found in _PROSE.finditer(line))


def test_terms_that_were_given_up_do_not_come_back():
    """
    A reader learns one word for one thing; the list says which.
    """
    found = [
        f"{path.relative_to(REPOSITORY)}:{place}"
        for path in files()
        if not is_exempt(path)
        for place in (in_python if path.suffix == ".py" else in_prose)(path.read_text("utf-8"))
    ]

    assert [] == found


def test_names_of_files_have_no_old_terms_either():
    """
    A folder is where a reader looks first.
    """
    names = {
        part
        for path in files()
        if not is_exempt(path)
        for part in path.relative_to(REPOSITORY).with_suffix("").parts
    }

    assert [] == [name for name in sorted(names) if in_identifier(name.replace("-", "_"))]


@pytest.mark.parametrize("name", ["SqlLanes", "HAS_LANE", "in_lane", "each", "wanted", "LANES"])
def test_an_old_term_in_a_name_is_found(name):
    """
    Whatever the spelling of the name.
    """
    assert [] != in_identifier(name)


@pytest.mark.parametrize("name", ["planet", "reach", "for_each_row", "gauge", "replace", "upheld"])
def test_a_name_that_only_contains_the_letters_is_fine(name):
    """
    Only whole words of a name count.
    """
    assert [] == in_identifier(name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# the lanes of a target\n", ["1: lanes"]),
        ("'''One.\n\nTwo callees.'''\n", ["3: callees"]),
        ("lane = 1\n", ["1: lane"]),
        ("x = 'SELECT 1 FROM lanes'\n", ["1: lanes"]),
        ("# a plane\n", []),
    ],
)
def test_comments_docstrings_and_strings_are_read(text, found):
    """
    A rule that reads only some of the text is soon broken in the rest.
    """
    assert found == list(in_python(text))
