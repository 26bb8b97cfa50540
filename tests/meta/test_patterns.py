"""No regular expression takes longer than the text is long: texts come from callers and receivers."""

from __future__ import annotations

import re
import re._parser as sre
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

import pytest

from api.contract import SERVICES
from meta.source import SERVICE
from outrider.api.validation.validation import rules_of

# What a text needs that is made of it twice over, if the expression tries each way.
LENGTH = 20_000
# A quadratic expression takes some ten seconds for a text of this length.
MOST_S = 1.0
SEARCHES = ("search", "sub", "split", "findall", "finditer")


def declared() -> Iterator[tuple[str, re.Pattern[Any], bool]]:
    """Every expression of a module, with whether it is looked for anywhere in a text."""
    for path in sorted(SERVICE.rglob("*.py")):
        text = path.read_text("utf-8")
        if "re.compile(" not in text or path.name == "__main__.py":
            continue
        relative = path.relative_to(SERVICE.parent).with_suffix("")
        module = import_module(".".join(relative.parts))
        for name, value in vars(module).items():
            if isinstance(value, tuple) and value and isinstance(value[0], re.Pattern):
                # A row of them is looked for one after the other.
                yield from (
                    (f"{relative.name}.{name}[{index}]", pattern, True)
                    for index, pattern in enumerate(value)
                )
            elif isinstance(value, re.Pattern) and f"{name} = re.compile(" in text:
                used = rf"(?<!\w){re.escape(name)}\.(?:{'|'.join(SEARCHES)})\b"
                searched = re.search(used, text) is not None
                yield f"{relative.name}.{name}", value, searched


def rules() -> Iterator[tuple[str, re.Pattern[Any], bool]]:
    """Every expression of a rule in the proto files."""
    for service in SERVICES:
        for message in service.file.messages:
            for field in message.fields:
                pattern = rules_of(field).pattern
                if pattern is not None:
                    yield f"{message.name}.{field.name}", re.compile(pattern.regex), False


PATTERNS = {name: (pattern, searched) for name, pattern, searched in (*declared(), *rules())}


def sample(nodes: Iterable[Any]) -> str:
    """A short text that these parts of an expression match, nearly always."""
    return "".join(map(sample_of, nodes))


def sample_of(node: tuple[Any, Any]) -> str:
    kind, value = str(node[0]), node[1]
    samples: dict[str, Callable[[], str]] = {
        "LITERAL": lambda: chr(value),
        "NOT_LITERAL": lambda: "b" if value == ord("a") else "a",
        "ANY": lambda: "a",
        "IN": lambda: character(value),
        "SUBPATTERN": lambda: sample(value[3]),
        "BRANCH": lambda: sample(value[1][0]),
        "MAX_REPEAT": lambda: sample(value[2]) * min(value[0], 300),
        "MIN_REPEAT": lambda: sample(value[2]) * min(value[0], 300),
    }
    return samples.get(kind, str)()


def character(choices: list[tuple[Any, Any]]) -> str:
    """One of a set."""
    if str(choices[0][0]) == "NEGATE":
        allowed = re.compile("[^" + "".join(map(escaped, choices[1:])) + "]")
        return next(chr(code) for code in range(97, 0x110000) if allowed.match(chr(code)))
    kind, value = choices[0]
    match str(kind):
        case "LITERAL":
            return chr(value)
        case "RANGE":
            return chr(value[0])
        case _:
            return {"CATEGORY_SPACE": " ", "CATEGORY_DIGIT": "1"}.get(str(value), "a")


def escaped(choice: tuple[Any, Any]) -> str:
    kind, value = choice
    match str(kind):
        case "LITERAL":
            return re.escape(chr(value))
        case "RANGE":
            return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        case _:
            return {"CATEGORY_SPACE": r"\s", "CATEGORY_DIGIT": r"\d"}.get(str(value), r"\w")


def attacks(nodes: list[Any], length: int, before: str = "") -> Iterator[str]:
    """Texts that repeat what an expression repeats, and then end differently."""
    for node in nodes:
        kind, value = str(node[0]), node[1]
        if kind in {"MAX_REPEAT", "MIN_REPEAT"}:
            piece = sample(value[2]) or "a"
            yield from (before + piece * (length // len(piece)) + end for end in ("", "\0", "é!"))
            yield from attacks(list(value[2]), length, before)
        elif kind == "SUBPATTERN":
            yield from attacks(list(value[3]), length, before)
        elif kind == "BRANCH":
            for branch in value[1]:
                yield from attacks(list(branch), length, before)
        before += sample_of(node)
    yield before * (length // max(1, len(before))) + "\0"


def slowest(pattern: re.Pattern[Any], *, searched: bool, length: int = LENGTH) -> float:
    """The seconds of CPU that it takes for the worst text."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode()
    return max(
        seconds(
            pattern,
            attack if isinstance(pattern.pattern, str) else attack.encode(),
            searched=searched,
        )
        for attack in attacks(list(sre.parse(text, pattern.flags & ~re.UNICODE)), length)
    )


def seconds(pattern: re.Pattern[Any], text: Any, *, searched: bool) -> float:
    """What it takes for one text, used as it is used."""
    began = time.process_time()
    if searched:
        pattern.sub(text[:0], text)
    else:
        pattern.fullmatch(text)
    return time.process_time() - began


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_an_expression_is_linear(name: str):
    pattern, searched = PATTERNS[name]
    assert slowest(pattern, searched=searched) < MOST_S


@pytest.mark.parametrize("slow", ["a*a*b", "[ab]*c?[ab]*d"])
def test_an_expression_that_is_not_is_found(slow: str):
    """
    With a text so short that the test has an end.
    """
    length = 5_000
    quick = slowest(re.compile("a*b"), searched=False, length=length)
    assert slowest(re.compile(slow), searched=False, length=length) > 20 * quick
