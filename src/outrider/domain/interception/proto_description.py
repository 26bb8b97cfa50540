"""Describe a message type to people and tools by a JSON Schema and an example.

Both are JSON text of at most `MAX_BYTES`, so that the catalogue takes them. The schema takes what
protobuf's JSON takes, but for what a JSON Schema cannot say in few words (64 bits, one of a oneof).
A message inside itself is any object there, as references in a circle are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from outrider.domain.interception.proto_schema import FieldText, ProtoSchemas, field_texts
from outrider.domain.routing.catalogue_entry import MAX_DESCRIPTION_BYTES

MAX_BYTES = MAX_DESCRIPTION_BYTES
_EXAMPLE_DEPTH = 5

_ANY_OBJECT = {"type": ["object", "null"]}
_TYPES: dict[str, Any] = {
    "b": {"type": ["boolean", "null"]},
    "s": {"type": ["string", "null"]},
    "y": {"type": ["string", "null"], "contentEncoding": "base64"},
    "f": {"type": ["number", "string", "null"]},
    "d": {"type": ["number", "string", "null"]},
    "T": {"type": ["string", "null"], "format": "date-time"},
    "D": {"type": ["string", "null"], "description": "A duration such as 1.5s."},
    "M": {"type": ["string", "null"], "description": "Names of fields, with commas between them."},
    "S": _ANY_OBJECT,
    "A": _ANY_OBJECT,
    "L": {"type": ["array", "null"]},
    "V": {},
    **{letter: {"type": ["integer", "string", "null"]} for letter in "iIuU"},
}
_EXAMPLES: dict[str, Any] = {
    "b": True,
    "y": "YWJj",
    "f": 1.5,
    "d": 1.5,
    "T": "2030-01-31T12:00:00Z",
    "D": "1.500s",
    "M": "name",
    "S": {"name": "value"},
    "A": {"@type": "type.googleapis.com/google.protobuf.Empty"},
    "L": ["value"],
    "V": "value",
    "i": 1,
    "u": 1,
    "I": "1",
    "U": "1",
}


def json_schema_of(schemas: ProtoSchemas, index: int) -> str:
    """The JSON Schema of a message by its place in the file.

    Of a message that needs more than `MAX_BYTES` the innermost parts are any object.
    """
    levels = _levels(schemas, index)
    for depth in range(max(levels.values()), -1, -1):
        chosen = {number for number, level in levels.items() if level <= depth}
        text = _text(_Document(schemas, chosen).of(index))
        if len(text.encode()) <= MAX_BYTES:
            return text
    return '{"type":"object"}'


def example_of(schemas: ProtoSchemas, index: int) -> str:
    """A message of this type that has every field once, to some depth, and one of each oneof."""
    for depth in range(_EXAMPLE_DEPTH, 0, -1):
        text = _text(_example(schemas, index, depth, ()))
        if len(text.encode()) <= MAX_BYTES:
            return text
    return "{}"


@dataclass(slots=True)
class _Document:
    """A schema and its parts. Messages that are not `chosen` are any object in it."""

    schemas: ProtoSchemas
    chosen: Collection[int]
    parts: dict[str, Any] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)

    def of(self, index: int) -> Any:
        self._open.add(index)
        schema = {"type": "object", **self._members(index)}
        return {**schema, "$defs": self.parts} if self.parts else schema

    def _members(self, index: int) -> Any:
        properties = {}
        for one in field_texts(self.schemas.messages[index]):
            properties[one.json_name] = properties[one.name] = self._field(one)
        return {"properties": properties, "additionalProperties": False}

    def _field(self, one: FieldText) -> Any:
        if not one.shape:
            return self._value(one)
        if one.shape == "*":
            return {"type": ["array", "null"], "items": self._value(one)}
        return {"type": ["object", "null"], "additionalProperties": self._value(one)}

    def _value(self, one: FieldText) -> Any:
        if one.type == "m":
            return self._message(one.number)
        if one.type == "e":
            names = self.schemas.enums[one.number].split()
            return {"anyOf": [{"enum": [*names, None]}, {"type": "integer"}]}
        return _TYPES[one.type]

    def _message(self, index: int) -> Any:
        if index in self._open or index not in self.chosen:
            return _ANY_OBJECT
        name = f"m{index}"
        if name not in self.parts:
            self._open.add(index)
            self.parts[name] = {"type": ["object", "null"], **self._members(index)}
            self._open.discard(index)
        return {"$ref": f"#/$defs/{name}"}


def _levels(schemas: ProtoSchemas, root: int) -> dict[int, int]:
    """Return the depth at which each message type occurs first."""
    levels = {root: 0}
    queue = [root]
    for index in queue:
        for one in field_texts(schemas.messages[index]):
            if one.type == "m" and one.number not in levels:
                levels[one.number] = levels[index] + 1
                queue.append(one.number)
    return levels


def _example(schemas: ProtoSchemas, index: int, depth: int, outer: tuple[int, ...]) -> Any:
    if depth == 0 or index in outer:
        return {}
    inner: Callable[[int], Any] = lambda number: _example(  # noqa: E731 - with what is around it
        schemas, number, depth - 1, (*outer, index)
    )
    members, oneofs = {}, set[str]()
    for one in field_texts(schemas.messages[index]):
        if one.oneof in oneofs:
            continue
        oneofs |= {one.oneof} - {""}
        value = _example_value(schemas, one, inner)
        shaped: dict[str, Any] = {"*": [value], "%": {"name": value}}
        members[one.json_name] = shaped.get(one.shape, value)
    return members


def _example_value(schemas: ProtoSchemas, one: FieldText, inner: Callable[[int], Any]) -> Any:
    if one.type == "m":
        return inner(one.number)
    if one.type == "e":
        names = schemas.enums[one.number].split()
        return next((name for name in names if not name.endswith("_UNSPECIFIED")), names[0])
    return one.name if one.type == "s" else _EXAMPLES[one.type]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
