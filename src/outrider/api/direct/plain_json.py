"""JSON of a plain call, read in one step: typed members, and texts that are only carried.

Everything unusual raises `HandOver`: the general way reads the call again, and has its own words
for what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from msgspec import UNSET, MsgspecError, Raw, Struct, UnsetType
from msgspec.json import Decoder
from protobuf import DescMessage

from outrider.api.asgi.json_depth import MAX_DEPTH
from outrider.api.validation.validation import MessageCheck, field_checks
from outrider.domain.formats.json_bounds import MAX_BATCH_VALUES, check_values, is_deeper

S = TypeVar("S", bound=Struct)
_QUOTE = b'"'


class HandOver(Exception):
    """The call is not plain. Nothing has happened yet."""


class PlainMessage(Struct, rename="camel", forbid_unknown_fields=True):
    """A message in JSON, as most callers write it: members with their default are left out."""


def decoded(decoder: Decoder[S], body: bytes) -> S:
    """Return the message. Raise `HandOver` for what is not plain JSON of it."""
    try:
        check_values(body, MAX_BATCH_VALUES)
        return decoder.decode(body)
    except (MsgspecError, RecursionError, ValueError):
        raise HandOver from None


def check_names_once(body: bytes, quotes: int) -> None:
    """Raise `HandOver` when a member is there twice: one was dropped, with its quotation marks.

    `quotes` is how many there are in what was read (`quotes_of`).
    """
    if body.count(_QUOTE) != quotes:
        raise HandOver


def quotes_of(value: Any) -> int:
    """Return how many quotation marks the JSON of a value has, if none of its texts has any.

    Raise `HandOver` for a text that has: it may be written in several ways.
    """
    if isinstance(value, str):
        if '"' in value:
            raise HandOver
        return 2
    if isinstance(value, Raw):
        return bytes(value).count(_QUOTE)
    if isinstance(value, Struct):
        members = [getattr(value, name) for name in value.__struct_fields__]
        return sum([2 + quotes_of(member) for member in members if member])
    if isinstance(value, dict):
        return sum(quotes_of(name) + quotes_of(member) for name, member in value.items())
    return sum(map(quotes_of, value)) if isinstance(value, list) else 0


def text_of_object(value: Raw | UnsetType) -> str | None:
    """Return the text of an object that is only carried; None: it is absent.

    Raise `HandOver` for another value, and for one that is nested too deep.
    """
    if value is UNSET:
        return None
    octets = bytes(value)
    if not octets.startswith(b"{") or is_deeper(octets, MAX_DEPTH):
        raise HandOver
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise HandOver from None


def rules_of(desc: DescMessage, *names: str) -> tuple[MessageCheck, ...]:
    """Return the rules that the proto file declares for these fields of a message."""
    return tuple(_checks(desc, names))


def check_rules(rules: tuple[Callable[[Any], str | None], ...], message: Struct) -> None:
    """Raise `HandOver` when a rule is broken. Members that have rules must be set."""
    for rule in rules:
        if rule(message) is not None:
            raise HandOver


def _checks(desc: DescMessage, names: tuple[str, ...]) -> Iterator[MessageCheck]:
    for field in desc.fields:
        if field.name in names:
            yield from field_checks(field)
