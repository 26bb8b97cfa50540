"""The script that makes `method_schemas.json` out of descriptors."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, duration_pb2, struct_pb2, wrappers_pb2
from method_schemas import Types, schemas

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


def types(*messages: descriptor_pb2.DescriptorProto, request: str = "In", response: str = "Out"):
    file = descriptor_pb2.FileDescriptorProto(name="a.proto", package="a.v1", syntax="proto3")
    file.message_type.extend(messages)
    file.enum_type.add(name="Kind").value.add(name="KIND_B")
    file.enum_type[0].value.add(name="KIND_A")
    method = file.service.add(name="S").method.add(name="M")
    method.input_type, method.output_type = f".a.v1.{request}", f".a.v1.{response}"
    known = [descriptor_pb2.FileDescriptorProto() for _ in WELL_KNOWN]
    for copy, module in zip(known, WELL_KNOWN, strict=True):
        module.DESCRIPTOR.CopyToProto(copy)
    return Types(descriptor_pb2.FileDescriptorSet(file=[*known, file]))


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


def test_a_json_name_of_its_own_is_an_error():
    """
    The file has one name for each field.
    """
    with pytest.raises(SystemExit, match=r"\.a\.v1\.In\.id"):
        written(message("In", field("id", FIELD.TYPE_STRING, json_name="ID")), message("Out"))
