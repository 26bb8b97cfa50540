"""JSON read to be looked at: numbers keep their digits, and repeated members are found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from outrider.domain.formats.json_members import Number, refuse_constant

Pointer = tuple["Pointer", str | int] | None
"""Where a value lies, from the inside out; None is the value itself."""

_MAX_POINTER = 200


class Repeated(dict[str, Any]):
    """An object in which a name is there twice; as a dict it has the last of them."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def read(text: str) -> Any:
    """Return the value. Raise `ValueError` for what is not JSON, `RecursionError` for depth."""
    return _DECODER.decode(text)


def pairs_of(members: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """All members of an object, those that are there twice included."""
    return members.pairs if isinstance(members, Repeated) else members.items()


def bare(name: str) -> str:
    """A member's name without regard to case, `_` and `-`. Quick for long texts, too."""
    lower = name.lower().replace("_", "").replace("-", "")
    # The two signs beyond ASCII that are letters of it in another case, as Go compares names.
    return lower if lower.isascii() else lower.replace("\u017f", "s").replace("\u212a", "k")


def pointer_text(pointer: Pointer) -> str:
    """RFC 6901, cut when it is long; the whole value is `/`."""
    steps = steps_of(pointer)
    text = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps) or "/"
    return text if len(text) <= _MAX_POINTER else text[:_MAX_POINTER] + "…"


def steps_of(pointer: Pointer) -> Sequence[str | int]:
    """The names and positions that lead to a value, from the outside in."""
    steps: list[str | int] = []
    while pointer is not None:
        pointer, step = pointer
        steps.append(step)
    return steps[::-1]


def values_at(value: Any, steps: Sequence[str | int]) -> list[Any]:
    """The values of another message at the same place.

    A position stands for every item of the list: items may have moved. A name may be spelled as
    `bare` compares it: protobuf has two spellings for one member.
    """
    found = [value]
    for step in steps:
        if isinstance(step, int):
            found = [item for items in found if isinstance(items, list) for item in items]
        else:
            found = [
                member
                for members in found
                if isinstance(members, dict)
                for member in _named(members, step)
            ]
    return found


def _named(members: dict[str, Any], name: str) -> list[Any]:
    if name in members:
        return [members[name]]
    folded = bare(name)
    return [member for other, member in members.items() if bare(other) == folded]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else Repeated(pairs)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=refuse_constant
)
