"""The proto files as plain values, with their options and comments.

Comments are in no descriptor that the server has, so this reads what protoc writes about the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
)

HTTP = "[google.api.http]"
PERMISSION = "[outrider.options.v1.permission]"
RULES = "[outrider.options.v1.rules]"
REQUIRED = "[outrider.options.v1.required]"
REPEATED = "LABEL_REPEATED"

# Answered by their own libraries, with streams; they are no part of the HTTP API.
FOREIGN = "grpc."

# Field numbers of descriptor.proto: a comment is found by the path of its declaration.
MESSAGES, ENUMS, SERVICES = 4, 5, 6
FIELDS, NESTED, NESTED_ENUMS, ONEOFS = 2, 3, 4, 8
VALUES = METHODS = 2

Json = dict[str, Any]
Comments = dict[tuple[int, ...], str]


@dataclass(frozen=True)
class Field:
    """A field; `kind` is TYPE_STRING and the like, `type_name` the message's or enum's."""

    name: str
    json_name: str
    kind: str
    type_name: str
    repeated: bool
    optional: bool
    oneof: str
    rules: Json
    comment: str


@dataclass(frozen=True)
class Oneof:
    """A choice between fields."""

    name: str
    required: bool
    members: tuple[str, ...]
    """JSON names."""
    comment: str


@dataclass(frozen=True)
class Message:
    """A message; its oneofs are those that were written as such."""

    name: str
    fields: tuple[Field, ...]
    oneofs: tuple[Oneof, ...]
    is_map_entry: bool
    comment: str


@dataclass(frozen=True)
class Value:
    """One value of an enum."""

    name: str
    number: int
    comment: str


@dataclass(frozen=True)
class Enum:
    """An enum with its values in order."""

    name: str
    values: tuple[Value, ...]
    comment: str


@dataclass(frozen=True)
class Route:
    """One REST binding; `body` is "*", a field, or empty."""

    verb: str
    path: str
    body: str


@dataclass(frozen=True)
class Method:
    """One call."""

    service: str
    name: str
    input: str
    output: str
    routes: tuple[Route, ...]
    permission: str
    comment: str


@dataclass(frozen=True)
class Service:
    """One service; `name` is the full one."""

    name: str
    methods: tuple[Method, ...]
    comment: str


@dataclass(frozen=True)
class Contract:
    """Everything, by full name; services in the order of their names."""

    messages: dict[str, Message]
    enums: dict[str, Enum]
    services: tuple[Service, ...]


def read_contract(descriptor_set: bytes) -> Contract:
    """From what `protoc --include_imports --include_source_info --descriptor_set_out` wrote."""
    files = as_json(descriptor_set)["file"]
    messages = {found.name: found for file in files for found in messages_of(file)}
    enums = {found.name: found for file in files for found in enums_of(file)}
    services = [found for file in files for found in services_of(file)]
    return Contract(messages, enums, tuple(sorted(services, key=lambda found: found.name)))


def as_json(descriptor_set: bytes) -> Json:
    """The set as JSON, with the options that only the files themselves declare."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptor_set).file:
        pool.Add(file)
    descriptor = pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet")
    parsed = message_factory.GetMessageClass(descriptor).FromString(descriptor_set)
    found: Json = json_format.MessageToDict(parsed)
    return found


def comments_of(file: Json) -> Comments:
    """The comment above every declaration, lines joined."""
    found = {}
    for location in file.get("sourceCodeInfo", {}).get("location", ()):
        text = location.get("leadingComments", "")
        if text:
            found[tuple(location.get("path", ()))] = " ".join(text.split())
    return found


def messages_of(file: Json) -> Iterator[Message]:
    """Every message of a file, nested ones too."""
    comments = comments_of(file)
    for index, message in enumerate(file.get("messageType", ())):
        yield from nested_messages(message, file.get("package", ""), (MESSAGES, index), comments)


def nested_messages(
    message: Json, scope: str, path: tuple[int, ...], comments: Comments
) -> Iterator[Message]:
    """A message and those within it."""
    name = f"{scope}.{message['name']}"
    yield message_of(message, name, path, comments)
    for index, inner in enumerate(message.get("nestedType", ())):
        yield from nested_messages(inner, name, (*path, NESTED, index), comments)


def message_of(message: Json, name: str, path: tuple[int, ...], comments: Comments) -> Message:
    """One message without those within it."""
    declared = message.get("oneofDecl", ())
    fields = tuple(
        field_of(field, declared, comments.get((*path, FIELDS, index), ""))
        for index, field in enumerate(message.get("field", ()))
    )
    oneofs = (
        oneof_of(oneof, fields, comments.get((*path, ONEOFS, index), ""))
        for index, oneof in enumerate(declared)
    )
    return Message(
        name=name,
        fields=fields,
        oneofs=tuple(oneof for oneof in oneofs if oneof.members),
        is_map_entry=message.get("options", {}).get("mapEntry", False),
        comment=comments.get(path, ""),
    )


def field_of(field: Json, declared: Sequence[Json], comment: str) -> Field:
    """A field; one that is `optional` is in no oneof, even where the descriptor has one."""
    optional = field.get("proto3Optional", False)
    in_oneof = "oneofIndex" in field and not optional
    return Field(
        name=field["name"],
        json_name=field["jsonName"],
        kind=field["type"],
        type_name=field.get("typeName", "").removeprefix("."),
        repeated=field["label"] == REPEATED,
        optional=optional,
        oneof=declared[field["oneofIndex"]]["name"] if in_oneof else "",
        rules=field.get("options", {}).get(RULES, {}),
        comment=comment,
    )


def oneof_of(oneof: Json, fields: Sequence[Field], comment: str) -> Oneof:
    """A choice with its members."""
    return Oneof(
        name=oneof["name"],
        required=oneof.get("options", {}).get(REQUIRED, False),
        members=tuple(field.json_name for field in fields if field.oneof == oneof["name"]),
        comment=comment,
    )


def enums_of(file: Json) -> Iterator[Enum]:
    """The enums of a file; the contract nests none."""
    comments = comments_of(file)
    for index, enum in enumerate(file.get("enumType", ())):
        path = (ENUMS, index)
        values = tuple(
            Value(value["name"], value["number"], comments.get((*path, VALUES, value_index), ""))
            for value_index, value in enumerate(enum["value"])
        )
        yield Enum(f"{file.get('package', '')}.{enum['name']}", values, comments.get(path, ""))


def services_of(file: Json) -> Iterator[Service]:
    """The services of a file."""
    if file.get("package", "").startswith(FOREIGN):
        return
    comments = comments_of(file)
    for index, service in enumerate(file.get("service", ())):
        if is_spoken_by_programs_only(service):
            continue
        name = f"{file['package']}.{service['name']}"
        methods = tuple(
            method_of(method, name, comments.get((SERVICES, index, METHODS, method_index), ""))
            for method_index, method in enumerate(service.get("method", ()))
        )
        yield Service(name, methods, comments.get((SERVICES, index), ""))


def is_spoken_by_programs_only(service: Json) -> bool:
    """Return whether it has streams: then it is no part of the HTTP API, which people use by curl."""
    return any(
        method.get("clientStreaming") or method.get("serverStreaming")
        for method in service.get("method", ())
    )


def method_of(method: Json, service: str, comment: str) -> Method:
    """One call with its routes and permission."""
    options = method.get("options", {})
    rule = options.get(HTTP, {})
    return Method(
        service=service,
        name=method["name"],
        input=method["inputType"].removeprefix("."),
        output=method["outputType"].removeprefix("."),
        routes=tuple(routes_of(rule)) if rule else (),
        permission=options.get(PERMISSION, ""),
        comment=comment,
    )


def routes_of(rule: Json) -> Iterator[Route]:
    """The binding and its additional bindings."""
    for binding in (rule, *rule.get("additionalBindings", ())):
        (verb,) = {"get", "put", "post", "delete", "patch"} & binding.keys()
        yield Route(verb, binding[verb], binding.get("body", ""))
