"""Convert a REST request to the JSON of a message, from path, query and body."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from msgspec import MsgspecError, ValidationError
from protobuf import (
    DescEnum,
    DescField,
    DescFieldValueEnum,
    DescFieldValueList,
    DescFieldValueMessage,
    DescFieldValueScalar,
    DescMessage,
    ScalarType,
)

from outrider.api.asgi.json_depth import check_bounds
from outrider.api.rest.routes import WHOLE_MESSAGE, Match, field_named
from outrider.api.rpc.json_envelope import STRICT, check_known, joined, members_once, names_of

# As many as any list request could need, and few enough to be no burden.
MAX_QUERY_FIELDS = 100
EMPTY_OBJECT = b"{}"

# Messages whose JSON is a string, so that a query can give them.
TEXT_MESSAGES = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})


class BadRequestError(Exception):
    """The request cannot become a message; the text goes to the caller."""


def message_json(match: Match, query_string: bytes, body: bytes) -> bytes:
    """The JSON text of the request message.

    The path wins over the query, and both win over the body, whose values stay as they are
    written. Fields of the query that a message of ZITADEL does not have are ignored.

    Raises:
        BadRequestError: the body is not a JSON object, or the query cannot be read.
    """
    if match.route.body == WHOLE_MESSAGE and not match.variables:
        # The message codec describes a bad body as well as this module could.
        return body or EMPTY_OBJECT
    members = body_members(match, body)
    added: dict[str, Any] = {}
    if match.route.body != WHOLE_MESSAGE:
        for path, text in query_fields(query_string):
            set_field(added, match.route.input, path.split("."), text)
    for field, text in match.variables:
        members.pop(field.name, None)
        added[field.json_name] = json_value(field, text)
    return joined(
        {**members, **{name: json.dumps(value).encode() for name, value in added.items()}}
    )


def body_members(match: Match, body: bytes) -> dict[str, bytes]:
    """The fields that the route takes from the body, each as it is written there."""
    if not match.route.body or not body:
        return {}
    if match.route.body != WHOLE_MESSAGE:
        field = field_named(match.route.input, match.route.body)
        return {} if field is None else {field.json_name: body}
    try:
        check_bounds(body)
        return {name: bytes(text) for name, text in members_once(body).items()}
    except ValidationError:
        raise BadRequestError("the body must be a JSON object") from None
    except MsgspecError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    except ValueError as error:
        raise BadRequestError(f"the body cannot be read: {error}") from error


def query_fields(query_string: bytes) -> list[tuple[str, str]]:
    """The fields of a query in order; a name may come more than once."""
    try:
        return parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_FIELDS,
        )
    except ValueError as error:
        raise BadRequestError(f"the query cannot be read: {error}") from error


def set_field(message: dict[str, Any], desc: DescMessage, path: list[str], text: str) -> None:
    """Sets a field, or a field of a message in it.

    What does not exist is left alone in messages of ZITADEL.

    Raises:
        BadRequestError: one of our own messages does not have the field.
    """
    field = field_named(desc, path[0])
    if field is None:
        check_field(desc, path[0])
        return
    if len(path) > 1:
        if isinstance(field.value, DescFieldValueMessage):
            inner = message.setdefault(field.json_name, {})
            set_field(inner, field.value.message, path[1:], text)
    elif isinstance(field.value, DescFieldValueList):
        message.setdefault(field.json_name, []).append(json_value(field, text))
    elif is_plain(field):
        message[field.json_name] = json_value(field, text)


def check_field(desc: DescMessage, name: str) -> None:
    """Raises `BadRequestError` about an unknown field of one of our own messages."""
    if desc.type_name.startswith(STRICT):
        try:
            check_known(iter([name]), names_of(desc).names)
        except ValueError as problem:
            raise BadRequestError(f"the query cannot be read: {problem}") from None


def is_plain(field: DescField) -> bool:
    """Whether one text can be the whole value."""
    match field.value:
        case DescFieldValueScalar() | DescFieldValueEnum():
            return True
        case DescFieldValueMessage(message=message):
            return message.type_name in TEXT_MESSAGES
        case _:
            return False


def json_value(field: DescField, text: str) -> str | bool | int:
    """A text as the JSON value of a field; protobuf's JSON takes numbers as strings."""
    match field.value:
        case DescFieldValueScalar(scalar=ScalarType.BOOL):
            return boolean_value(text)
        case DescFieldValueList(element=ScalarType.BOOL):
            return boolean_value(text)
        case DescFieldValueEnum():
            return int(text) if is_number(text) else text
        case DescFieldValueList(element=DescEnum()):
            return int(text) if is_number(text) else text
        case _:
            return text


def boolean_value(text: str) -> str | bool:
    """JSON's booleans; any other text stays, and the message codec will refuse it."""
    return {"true": True, "false": False}.get(text, text)


def is_number(text: str) -> bool:
    """Whether a text is an enum's number; longer ones are none."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(2**31))
