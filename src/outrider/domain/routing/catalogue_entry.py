"""One entry of the catalogue, as callers add and list them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import merge
from itertools import islice, takewhile
from typing import NamedTuple

from outrider.domain.events.event import is_event_type
from outrider.domain.routing.catalogue import Catalogue
from outrider.errors import InvalidRequest

MAX_DESCRIPTION_BYTES = 64 * 1024
"""The longest schema, and the longest example, as JSON text."""

OWN_METHODS = "/outrider.v1."
"""What outrider's own methods begin with: calls of them trigger no execution."""

_METHOD = re.compile(r"/[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/[A-Za-z_]\w*", re.ASCII)
_FUNCTION = re.compile(r"[A-Za-z0-9_-]+")


class EntryKind(IntEnum):
    """The kind of an entry; the numbers are those of the wire and of the store."""

    METHOD = 1
    FUNCTION = 2
    EVENT_TYPE = 3


class EntryName(NamedTuple):
    """The identity of an entry. Sorts as entries are listed: by name, then by kind."""

    name: str
    kind: EntryKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that conditions may name, described or not; immutable.

    `schema_json` and `example_json` are one JSON object each, as text; None: not given. A method's
    are about its request, and about its response as well when `response_schema_json` and
    `response_example_json` are not given.
    """

    kind: EntryKind
    name: str
    schema_json: str | None = field(default=None, repr=False)
    example_json: str | None = field(default=None, repr=False)
    response_schema_json: str | None = field(default=None, repr=False)
    response_example_json: str | None = field(default=None, repr=False)
    is_built_in: bool = False
    """Whether every instance has it; not stored."""

    @property
    def entry_name(self) -> EntryName:
        """The identity of the entry."""
        return EntryName(self.name, self.kind)

    @property
    def description_size(self) -> int:
        """The total bytes of its schemas and examples."""
        return sum(len(text.encode()) for _, text in self.descriptions if text)

    @property
    def descriptions(self) -> Sequence[tuple[str, str | None]]:
        """Each schema and example under the name of its field in messages of errors."""
        return (
            ("Schema", self.schema_json),
            ("Example", self.example_json),
            ("ResponseSchema", self.response_schema_json),
            ("ResponseExample", self.response_example_json),
        )

    @property
    def is_described(self) -> bool:
        """Return whether it has a schema or an example."""
        return any(text is not None for _, text in self.descriptions)


def changes_routing(entry: Entry, stored: Entry | None) -> bool:
    """Return whether routes in memory are outdated when this entry replaces the stored one."""
    if stored is None:
        return True
    # Answers of targets are checked against the schemas of methods.
    before, after = ((one.schema_json, one.response_schema_json) for one in (stored, entry))
    return entry.kind is EntryKind.METHOD and before != after


def check_entry(entry: Entry, position: int) -> None:
    """Raise `InvalidRequest` naming the field, such as `Entries[3].Name`."""
    reason = _name_reason(entry)
    if reason is not None:
        _reject(position, "Name", reason)
    for field_name, text in entry.descriptions:
        if text is not None and len(text.encode()) > MAX_DESCRIPTION_BYTES:
            _reject(
                position, field_name, f"value length must be at most {MAX_DESCRIPTION_BYTES} bytes"
            )
    for field_name, text in entry.descriptions[2:]:
        if text is not None and entry.kind is not EntryKind.METHOD:
            _reject(position, field_name, "only a METHOD has a response")


def names_after(
    catalogue: Catalogue,
    kinds: Collection[EntryKind],
    prefix: str,
    after: EntryName | None,
    limit: int,
) -> list[EntryName]:
    """At most `limit` names of these kinds that begin with `prefix` and come after `after`.

    In ascending order. Takes as long as the answer, not as the catalogue.
    """
    sorted_names = {
        EntryKind.METHOD: catalogue.methods,
        EntryKind.FUNCTION: sorted(catalogue.functions),
        EntryKind.EVENT_TYPE: catalogue.event_types,
    }
    found = (_beginning(sorted_names[kind], kind, prefix, after) for kind in kinds)
    return list(islice(merge(*found), limit))


def _beginning(
    ascending: Sequence[str], kind: EntryKind, prefix: str, after: EntryName | None
) -> Iterator[EntryName]:
    start = bisect_left(ascending, prefix if after is None else max(prefix, after.name))
    rest = (ascending[index] for index in range(start, len(ascending)))
    texts = takewhile(lambda text: text.startswith(prefix), rest)
    names = (EntryName(text, kind) for text in texts)
    return (name for name in names if after is None or name > after)


def _name_reason(entry: Entry) -> str | None:
    match entry.kind:
        case EntryKind.METHOD if entry.name.startswith(OWN_METHODS):
            return "value is a method of outrider itself, which triggers no executions"
        case EntryKind.METHOD if not _METHOD.fullmatch(entry.name):
            return "value must be /package.Service/Method"
        case EntryKind.FUNCTION if not _FUNCTION.fullmatch(entry.name):
            return "value must be made of A-Z, a-z, 0-9, _ and -"
        case EntryKind.EVENT_TYPE if not is_event_type(entry.name):
            return "value must be dot-separated segments of A-Z, a-z, 0-9, _ and -"
        case _:
            return None


def _reject(position: int, field_name: str, reason: str) -> None:
    raise InvalidRequest(f"invalid AddEntriesRequest.Entries[{position}].{field_name}: {reason}")
