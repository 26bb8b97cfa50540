"""Answers of calls that came as JSON: what is carried as text goes back in the form it came in.

An object under a `Struct` field comes back as an object there; text that the caller gave as a
string comes back as a string. A call is decoded, handled and encoded in one task, whose context
knows how it came.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum
from functools import cache
from typing import Any

from protobuf import DescFieldValueList, DescMessage, Message

from outrider.api.rpc.json_envelope import names_of


class JsonForm(Enum):
    """The form in which a call carries JSON that outrider does not read."""

    STRUCT = "the binary protocol: a Struct, or text in a separate field"
    OBJECT = "an object in JSON"
    STRING = "a string in JSON, with the text"


_form: ContextVar[JsonForm] = ContextVar("json_form", default=JsonForm.STRUCT)


def came_as(form: JsonForm) -> None:
    """Say how the call of this context came."""
    _form.set(form)


def answer_strings() -> None:
    """Have the answer of a JSON call carry its texts as strings."""
    if is_json_call():
        came_as(JsonForm.STRING)


def is_json_call() -> bool:
    """Return whether the call of this context came as JSON, which carries text."""
    return _form.get() is not JsonForm.STRUCT


def with_objects(message: Message, encode: Callable[[Message], bytes]) -> bytes:
    """The JSON of an answer; texts that it carries are objects, unless the caller sent strings.

    The texts are taken out of the message.
    """
    desc = message.desc()
    if _form.get() is not JsonForm.OBJECT or not carries_text(desc):
        return encode(message)
    return _encoded(message, desc, encode)


def _encoded(message: Any, desc: DescMessage, encode: Callable[[Message], bytes]) -> bytes:
    parts: list[bytes] = []
    names = names_of(desc)
    for text_field in names.text_fields:
        text = getattr(message, text_field.member)
        if text:
            setattr(message, text_field.member, "")
            parts.append(b'"%b":%b' % (text_field.name.encode(), text.encode()))
    for name, item, inner in names.messages:
        if carries_text(inner) and isinstance(item.value, DescFieldValueList):
            items = getattr(message, item.local_name)
            if items:
                encoded = b",".join([_encoded(element, inner, encode) for element in items])
                setattr(message, item.local_name, [])
                parts.append(b'"%b":[%b]' % (name.encode(), encoded))
    rest = encode(message)[1:-1]
    return b"{%b}" % b",".join([*parts, rest] if rest else parts)


@cache
def carries_text(desc: DescMessage) -> bool:
    """Return whether a message, or one in its lists, has fields that carry text: no oneof may."""
    names = names_of(desc)
    return bool(names.text_fields) or any(
        isinstance(item.value, DescFieldValueList) and inner is not desc and carries_text(inner)
        for _, item, inner in names.messages
    )
