"""Lists of objects that an operator writes as JSON in a setting."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def parse_entries(
    text: str,
    parse: Callable[[Mapping[str, Any]], T],
    *,
    fields: Collection[str],
    most: int,
    plural: str,
) -> tuple[T, ...]:
    """Return what `parse` makes of each entry of a JSON list; an empty text is an empty list.

    `fields` are the known names, `most` is how many entries there may be, `plural` names them.
    Raise `ValueError` with half a sentence: which entry, and what is wrong with it.
    """
    try:
        entries = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON list of objects") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("must be a JSON list of objects")
    if len(entries) > most:
        raise ValueError(f"must be at most {most} {plural}")
    parsed = []
    for number, entry in enumerate(entries, 1):
        try:
            _check_names(entry, fields)
            parsed.append(parse(entry))
        except ValueError as problem:
            raise ValueError(f"entry {number}: {problem}") from None
    return tuple(parsed)


def _check_names(entry: Mapping[str, Any], fields: Collection[str]) -> None:
    unknown = sorted(entry.keys() - set(fields))
    if unknown:
        raise ValueError(f"{unknown[0]} is unknown; known are {', '.join(sorted(fields))}")
