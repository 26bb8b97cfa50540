# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""The methods and message types of a `google.protobuf.FileDescriptorSet`, compactly.

`methods` has the numbers of request and response for each method. A message is a line of fields
`name:type`: a letter of `outrider.domain.interception.proto_values`, or `m` and `e` with the number
of a message or an enum; `*` behind it is a list, `%` a map, and a number after `/` is the oneof. A
field whose name in JSON is not its name in camel case is `name=json:type`. Messages that have the
same fields are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protobuf.wkt import FileDescriptorSet

_SCALARS = {
    "DOUBLE": "d",
    "FLOAT": "f",
    "INT64": "I",
    "UINT64": "U",
    "INT32": "i",
    "FIXED64": "U",
    "FIXED32": "u",
    "BOOL": "b",
    "STRING": "s",
    "BYTES": "y",
    "UINT32": "u",
    "SFIXED32": "i",
    "SFIXED64": "I",
    "SINT32": "i",
    "SINT64": "I",
}
_WELL_KNOWN = {
    "Any": "A",
    "BoolValue": "b",
    "BytesValue": "y",
    "DoubleValue": "d",
    "Duration": "D",
    "FieldMask": "M",
    "FloatValue": "f",
    "Int32Value": "i",
    "Int64Value": "I",
    "ListValue": "L",
    "NullValue": "V",
    "StringValue": "s",
    "Struct": "S",
    "Timestamp": "T",
    "UInt32Value": "u",
    "UInt64Value": "U",
    "Value": "V",
}
_GOOGLE = ".google.protobuf."
_JSON_NAME = re.compile(r"[\w@.$-]+")

Part = tuple[str, str, str]
"""What stands before a type, the type (a letter, or the full name of a message or enum), and what
stands behind it."""


class InvalidDescriptors(Exception):
    """The bytes are no descriptor set, or an incomplete one. The text says what to do."""


class Types:
    """All messages, enums and methods of a descriptor set, by full name with a leading dot.

    Raises:
        InvalidDescriptors: a type that a method or a field names is not in the set.
    """

    def __init__(self, descriptors: FileDescriptorSet) -> None:
        self.messages: dict[str, Any] = {}
        self.enums: dict[str, Any] = {}
        self.methods: dict[str, tuple[str, str]] = {}
        for file in descriptors.file:
            package = f".{file.package}" if file.package else ""
            self._add(package, file.message_type, file.enum_type)
            for service in file.service:
                for method in service.method:
                    name = f"{package}.{service.name}/{method.name}".removeprefix(".")
                    self.methods[f"/{name}"] = method.input_type, method.output_type

    def _add(self, scope: str, messages: Iterable[Any], enums: Iterable[Any]) -> None:
        self.enums.update({f"{scope}.{enum.name}": enum for enum in enums})
        for message in messages:
            name = f"{scope}.{message.name}"
            self.messages[name] = message
            self._add(name, message.nested_type, message.enum_type)

    def parts(self, message: str) -> list[Part]:
        """The fields of a message."""
        found = self.messages.get(message)
        if found is None:
            raise InvalidDescriptors(
                f"the type {message.removeprefix('.')} is not in the descriptor set: make it with"
                " `buf build -o FILE`, or `protoc --include_imports --descriptor_set_out=FILE`"
            )
        return [self._part(field) for field in found.field]

    def _part(self, field: Any) -> Part:
        shape, value = "*" if field.label.name == "REPEATED" else "", field
        entry = self.messages.get(field.type_name)
        if entry is not None and entry.options is not None and entry.options.map_entry:
            shape, value = "%", entry.field[1]
        has_oneof = field.has_field("oneof_index") and not field.proto3_optional
        oneof = f"/{field.oneof_index}" if has_oneof else ""
        return f"{_names(field)}:", self._type(value), shape + oneof

    def _type(self, field: Any) -> str:
        name: str = field.type_name
        if not name:
            return _SCALARS[field.type.name]
        well_known = _WELL_KNOWN.get(name.removeprefix(_GOOGLE)) if name.startswith(_GOOGLE) else ""
        if not well_known and field.type.name == "ENUM" and name not in self.enums:
            return "V"
        return well_known or name


def read_descriptor_set(data: bytes) -> Types:
    """Return the types of a binary `FileDescriptorSet`. Raise `InvalidDescriptors`."""
    from protobuf.wkt import FileDescriptorSet

    try:
        return Types(FileDescriptorSet.from_binary(data))
    except (ValueError, TypeError, IndexError, EOFError) as failure:
        raise InvalidDescriptors(f"is no binary FileDescriptorSet: {failure}") from None


def schemas(types: Types, methods: Iterable[str]) -> Mapping[str, Any]:
    """`methods`, `messages` and `enums`, as the module says; the same input gives the same text."""
    chosen = sorted(methods)
    names = list(_reachable(types, (name for method in chosen for name in types.methods[method])))
    numbers = _classes(types, names)
    enum_numbers: dict[str, int] = {}
    messages: dict[int, str] = {}

    def written(part: str) -> str:
        if part in types.messages:
            return f"m{numbers[part]}"
        if part in types.enums:
            return f"e{enum_numbers.setdefault(_values(types.enums[part]), len(enum_numbers))}"
        return part

    for name in names:
        if numbers[name] not in messages:
            parts = sorted(types.parts(name))
            messages[numbers[name]] = " ".join(
                before + written(part) + behind for before, part, behind in parts
            )
    by_service: dict[str, list[str]] = {}
    for method in chosen:
        service, _, name = method.removeprefix("/").rpartition("/")
        request, response = (numbers[message] for message in types.methods[method])
        by_service.setdefault(service, []).append(f"{name}:{request},{response}")
    return {
        "methods": {service: " ".join(texts) for service, texts in by_service.items()},
        "messages": [messages[number] for number in range(len(messages))],
        "enums": list(enum_numbers),
    }


def _names(field: Any) -> str:
    name, json_name = field.name, field.json_name
    is_usual = not json_name or json_name == _camel(name) or not _JSON_NAME.fullmatch(json_name)
    return name if is_usual else f"{name}={json_name}"


def _camel(name: str) -> str:
    """A field's name in JSON, unless its proto file says otherwise."""
    return re.sub(r"_([a-z0-9A-Z])", lambda part: part[1].upper(), name)


def _values(enum: Any) -> str:
    return " ".join(sorted(value.name for value in enum.value))


def _reachable(types: Types, names: Iterable[str]) -> Iterator[str]:
    """The messages of these names and all messages in them, in the order in which they are met."""
    known: set[str] = set()
    left = list(names)[::-1]
    while left:
        name = left.pop()
        if name in known:
            continue
        known.add(name)
        yield name
        inner = [part for _, part, _ in types.parts(name) if part.startswith(".")]
        left.extend(part for part in inner[::-1] if part not in types.enums)


def _classes(types: Types, names: Sequence[str]) -> dict[str, int]:
    """The class of each message: those of one class have the same fields, all the way down."""
    enums = {name: _values(enum) for name, enum in types.enums.items()}
    parts_of = {name: sorted(types.parts(name)) for name in names}
    found = dict.fromkeys(names, 0)
    count = 1
    while True:
        numbers: dict[Any, int] = {}
        refined = {}
        for name in names:
            parts = tuple(
                (before, enums.get(part) or found.get(part, part), behind)
                for before, part, behind in parts_of[name]
            )
            refined[name] = numbers.setdefault((found[name], parts), len(numbers))
        if len(numbers) == count:
            return refined
        found, count = refined, len(numbers)
