"""The log's events are declared, and the declarations are what the code writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import outrider
from outrider.observability.log_events import FIELDS, LOG_EVENTS
from outrider.observability.redaction import is_secret_name

ROOT = Path(outrider.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "exception", "report", "failed"}
EVENT = re.compile(r"[a-z_]+\.[a-z_]+")
# What `FailureLog` adds.
OF_FAILURES = {"reason", "failures"}
# A name that is chosen where the line is written.
TRACED = {"trace", "span"}


def written(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    """Event and fields of each line that the code writes."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        event = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        if name in LEVELS and isinstance(event, str) and EVENT.fullmatch(event):
            fields = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
            fields |= OF_FAILURES if name == "failed" else set()
            yield (
                event,
                fields
                | (TRACED if any(keyword.arg is None for keyword in node.keywords) else set()),
            )


def all_written() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        for event, fields in written(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(event, set()).update(fields)
    return found


def test_every_event_is_declared_with_its_fields_and_every_declaration_is_used():
    """
    Operators search logs for these names: a new one is a decision.
    """
    assert {log_event.event: set(log_event.fields) for log_event in LOG_EVENTS} == all_written()


def test_every_field_has_one_meaning():
    """
    The same word for the same thing on every line.
    """
    assert {field for log_event in LOG_EVENTS for field in log_event.fields} == set(FIELDS)
    assert list(FIELDS) == sorted(FIELDS)
    assert [] == [name for name in FIELDS if is_secret_name(name)]
    assert all(re.fullmatch(r"[A-Z`].*\.", meaning, re.DOTALL) for meaning in FIELDS.values())


@pytest.mark.parametrize("log_event", LOG_EVENTS, ids=lambda log_event: log_event.event)
def test_an_event_is_a_noun_and_what_happened_to_it(log_event):
    """
    As metrics and operator events are named.
    """
    assert EVENT.fullmatch(log_event.event)
    assert re.fullmatch(r"[A-Z`].*\.", log_event.help)
    assert len(set(log_event.fields)) == len(log_event.fields)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("log.info('a.happened', x=1)", [("a.happened", {"x"})]),
        ("self.log.exception('a.broke')", [("a.broke", set())]),
        ("report('a.called', x=1, **more)", [("a.called", {"x", "trace", "span"})]),
        ("failures.failed('a.broke', x, y=1)", [("a.broke", {"y", "reason", "failures"})]),
        ("log.info('just a text')", []),
        ("print('a.b')", []),
    ],
)
def test_an_event_in_the_code_is_found(code: str, expected):
    """
    A check that finds nothing would hold for everything.
    """
    assert expected == list(written(ast.parse(code)))
