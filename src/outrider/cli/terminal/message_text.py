# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Messages read from JSON as the server reads it: what they only carry stays text.

Numbers, the order of members and escapes of an object under `request`, `payload`, `eventPayload`
and the like arrive at the server as they stand in the file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from outrider.domain.formats.json_members import Value, members_of
from outrider.domain.formats.json_words import json_words

if TYPE_CHECKING:
    from protobuf import DescMessage, Message

M = TypeVar("M", bound="Message")


def message_from_text(text: str, kind: type[M]) -> M:
    """The message of one JSON object.

    Raises:
        ValueError: it is not JSON of this message, or has a member twice.
    """
    desc = kind.desc()
    members = _renamed(members_of(text), desc)
    texts = {}
    for name, (text_name, member, oneof) in _text_fields(desc).items():
        value = members.get(name)
        if value is None or not isinstance(value.parsed, dict):
            continue
        if text_name in members:
            raise ValueError(f"only one of {name}, {text_name} may be set")
        texts[oneof or member] = (members.pop(name).text, member, oneof)
    rest = ",".join(f"{json.dumps(name)}:{value.text}" for name, value in members.items())
    message = message_from_json(f"{{{rest}}}", kind)
    for attribute, (carried, member, oneof) in texts.items():
        setattr(message, attribute, _chosen(member, carried) if oneof else carried)
    return message


def message_from_json(text: str, kind: type[M]) -> M:
    """The message of a JSON text that carries no other. Raise `ValueError` in the words of JSON."""
    try:
        return kind.from_json(text)
    except (TypeError, ValueError, OverflowError) as problem:
        raise ValueError(json_words(str(problem))) from None


def _chosen(member: str, text: str) -> Any:
    from protobuf import Oneof

    return Oneof(member, text)


def _renamed(members: Any, desc: DescMessage) -> dict[str, Value]:
    """The members, each under the one name that JSON has for its field."""
    from outrider_api.outrider.options.v1 import options_pb

    options = desc.proto.options
    ignored = () if options is None else options[options_pb.ext_ignored_members]
    spellings = {
        spelling: field.json_name
        for field in desc.fields
        for spelling in (field.name, field.json_name, *_json_option(field).aliases)
    }
    renamed: dict[str, Value] = {}
    for name, value in members.items():
        known = spellings.get(name, name)
        if known in renamed:
            raise ValueError(f"the member {known} is there twice, once as {name}")
        if name not in ignored:
            renamed[known] = value
    return renamed


def _text_fields(desc: DescMessage) -> dict[str, tuple[str, str, str]]:
    """By the name of a field that is carried as text: name and attribute of the text, and its oneof."""
    by_name = {field.name: field for field in desc.fields}
    oneofs = {field.name: oneof.local_name for oneof in desc.oneofs for field in oneof.fields}
    carried = {}
    for field in desc.fields:
        name = _json_option(field).text
        if name:
            text = by_name[name]
            carried[field.json_name] = (text.json_name, text.local_name, oneofs.get(name, ""))
    return carried


def _json_option(field: Any) -> Any:
    from outrider_api.outrider.options.v1 import options_pb

    options = field.proto.options
    if options is None or options_pb.ext_json not in options:
        return options_pb.JsonField()
    return options[options_pb.ext_json]
