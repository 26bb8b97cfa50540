"""JSON read one level deep, each value with the text that it was written in.

Numbers and the order of members of what lies deeper arrive as they were given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

_SPACE = re.compile(r"[ \t\r\n]*")


class Number(str):
    """The digits of a JSON number, as they were written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value, its numbers as `Number`, and its text without white space around it."""

    parsed: Any = field(repr=False)
    text: str = field(repr=False)


class NestedTooDeep(ValueError):
    """JSON that is nested deeper than a parser goes."""


def members_of(
    text: str, most: int | None = None, *, last_wins: bool = False
) -> Mapping[str, Value]:
    """Return the members of one JSON object, in order.

    Raise `ValueError` for everything else, `NestedTooDeep` for what is nested too deep, and for
    more than `most` members: reading one takes some microseconds. A name that is there twice is
    refused too, unless `last_wins`.
    """
    members: dict[str, Value] = {}
    for name, value in pairs_of(text, most):
        if name.parsed in members and not last_wins:
            raise ValueError(f"the member {name.text} is there twice")
        members[name.parsed] = value
    return members


def pairs_of(text: str, most: int | None = None) -> Sequence[tuple[Value, Value]]:
    """Return the names and values of one JSON object, in order, names that are there twice too.

    Raise `ValueError` for everything else, for what is nested too deep, and for more than `most`.
    """
    pairs: list[tuple[Value, Value]] = []

    def pair(at: int) -> int:
        name, at = _decoded(text, at)
        if not isinstance(name.parsed, str) or isinstance(name.parsed, Number):
            raise ValueError(f"a name was expected at character {at}")  # noqa: TRY004 - one type
        value, at = _decoded(text, _after(text, at, ":"))
        pairs.append((name, value))
        return at

    _read_all(text, "{}", pair, most)
    return pairs


def parse(text: str) -> Any:
    """Return a JSON value with its numbers as `Number`. Raise `ValueError`."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def items_of(text: str, most: int | None = None) -> Sequence[Value]:
    """Return the items of one JSON array. Raise `ValueError` as `members_of` does."""
    items: list[Value] = []

    def item(at: int) -> int:
        found, at = _decoded(text, at)
        items.append(found)
        return at

    _read_all(text, "[]", item, most)
    return items


def _read_all(text: str, brackets: str, read_one: Callable[[int], int], most: int | None) -> None:
    """Read what stands between the brackets and is divided by commas, and nothing behind it."""
    at = _after(text, 0, brackets[0])
    if text[at : at + 1] != brackets[1]:
        at, count = _spaced(text, read_one(at)), 1
        # Each round takes a comma at least.
        while text[at : at + 1] == ",":
            count += 1
            if most is not None and count > most:
                raise ValueError(f"there are more than {most} values")
            at = _spaced(text, read_one(_spaced(text, at + 1)))
    at = _after(text, at, brackets[1])
    if at != len(text):
        raise ValueError(f"there is more at character {at}")


def _spaced(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _after(text: str, at: int, sign: str) -> int:
    at = _spaced(text, at)
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign} was expected at character {at}")
    return _spaced(text, at + 1)


def _decoded(text: str, at: int) -> tuple[Value, int]:
    try:
        parsed, end = _DECODER.raw_decode(text, at)
    except RecursionError:
        raise NestedTooDeep("nested too deep") from None
    return Value(parsed, text[at:end]), end


def refuse_constant(name: str) -> NoReturn:
    """For `parse_constant`: NaN and Infinity are not JSON. Raise `ValueError`."""
    raise ValueError(f"{name} is not JSON")


# Numbers stay text: no limit of Python's applies to them.
_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=refuse_constant)
