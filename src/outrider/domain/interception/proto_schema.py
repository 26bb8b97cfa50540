"""Check answers against the message types of ZITADEL's methods.

The types are in the compact form of `method_schemas.json`, which `scripts/zitadel_catalogue.py`
writes. A message type is built when a method needs it first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from outrider.domain.formats.json_text import Pointer, Repeated, pointer_text
from outrider.domain.interception.message import InvalidResponse
from outrider.domain.interception.proto_values import CHECKS, Check, enum_check
from outrider.domain.interception.response_check import Answer
from outrider.domain.routing.condition import ConditionKind

_FIELD = re.compile(
    r"(?P<name>\w+)(?:=(?P<json>[^\s:]+))?"
    r":(?P<type>[A-Za-z])(?P<index>\d*)(?P<shape>[*%]?)(?P<oneof>(?:/\d+)?)"
)
_AFTER_UNDERSCORE = re.compile(r"_([a-z0-9A-Z])")


class FieldText(NamedTuple):
    """One field of a message's text, taken apart. `type` is the letter, `number` what is behind it."""

    name: str
    json_name: str
    type: str
    number: int
    shape: str
    oneof: str


def field_texts(message: str) -> Iterator[FieldText]:
    """The fields of a message's text. Raise `ValueError` for a text that the scripts do not write."""
    for part in message.split():
        found = _FIELD.fullmatch(part)
        if found is None:
            raise ValueError(f"a field is name:type, not {part!r}")
        name = found["name"]
        json_name = found["json"] or _AFTER_UNDERSCORE.sub(lambda letter: letter[1].upper(), name)
        number = int(found["index"] or -1)
        yield FieldText(name, json_name, found["type"], number, found["shape"], found["oneof"])


@dataclass(slots=True)
class ProtoSchemas:
    """All methods of one file. Not safe to use from several threads while it grows."""

    methods: Mapping[str, str]
    messages: Sequence[str] = field(repr=False)
    enums: Sequence[str] = field(repr=False)
    _known: dict[int, MessageFields] = field(default_factory=dict, repr=False)
    _enum_checks: dict[int, Check] = field(default_factory=dict, repr=False)

    def of(self, full_method: str, kind: ConditionKind) -> ProtoSchema | None:
        """Return the schema of a method's request or response; None: the method is unknown."""
        index = self.index_of(full_method, kind)
        return None if index is None else ProtoSchema(self.fields_of(index))

    def index_of(self, full_method: str, kind: ConditionKind) -> int | None:
        """The place in the file of the message of a method's request or response."""
        service, _, method = full_method.removeprefix("/").rpartition("/")
        found = re.search(rf"(?:^| ){re.escape(method)}:(\d+),(\d+)", self.methods.get(service, ""))
        if found is None or not method:
            return None
        return int(found[1 if kind is ConditionKind.REQUEST else 2])

    def fields_of(self, index: int) -> MessageFields:
        """The fields of a message by its place in the file."""
        known = self._known.get(index)
        if known is None:
            # Messages may have themselves as a field: it is known before its fields are.
            known = self._known[index] = {}
            known.update(self._read_fields(self.messages[index]))
        return known

    def _read_fields(self, text: str) -> Iterator[tuple[str, Field]]:
        for part in field_texts(text):
            message = self.fields_of(part.number) if part.type == "m" else None
            check = None
            if message is None:
                check = self._enum_check(part.number) if part.type == "e" else CHECKS[part.type]
            one = Field(part.name, check, message, part.shape, part.oneof)
            yield part.name, one
            yield part.json_name, one

    def _enum_check(self, index: int) -> Check:
        if index not in self._enum_checks:
            self._enum_checks[index] = enum_check(frozenset(self.enums[index].split()))
        return self._enum_checks[index]


@dataclass(frozen=True, slots=True)
class Field:
    """A field: a scalar with its check, or a message. `shape` is `*` of a list and `%` of a map."""

    name: str
    check: Check | None
    message: MessageFields | None = field(repr=False)
    shape: str
    oneof: str


MessageFields = dict[str, Field]
"""A message's fields by both of their names."""


@dataclass(frozen=True, slots=True)
class ProtoSchema:
    """`MessageSchema` of one direction of a method."""

    fields: MessageFields = field(repr=False)

    def has_member(self, name: str) -> bool:
        """Whether the message has this field, in either spelling."""
        return name in self.fields

    def check(self, answer: Answer) -> None:
        """Raise `InvalidResponse` for the first violation that the message did not have."""
        _Run(answer).message(answer.members, self.fields, None)


def proto_schemas_from_json(data: Mapping[str, Any]) -> ProtoSchemas:
    """The schemas in a file like `method_schemas.json`, already parsed."""
    return ProtoSchemas(data["methods"], data["messages"], data["enums"])


class _Run:
    """One answer on its way through the fields of its message."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def message(self, value: Any, fields: MessageFields, pointer: Pointer) -> None:
        if not isinstance(value, dict):
            self._violated(value, pointer, "must be an object")
            return
        if isinstance(value, Repeated):
            raise InvalidResponse(f"{pointer_text(pointer)} of the answer has a member twice")
        present: dict[str, Pointer] = {}
        for name, member in value.items():
            one = fields.get(name)
            if one is None:
                self._unknown((pointer, name))
            elif member is not None:
                self._field(member, one, (pointer, name))
                self._only_once(one, present, (pointer, name))

    def _field(self, value: Any, one: Field, pointer: Pointer) -> None:
        if not one.shape:
            self._value(value, one, pointer)
        elif one.shape == "*":
            if not isinstance(value, list):
                self._violated(value, pointer, "must be an array")
                return
            for position, item in enumerate(value):
                self._value(item, one, (pointer, position))
        elif not isinstance(value, dict):
            self._violated(value, pointer, "must be an object")
        else:
            for name, item in value.items():
                self._value(item, one, (pointer, name))

    def _value(self, value: Any, one: Field, pointer: Pointer) -> None:
        if one.message is not None:
            self.message(value, one.message, pointer)
            return
        rule = one.check(value) if one.check else None
        if rule is not None:
            self._violated(value, pointer, f"must be {rule}")

    def _only_once(self, one: Field, present: dict[str, Pointer], pointer: Pointer) -> None:
        """A field in both spellings, or two fields of a oneof, leave open which of them counts."""
        if one.name in present:
            raise InvalidResponse(
                f"{pointer_text(pointer)} of the answer is there in another spelling too"
            )
        present[one.name] = pointer
        if not one.oneof:
            return
        other = present.setdefault(one.oneof, pointer)
        if other is not pointer and not (self._answer.had(other) and self._answer.had(pointer)):
            raise InvalidResponse(
                f"{pointer_text(pointer)} of the answer excludes {pointer_text(other)}"
            )

    def _unknown(self, pointer: Pointer) -> None:
        if not self._answer.had(pointer):
            raise InvalidResponse(
                f"{pointer_text(pointer)} of the answer: the method has no such member"
            )

    def _violated(self, value: Any, pointer: Pointer, rule: str) -> None:
        if value not in self._answer.had(pointer):
            raise InvalidResponse(f"{pointer_text(pointer)} of the answer {rule}")
