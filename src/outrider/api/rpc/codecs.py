"""Convert messages to bytes and back, more strictly than the codecs of the protocol library.

- JSON of ZITADEL's messages may have unknown members, as in ZITADEL; in messages of `outrider.v1`
  they are refused. Unknown numbers of enums are kept, so that the rules can refuse them. A repeated
  member is refused, and so are two members of one oneof.
- Carried JSON stays the text of the caller (`json_envelope`, `json_text`).
- Unknown names of enums are refused. ZITADEL ignores them: with `"payloadType": "JWE"` it would
  send the payload unencrypted.
- A response that cannot be written is an internal error: the caller sees a reference, never the
  text of the exception.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

from connectrpc.codec import Codec, proto_binary_codec, proto_json_codec
from msgspec import MsgspecError
from protobuf import (
    DescEnum,
    DescField,
    DescFieldValueEnum,
    DescFieldValueList,
    DescFieldValueMap,
    DescMessage,
    DescOneof,
    Message,
)

from outrider.api.asgi.json_depth import check_depth
from outrider.api.rpc.binary_bounds import check_elements
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider.api.rpc.json_envelope import (
    MAX_QUOTED_CHARS,
    WELL_KNOWN,
    Envelope,
    json_option,
    message_of,
    read_envelope,
)
from outrider.api.rpc.json_text import JsonForm, came_as, with_objects
from outrider.domain.formats.json_bounds import MAX_BATCH_VALUES, check_values
from outrider.domain.formats.json_words import json_words

M = TypeVar("M", bound=Message)
K = TypeVar("K")


class CheckedCodec:
    """A codec whose failures to encode are internal errors."""

    def __init__(self, inner: Codec[Message, Message], errors: ErrorMapper) -> None:
        self._inner = inner
        self._errors = errors

    def name(self) -> str:
        """The second half of the content type."""
        return self._inner.name()

    def encode(self, message: Message) -> bytes:
        """The bytes of an answer.

        Raises:
            ConnectError: internal, with a reference.
        """
        try:
            return self._inner.encode(message)
        except Exception as error:
            raise self._errors.to_internal_error(error, message.desc().type_name) from error

    def decode(self, data: bytes | bytearray, message_class: type[M]) -> M:
        """The message; whatever is raised is the caller's mistake."""
        came_as(JsonForm.STRUCT)
        check_elements(data, message_class.desc())
        return message_class.from_binary(data)


class JsonCodec(CheckedCodec):
    """Protobuf's JSON, read as ZITADEL reads it."""

    def decode(self, data: bytes | bytearray, message_class: type[M]) -> M:
        """The message.

        Raises:
            ValueError: not JSON, of too many values, nested too deep, or not JSON of this message.
        """
        check_values(data, MAX_BATCH_VALUES)
        try:
            envelope = envelope_of(bytes(data), message_class)
            check_depth(envelope.json)
            message = message_from_json(envelope.json, message_class)
        except (TypeError, ValueError) as problem:
            raise ValueError(json_words(str(problem))) from problem
        envelope.fill(message)
        came_as(JsonForm.STRING if envelope.has_text_fields else JsonForm.OBJECT)
        return message

    def encode(self, message: Message) -> bytes:
        """The bytes of an answer, what it carries in the form that the call had.

        Raises:
            ConnectError: internal, with a reference.
        """
        return with_objects(message, super().encode)


def envelope_of(data: bytes, message_class: type[Message]) -> Envelope:
    """The JSON of a message taken apart. Raise `ValueError` or `TypeError`."""
    try:
        return read_envelope(data, message_class.desc())
    except (MsgspecError, RecursionError) as problem:
        check_depth(data)
        # The words of protobuf's JSON are better: they name the field.
        message_class.from_json(data, ignore_unknown_fields=True)
        raise ValueError(str(problem)) from None


def message_from_json(data: bytes, message_class: type[M]) -> M:
    """The message of JSON that carries nothing. Raise `ValueError` or `TypeError`."""
    check_oneofs(data, message_class.desc())
    try:
        return message_class.from_json(data)
    except ValueError:
        # Unknown fields are rare; a second reading ignores them. It also drops unknown enum
        # numbers, which the first one keeps, and unknown names.
        check_enum_names(data, message_class.desc())
        return message_class.from_json(data, ignore_unknown_fields=True)


def codecs(errors: ErrorMapper) -> tuple[CheckedCodec, CheckedCodec]:
    """The codecs of every service: binary and JSON."""
    return CheckedCodec(proto_binary_codec(), errors), JsonCodec(proto_json_codec(), errors)


def check_oneofs(data: bytes | bytearray, desc: DescMessage) -> None:
    """Raises `ValueError` when one object of the JSON text sets two members of a oneof."""
    if not any(sum(name in data for name in names) > 1 for names in oneof_spellings(desc)):
        return
    for conflict in conflicts(json.loads(data, parse_int=float), desc):
        raise ValueError(conflict)


def check_enum_names(data: bytes | bytearray, desc: DescMessage) -> None:
    """Raises `ValueError` when the JSON text names a value that its enum does not have."""
    for problem in unknown_names(json.loads(data, parse_int=float), desc):
        raise ValueError(problem)


@cache
def oneof_spellings(desc: DescMessage) -> tuple[tuple[bytes, ...], ...]:
    """For each oneof in the message or below it, its members' names as they are written in JSON.

    A text in which at most one of them occurs has no conflict, which is cheap to see. Names that
    are written with escapes are overlooked: no client writes them.
    """
    return tuple(
        tuple({f'"{name}"'.encode() for field in oneof.fields for name in spellings(field)})
        for oneof in all_oneofs(desc, frozenset())
    )


def all_oneofs(desc: DescMessage, above: frozenset[str]) -> Iterator[DescOneof]:
    """Every oneof of a message and of the messages in it, recursion cut."""
    if desc.type_name in above or desc.type_name.startswith(WELL_KNOWN):
        return
    # `json_envelope` has seen to those of JSON that is carried.
    yield from (
        oneof for oneof in desc.oneofs if not any(json_option(field).text for field in oneof.fields)
    )
    for field in desc.fields:
        inner = message_of(field)
        if inner is not None:
            yield from all_oneofs(inner, above | {desc.type_name})


def spellings(field: DescField) -> set[str]:
    """Both names that JSON may use for a field."""
    return {field.name, field.json_name}


def enum_of(field: DescField) -> DescEnum | None:
    """The enum that the values of a field are of, if they are of one."""
    match field.value:
        case DescFieldValueEnum(enum=enum):
            return enum
        case DescFieldValueList(element=element) if isinstance(element, DescEnum):
            return element
        case DescFieldValueMap(value=value) if isinstance(value, DescEnum):
            return value
        case _:
            return None


def conflicts(value: Any, desc: DescMessage) -> Iterator[str]:
    """Texts about oneofs that are set twice, in a JSON value that should be this message."""
    if not isinstance(value, dict) or desc.type_name.startswith(WELL_KNOWN):
        return
    for oneof in desc.oneofs:
        chosen = [field.json_name for field in oneof.fields if is_set(field, value)]
        if len(chosen) > 1:
            yield f"only one of {', '.join(chosen)} may be set"
    for item, inner in parts_of(value, desc, message_of):
        yield from conflicts(item, inner)


def unknown_names(value: Any, desc: DescMessage) -> Iterator[str]:
    """Texts about enum values that do not exist, in a JSON value that should be this message."""
    if not isinstance(value, dict) or desc.type_name.startswith(WELL_KNOWN):
        return
    for item, enum in parts_of(value, desc, enum_of):
        names = [enum_value.name for enum_value in enum.values]
        if isinstance(item, str) and item not in names:
            known = ", ".join(names)
            yield f"{json.dumps(item[:MAX_QUOTED_CHARS])} is no {enum.name}; there are {known}"
    for item, inner in parts_of(value, desc, message_of):
        yield from unknown_names(item, inner)


def parts_of(
    value: dict[str, Any], desc: DescMessage, kind_of: Callable[[DescField], K | None]
) -> Iterator[tuple[Any, K]]:
    """Every single value of the fields that are of a kind, with what it should be."""
    for field in desc.fields:
        kind = kind_of(field)
        if kind is not None:
            for name in spellings(field):
                yield from ((item, kind) for item in items_of(field, value.get(name)))


def is_set(field: DescField, value: dict[str, Any]) -> bool:
    """Whether an object sets the field; null does not."""
    return any(value.get(name) is not None for name in spellings(field))


def items_of(field: DescField, value: Any) -> Iterator[Any]:
    """The single values of a field: a list's items, a map's values, or the value itself."""
    if isinstance(field.value, DescFieldValueList) and isinstance(value, list):
        yield from value
    elif isinstance(field.value, DescFieldValueMap) and isinstance(value, dict):
        yield from value.values()
    else:
        yield value
