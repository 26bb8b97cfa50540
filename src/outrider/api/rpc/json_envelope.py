"""Split the JSON of a message: carried members stay the text that the caller wrote.

protobuf's JSON would convert the numbers of a `Struct` to doubles, and would take the last of two
members with one name. This module reads every object that is a message one level deep, each member
as its text. It moves objects under fields with the option `text` to the field for their text, and
replaces aliases by the name that protobuf knows. protobuf's JSON reads the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Any

from msgspec import DecodeError, Raw, ValidationError
from msgspec.json import Decoder, decode, encode
from protobuf import (
    DescField,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescFieldValueScalar,
    DescMessage,
    Message,
    Oneof,
    ScalarType,
)

from outrider.api.asgi.json_depth import check_depth
from outrider.domain.events.event_payload import object_in_base64
from outrider.domain.formats.json_members import items_of, members_of
from outrider_api.outrider.options.v1 import options_pb
from outrider_api.outrider.options.v1.options_pb import JsonField

WELL_KNOWN = "google.protobuf."
STRICT = "outrider."
"""Of messages in these packages unknown members are refused: dropping one loses what it says."""
# Of a text that the caller sent, in a message to the caller.
MAX_QUOTED_CHARS = 100

Members = dict[str, Raw]
_OBJECT = Decoder(Members)
_OBJECTS = Decoder(list[Members])
_NULL = b"null"
_NO_NUMBERS = frozenset({ScalarType.BOOL, ScalarType.STRING, ScalarType.BYTES})
_NUMBER = re.compile(rb'"(?:-?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|-?Infinity|NaN)"')


@dataclass(frozen=True, slots=True)
class TextField:
    """A `Struct` field whose objects are carried in another field, as text.

    Both names are those of JSON. `member` is the attribute of the other field, `oneof` that of the
    oneof that it is in, if any. `reads_base64`: a JSON text is the Base64 of an object.
    """

    name: str
    text_name: str
    member: str
    oneof: str
    reads_base64: bool


@dataclass(frozen=True, slots=True)
class MessageNames:
    """How a type of message is read: names as JSON has them, every spelling of them, its messages.

    `numbers` are the names of its fields that are numbers.
    """

    names: frozenset[str]
    spellings: Mapping[str, str]
    text_fields: Sequence[TextField]
    messages: Sequence[tuple[str, DescField, DescMessage]]
    ignored: frozenset[str]
    numbers: Sequence[str]
    bare: tuple[str, frozenset[str]] | None = None
    """A message that may be left out around its members, and their names."""


@dataclass(slots=True)
class Envelope:
    """The JSON that is left for protobuf, and the texts that go into the message beside it."""

    json: bytes
    texts: list[tuple[tuple[str | int, ...], TextField, str]] = field(default_factory=list)
    has_text_fields: bool = False
    """The caller itself used one of the fields that carry text."""

    def fill(self, message: Message) -> None:
        """Put the texts where they belong."""
        for path, text_field, text in self.texts:
            parent: Any = message
            for part in path:
                parent = parent[part] if isinstance(part, int) else getattr(parent, part)
            if text_field.oneof:
                setattr(parent, text_field.oneof, Oneof(text_field.member, text))
            else:
                setattr(parent, text_field.member, text)


def read_envelope(data: bytes, desc: DescMessage) -> Envelope:
    """Take the JSON of a message apart.

    Raises:
        MsgspecError: it is not JSON of this message.
        ValueError: a member is there twice, or unknown.
    """
    envelope = Envelope(data)
    reader = _Reader(envelope, is_strict=desc.type_name.startswith(STRICT))
    left = reader.read([_object(data)], data, desc, [()])
    if left is not None:
        envelope.json = left[0]
    return envelope


def members_once(data: bytes) -> Members:
    """The members of an object, each with its text.

    Raises:
        MsgspecError: it is not a JSON object.
        ValueError: a member is there twice.
    """
    members = _object(data)
    _check_names_once([members], data)
    return members


def joined(members: Mapping[str, bytes | Raw]) -> bytes:
    """The JSON object of these members."""
    return b"{%b}" % b",".join([b"%b:%b" % (encode(name), text) for name, text in members.items()])


def check_known(names: Iterator[str], known: frozenset[str]) -> None:
    """Raise `ValueError` about a name that is none of those that are known."""
    for name in names:
        quoted = encode(name[:MAX_QUOTED_CHARS]).decode()
        close = get_close_matches(name[:MAX_QUOTED_CHARS], sorted(known), 1)
        advice = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"unknown member {quoted}{advice}")


@cache
def names_of(desc: DescMessage) -> MessageNames:
    """How messages of this type are read."""
    spellings: dict[str, str] = {}
    for item in desc.fields:
        aliases = json_option(item).aliases
        spellings |= dict.fromkeys((item.name, item.json_name, *aliases), item.json_name)
    options = desc.proto.options
    ignored = () if options is None else options[options_pb.ext_ignored_members]
    return MessageNames(
        names=frozenset(item.json_name for item in desc.fields),
        spellings=spellings,
        text_fields=tuple(text_fields(desc)),
        messages=tuple(
            (item.json_name, item, inner)
            for item in desc.fields
            if (inner := message_of(item)) and not inner.type_name.startswith(WELL_KNOWN)
        ),
        ignored=frozenset(ignored),
        numbers=tuple(item.json_name for item in desc.fields if _is_number(item)),
        bare=next(bare_messages(desc), None),
    )


def bare_messages(desc: DescMessage) -> Iterator[tuple[str, frozenset[str]]]:
    """The field with the option `bare`, if there is one, and every spelling of its members."""
    for item in desc.fields:
        inner = message_of(item)
        if inner is not None and json_option(item).bare:
            yield item.json_name, frozenset(names_of(inner).spellings)


def _is_number(item: DescField) -> bool:
    return isinstance(item.value, DescFieldValueScalar) and item.value.scalar not in _NO_NUMBERS


def text_fields(desc: DescMessage) -> Iterator[TextField]:
    """The fields of a message whose objects are carried as text."""
    by_name = {item.name: item for item in desc.fields}
    oneofs = {item.name: oneof.local_name for oneof in desc.oneofs for item in oneof.fields}
    for item in desc.fields:
        option = json_option(item)
        if name := option.text:
            text, oneof = by_name[name], oneofs.get(name, "")
            yield TextField(item.json_name, text.json_name, text.local_name, oneof, option.base64)


def json_option(item: DescField) -> JsonField:
    """How a field is read and written in JSON."""
    options = item.proto.options
    if options is None or options_pb.ext_json not in options:
        return JsonField()
    return options[options_pb.ext_json]


def message_of(item: DescField) -> DescMessage | None:
    """The message type that the values of a field have, if they have one."""
    match item.value:
        case DescFieldValueMessage(message=message):
            return message
        case DescFieldValueList(element=element) if isinstance(element, DescMessage):
            return element
        case DescFieldValueMap(value=value) if isinstance(value, DescMessage):
            return value
        case _:
            return None


class _Reader:
    """Reads one message; many objects of one type at once, because a call has up to 1000 events."""

    def __init__(self, envelope: Envelope, *, is_strict: bool) -> None:
        self._envelope = envelope
        self._is_strict = is_strict

    def read(
        self,
        objects: Sequence[Members],
        text: bytes,
        desc: DescMessage,
        paths: Sequence[tuple[str | int, ...]],
    ) -> list[bytes] | None:
        """The JSON of each object that is left for protobuf; None: all are as they were.

        `text` is what the objects are from.
        """
        _check_names_once(objects, text)
        names = names_of(desc)
        is_changed = False
        for members, path in zip(objects, paths, strict=True):
            if not members.keys() <= names.names:
                _gather_bare(members, names)
                self._rename(members, names)
                is_changed = True
            for name in names.numbers:
                if name in members:
                    _check_digits(name, bytes(members[name]))
            for text_field in names.text_fields:
                if self._take_text(members, text_field, path):
                    is_changed = True
            for name, item, inner in names.messages:
                value = members.get(name)
                if value is None or bytes(value) == _NULL:
                    continue
                left = self._inner(bytes(value), item, inner, (*path, item.local_name))
                if left is not None:
                    members[name] = Raw(left)
                    is_changed = True
        return [joined(members) for members in objects] if is_changed else None

    def _rename(self, members: Members, names: MessageNames) -> None:
        """Give each member the one name that JSON has for its field."""
        for name in members.keys() - names.names:
            known = names.spellings.get(name)
            if known is None:
                if name in names.ignored:
                    del members[name]
                elif self._is_strict:
                    check_known(iter([name]), names.names)
            elif known in members:
                raise ValueError(f"the member {known} is there twice, once as {name}")
            else:
                members[known] = members.pop(name)

    def _take_text(
        self, members: Members, text_field: TextField, path: tuple[str | int, ...]
    ) -> bool:
        """Move an object to the field that carries its text; whether there was one."""
        given = members.get(text_field.text_name)
        has_text = given is not None and bytes(given) != _NULL
        if has_text:
            self._envelope.has_text_fields = True
        value = members.get(text_field.name)
        if value is None or bytes(value) == _NULL:
            return False
        if has_text:
            both = f"{text_field.name}, {text_field.text_name}"
            raise ValueError(f"only one of {both} may be set")
        text = _carried_text(bytes(value), text_field)
        if text is None:
            return False
        del members[text_field.name]
        self._envelope.texts.append((path, text_field, text))
        return True

    def _inner(
        self, value: bytes, item: DescField, desc: DescMessage, path: tuple[str | int, ...]
    ) -> bytes | None:
        """The JSON of the messages in a field; None: it is as it was."""
        match item.value:
            case DescFieldValueList():
                objects = _objects(value)
                paths = [(*path, index) for index in range(len(objects))]
                left = self.read(objects, value, desc, paths)
                return None if left is None else b"[%b]" % b",".join(left)
            case DescFieldValueMap():
                pairs = members_once(value)
                read = {
                    name: self._single(bytes(text), desc, (*path, name))
                    for name, text in pairs.items()
                }
                changed = {name: text for name, text in read.items() if text is not None}
                return joined({**pairs, **changed}) if changed else None
            case _:
                return self._single(value, desc, path)

    def _single(self, value: bytes, desc: DescMessage, path: tuple[str | int, ...]) -> bytes | None:
        left = self.read([_object(value)], value, desc, [path])
        return None if left is None else left[0]


def _gather_bare(members: Members, names: MessageNames) -> None:
    """Put members of a message that is left out where they belong."""
    if names.bare is None:
        return
    name, inner = names.bare
    others = members.keys() - names.spellings.keys()
    if name not in members and others & inner:
        gathered = {other: members.pop(other) for other in [*members] if other in others}
        members[name] = Raw(joined(gathered))


def _check_digits(name: str, value: bytes) -> None:
    # Python, and with it protobuf's JSON, also reads "1_000" and digits of other scripts.
    if value.startswith(b'"') and not _NUMBER.fullmatch(value):
        raise ValueError(f"{name}: a number in quotation marks is written in the digits 0 to 9")


def _carried_text(value: bytes, text_field: TextField) -> str | None:
    """The object that is carried, as text; None: it is none.

    Raise `ValueError` for bad Base64, and for what is nested too deep.
    """
    if value.startswith(b"{"):
        check_depth(value)
        return value.decode()
    if not (text_field.reads_base64 and value.startswith(b'"')):
        return None
    try:
        return object_in_base64(decode(value, type=str))
    except ValueError as problem:
        raise ValueError(f"{text_field.name}: {problem}") from None


def _object(text: bytes) -> Members:
    try:
        return _OBJECT.decode(text)
    except ValidationError:
        raise
    except DecodeError as problem:
        return _read_slowly(text, problem)


def _objects(text: bytes) -> list[Members]:
    try:
        return _OBJECTS.decode(text)
    except ValidationError:
        raise
    except DecodeError as problem:
        try:
            items = items_of(str(text, "utf-8"))
        except ValueError:
            raise problem from None
        return [_read_slowly(item.text.encode(), problem) for item in items]


def _read_slowly(text: bytes, problem: DecodeError) -> Members:
    """The members of an object that has half a surrogate pair, which msgspec does not take.

    Python's JSON does, and so do the programs that write such texts. Raise `problem` when there is
    another one.
    """
    try:
        found = members_of(str(text, "utf-8"))
    except ValueError:
        raise problem from None
    return {name: Raw(value.text.encode()) for name, value in found.items()}


def _check_names_once(objects: Sequence[Members], text: bytes) -> None:
    """Raise `ValueError` naming a member that one of the objects has twice.

    What was read has fewer quotation marks than the text when a member was dropped, or when a name
    is written with one in it.
    """
    values = b"".join([value for members in objects for value in members.values()])
    if text.count(b'"') == 2 * sum(map(len, objects)) + values.count(b'"'):
        return
    whole = str(text, "utf-8")
    texts = [item.text for item in items_of(whole)] if whole.lstrip().startswith("[") else [whole]
    for item in texts:
        members_of(item)
