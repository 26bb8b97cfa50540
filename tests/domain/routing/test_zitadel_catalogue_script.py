"""The script that makes the catalogue of ZITADEL, and message types out of descriptors."""

from __future__ import annotations

import json
import lzma

import pytest
import zitadel_catalogue
from google.protobuf import descriptor_pb2, duration_pb2, struct_pb2, wrappers_pb2

from outrider.cli.catalogue.descriptor_set import (
    InvalidDescriptors,
    Types,
    read_descriptor_set,
    schemas,
)

FIELD = descriptor_pb2.FieldDescriptorProto
WELL_KNOWN = (duration_pb2, struct_pb2, wrappers_pb2)


def field(name: str, type_: int, type_name: str = "", **more) -> FIELD:
    first, *others = name.split("_")
    json_name = first + "".join(other.capitalize() for other in others)
    label = more.pop("label", FIELD.LABEL_OPTIONAL)
    return FIELD(
        name=name, type=type_, type_name=type_name, label=label, **{"json_name": json_name, **more}
    )


def message(name: str, *fields: FIELD) -> descriptor_pb2.DescriptorProto:
    found = descriptor_pb2.DescriptorProto(name=name, field=fields)
    if any(one.HasField("oneof_index") for one in fields):
        found.oneof_decl.add(name="choice")
    return found


def types(
    *messages: descriptor_pb2.DescriptorProto, request: str = "In", response: str = "Out"
) -> Types:
    file = descriptor_pb2.FileDescriptorProto(name="a.proto", package="a.v1", syntax="proto3")
    file.message_type.extend(messages)
    file.enum_type.add(name="Kind").value.add(name="KIND_B")
    file.enum_type[0].value.add(name="KIND_A")
    method = file.service.add(name="S").method.add(name="M")
    method.input_type, method.output_type = f".a.v1.{request}", f".a.v1.{response}"
    known = [descriptor_pb2.FileDescriptorProto() for _ in WELL_KNOWN]
    for copy, module in zip(known, WELL_KNOWN, strict=True):
        module.DESCRIPTOR.CopyToProto(copy)
    descriptors = descriptor_pb2.FileDescriptorSet(file=[*known, file])
    return read_descriptor_set(descriptors.SerializeToString())


def written(*messages: descriptor_pb2.DescriptorProto):
    return schemas(types(*messages), ["/a.v1.S/M"])


def test_every_kind_of_field_has_its_form():
    """
    The form is what the domain reads.
    """
    entry = message(
        "LabelsEntry", field("key", FIELD.TYPE_STRING), field("value", FIELD.TYPE_INT64)
    )
    entry.options.map_entry = True
    request = message(
        "In",
        field("user_id", FIELD.TYPE_STRING),
        field("kinds", FIELD.TYPE_ENUM, ".a.v1.Kind", label=FIELD.LABEL_REPEATED),
        field("labels", FIELD.TYPE_MESSAGE, ".a.v1.In.LabelsEntry", label=FIELD.LABEL_REPEATED),
        field("wait", FIELD.TYPE_MESSAGE, ".google.protobuf.Duration", oneof_index=0),
        field("count", FIELD.TYPE_MESSAGE, ".google.protobuf.Int32Value", oneof_index=0),
        field("data", FIELD.TYPE_MESSAGE, ".google.protobuf.Struct"),
        field("out", FIELD.TYPE_MESSAGE, ".a.v1.Out"),
        field("self", FIELD.TYPE_MESSAGE, ".a.v1.In"),
    )
    request.nested_type.append(entry)
    content = written(request, message("Out", field("ok", FIELD.TYPE_BOOL)))

    assert {"a.v1.S": "M:0,1"} == content["methods"]
    assert [
        "count:i/0 data:S kinds:e0* labels:I% out:m1 self:m0 user_id:s wait:D/0",
        "ok:b",
    ] == content["messages"]
    assert ["KIND_A KIND_B"] == content["enums"]


def test_messages_of_the_same_fields_are_one():
    """
    Most of ZITADEL's messages are there three times: v1, v2beta and v2.
    """
    inner = [message(name, field("id", FIELD.TYPE_STRING)) for name in ("A", "B")]
    content = written(
        *inner,
        message("In", field("one", FIELD.TYPE_MESSAGE, ".a.v1.A")),
        message("Out", field("one", FIELD.TYPE_MESSAGE, ".a.v1.B")),
    )
    assert {"a.v1.S": "M:0,0"} == content["methods"]
    assert ["one:m1", "id:s"] == content["messages"]


@pytest.mark.parametrize(
    ("json_name", "text"), [("ID", "id=ID:s"), ("@id", "id=@id:s"), ("the id", "id:s")]
)
def test_a_separate_json_name_stands_behind_the_name(json_name, text):
    """
    An operator's own API may have such names; ZITADEL's has none.
    """
    content = written(
        message("In", field("id", FIELD.TYPE_STRING, json_name=json_name)), message("Out")
    )

    assert text == content["messages"][0]


def test_a_set_without_what_it_imports_says_how_to_make_one():
    """
    `protoc` leaves imports out unless it is told otherwise.
    """
    request = message("In", field("other", FIELD.TYPE_MESSAGE, ".b.v1.Other"))

    with pytest.raises(InvalidDescriptors, match=r"b\.v1\.Other .* --include_imports"):
        written(request, message("Out"))


@pytest.mark.parametrize("data", [b"{}", b"\xff", b"openapi: 3.1.0"])
def test_other_bytes_are_no_descriptor_set(data):
    """
    A user who gives the wrong file learns which kind of file it has to be.
    """
    with pytest.raises(InvalidDescriptors, match="FileDescriptorSet"):
        read_descriptor_set(data)


def test_what_is_committed_is_what_the_kept_descriptors_give():
    """
    A file edited by hand would be overwritten by the next release of ZITADEL.
    """
    kept = read_descriptor_set(lzma.decompress(zitadel_catalogue.KEPT.read_bytes()))
    current = zitadel_catalogue.CATALOGUE.read_text("utf-8")

    assert 899 == len(kept.methods)
    assert current == zitadel_catalogue.catalogue_text(json.loads(current), kept)
    assert zitadel_catalogue.SCHEMAS.read_text("utf-8") == zitadel_catalogue.schemas_text(kept)


def test_a_newer_release_replaces_the_methods_and_keeps_the_rest():
    """
    What no descriptor set has is not lost: functions, event types, health and reflection.
    """
    current = {
        "about": "a",
        "services": {"grpc.health.v1.Health": ["Check"], "zitadel.old.v1.Old": ["Gone"]},
        "functions": ["preuserinfo"],
        "event_types": ["user.added"],
    }
    newer = types(message("In"), message("Out"))
    newer.methods = {"/zitadel.new.v1.New/Do": (".a.v1.In", ".a.v1.Out"), "/a.v1.S/M": ("", "")}

    assert {
        **current,
        "services": {"grpc.health.v1.Health": ["Check"], "zitadel.new.v1.New": ["Do"]},
    } == json.loads(zitadel_catalogue.catalogue_text(current, newer))
