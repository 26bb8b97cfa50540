"""Typed messages as targets see them: protojson, in lowerCamelCase.

An answer with a field that the message does not have cannot be applied. Two libraries make such
messages; neither is imported before the application has a message of it.
"""

from __future__ import annotations

import json
from typing import Any

from outrider.domain.formats import go_json
from outrider.domain.interception.message import JSON_OBJECTS, InvalidResponse, MessageType


class ProtobufMessages:
    """`MessageType` of one class of messages of `google.protobuf`."""

    def __init__(self, message_class: type[Any]) -> None:
        self._class = message_class

    def render(self, message: Any, /) -> str:
        """Return compact JSON, escaped as Go does."""
        from google.protobuf import json_format  # noqa: PLC0415

        text: str = json_format.MessageToJson(message, indent=None, ensure_ascii=False)
        return go_json.compact(text)

    def parse(self, body: bytes, /) -> Any:
        """Return the message that the body is. Raise `InvalidResponse`."""
        from google.protobuf import json_format  # noqa: PLC0415

        value = JSON_OBJECTS.parse(body)
        try:
            return json_format.ParseDict(value, self._class())
        except json_format.ParseError:
            # Its text quotes the answer.
            raise _invalid_response(self._class.DESCRIPTOR.full_name) from None

    def has_member(self, name: str, /) -> bool:
        """Return whether the class has this field, in either spelling."""
        return any(name in (field.name, field.json_name) for field in self._class.DESCRIPTOR.fields)

    def empty(self) -> Any:
        """Return the message without any field."""
        return self._class()


class ProtobufPyMessages:
    """`MessageType` of one class of messages of `protobuf-py`, which connectrpc uses."""

    def __init__(self, message_class: type[Any]) -> None:
        self._class = message_class

    def render(self, message: Any, /) -> str:
        """Return compact JSON, escaped as Go does."""
        return go_json.compact(message.to_json())

    def parse(self, body: bytes, /) -> Any:
        """Return the message that the body is. Raise `InvalidResponse`."""
        value = JSON_OBJECTS.parse(body)
        try:
            return self._class.from_json(json.dumps(value))
        except (TypeError, ValueError):
            raise _invalid_response(self._class.desc().type_name) from None

    def has_member(self, name: str, /) -> bool:
        """Return whether the class has this field, in either spelling."""
        return any(name in (field.name, field.json_name) for field in self._class.desc().fields)

    def empty(self) -> Any:
        """Return the message without any field."""
        return self._class()


def message_type_of(message_class: type[Any]) -> MessageType[Any]:
    """Return the `MessageType` of a class. Raise `TypeError` for what is of neither library."""
    if hasattr(message_class, "DESCRIPTOR"):
        return ProtobufMessages(message_class)
    if hasattr(message_class, "from_json") and hasattr(message_class, "desc"):
        return ProtobufPyMessages(message_class)
    raise TypeError(
        f"{message_class.__name__} is a message of neither google.protobuf nor protobuf-py: give"
        " `message_type`"
    )


def _invalid_response(name: str) -> InvalidResponse:
    return InvalidResponse(f"the answer is no {name}")
