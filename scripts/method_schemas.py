"""Writes src/outrider/method_schemas.json: the message types of ZITADEL's methods, compactly.

    python scripts/method_schemas.py zitadel.binpb zitadel-methods.txt

The first file is a `google.protobuf.FileDescriptorSet`, as `protoc --include_imports
--descriptor_set_out` or the reflection of a server gives it; the second names the methods, one a
line. The same input gives the same bytes. With `--check` it says whether the file is current, and
writes nothing.

`methods` has the numbers of request and response for each method. A message is a line of fields
`name:type`: a letter of `outrider.domain.interception.proto_values`, or `m` and `e` with the number
of a message or an enum; `*` behind it is a list, `%` a map, and a number after `/` is the oneof.
Messages that have the same fields are one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "src" / "outrider" / "method_schemas.json"
ABOUT = (
    "The message types of ZITADEL's methods, written by scripts/method_schemas.py, which explains"
    " the form. From ZITADEL's protos (Apache-2.0)."
)

_TYPE = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    _TYPE.TYPE_DOUBLE: "d",
    _TYPE.TYPE_FLOAT: "f",
    _TYPE.TYPE_INT64: "I",
    _TYPE.TYPE_UINT64: "U",
    _TYPE.TYPE_INT32: "i",
    _TYPE.TYPE_FIXED64: "U",
    _TYPE.TYPE_FIXED32: "u",
    _TYPE.TYPE_BOOL: "b",
    _TYPE.TYPE_STRING: "s",
    _TYPE.TYPE_BYTES: "y",
    _TYPE.TYPE_UINT32: "u",
    _TYPE.TYPE_SFIXED32: "i",
    _TYPE.TYPE_SFIXED64: "I",
    _TYPE.TYPE_SINT32: "i",
    _TYPE.TYPE_SINT64: "I",
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

Part = tuple[str, str, str]
"""What stands before a type, the type (a letter, or the full name of a message or enum), and what
stands behind it."""


class Types:
    """All messages, enums and methods of a descriptor set, by full name with a leading dot."""

    def __init__(self, descriptors: Any) -> None:
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
        return [self._part(message, field) for field in self.messages[message].field]

    def _part(self, message: str, field: Any) -> Part:
        shape, value = "*" if field.label == _TYPE.LABEL_REPEATED else "", field
        entry = self.messages.get(field.type_name)
        if entry is not None and entry.options.map_entry:
            shape, value = "%", entry.field[1]
        has_oneof = field.HasField("oneof_index") and not field.proto3_optional
        oneof = f"/{field.oneof_index}" if has_oneof else ""
        if camel(field.name) != field.json_name:
            raise SystemExit(f"{message}.{field.name}: its JSON name is not its name in camel case")
        return f"{field.name}:", self._type(value), shape + oneof

    def _type(self, field: Any) -> str:
        name: str = field.type_name
        if not name:
            return _SCALARS[field.type]
        well_known = _WELL_KNOWN.get(name.removeprefix(_GOOGLE)) if name.startswith(_GOOGLE) else ""
        return well_known or name


def camel(name: str) -> str:
    """A field's name in JSON, unless its proto file says otherwise."""
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def reachable(types: Types, names: Iterable[str]) -> Iterator[str]:
    """The messages of these names and all messages in them, in the order in which they are met."""
    known: set[str] = set()
    left = list(names)[::-1]
    while left:
        name = left.pop()
        if name in known:
            continue
        known.add(name)
        yield name
        inner = [part for _, part, _ in types.parts(name) if part in types.messages]
        left.extend(inner[::-1])


def classes(types: Types, names: list[str]) -> dict[str, int]:
    """The class of each message: those of one class have the same fields, all the way down."""
    enums = {
        name: " ".join(sorted(value.name for value in enum.value))
        for name, enum in types.enums.items()
    }
    found = dict.fromkeys(names, 0)
    count = 1
    while True:
        numbers: dict[Any, int] = {}
        refined = {}
        for name in names:
            parts = tuple(
                (before, enums.get(part) or found.get(part, part), behind)
                for before, part, behind in sorted(types.parts(name))
            )
            refined[name] = numbers.setdefault((found[name], parts), len(numbers))
        if len(numbers) == count:
            return refined
        found, count = refined, len(numbers)


def schemas(types: Types, methods: Iterable[str]) -> Mapping[str, Any]:
    """The content of the file."""
    chosen = sorted(methods)
    names = list(reachable(types, (name for method in chosen for name in types.methods[method])))
    numbers = classes(types, names)
    enum_numbers: dict[str, int] = {}
    messages: dict[int, str] = {}

    def written(part: str) -> str:
        if part in types.messages:
            return f"m{numbers[part]}"
        if part in types.enums:
            values = " ".join(sorted(value.name for value in types.enums[part].value))
            return f"e{enum_numbers.setdefault(values, len(enum_numbers))}"
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
        "about": ABOUT,
        "methods": {service: " ".join(texts) for service, texts in by_service.items()},
        "messages": [messages[number] for number in range(len(messages))],
        "enums": list(enum_numbers),
    }


def main() -> None:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("descriptors", type=Path)
    parser.add_argument("methods", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    descriptors = descriptor_pb2.FileDescriptorSet.FromString(options.descriptors.read_bytes())
    content = schemas(Types(descriptors), options.methods.read_text("utf-8").split())
    text = json.dumps(content, indent=0, ensure_ascii=False) + "\n"
    if not options.check:
        FILE.write_text(text, encoding="utf-8")
    elif FILE.read_text("utf-8") != text:
        sys.exit(f"{FILE.relative_to(ROOT)} is not current: run this without --check")


if __name__ == "__main__":
    main()
