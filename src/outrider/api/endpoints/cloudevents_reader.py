"""Reads CloudEvents from requests: structured, batch and binary mode.

JSON: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote

from msgspec import MsgspecError, Raw
from msgspec.json import Decoder, decode

from outrider.api.asgi.json_depth import check_bounds
from outrider.api.asgi.types import Scope, header
from outrider.api.rpc.error_mapping import shortened
from outrider.api.rpc.json_envelope import members_once
from outrider.domain.events.cloud_event import CloudEvent, cloud_event, refuse
from outrider.domain.events.event import MAX_EVENTS
from outrider.domain.formats.json_members import Number, items_of, members_of
from outrider.errors import InvalidRequest

R = TypeVar("R")

MAX_MEMBERS = 200
"""Attributes of one event, and its data; the specification has eight."""

MAX_HEADER_CHARS = 8 * 1024
"""The value of one attribute in binary mode."""

_ONE = "CloudEvent"
_PREFIX = "ce-"
_DATA, _DATA_BASE64 = "data", "data_base64"
_NULL = b"null"
_NUMBER_SIGNS = frozenset(bytes([digit]) for digit in b"-0123456789")
_ITEMS = Decoder(list[Raw])
# Attributes whose type is String or one of those that are written as one: no number will do.
_TEXTS = frozenset(
    {
        *("specversion", "id", "source", "type"),
        *("subject", "time", "datacontenttype", "dataschema"),
    }
)
# RFC 9110, section 5.6.4.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s";]+)', re.IGNORECASE)


def read_structured(_scope: Scope, body: bytes) -> Sequence[CloudEvent]:
    """Read one event. Raise `InvalidRequest`."""
    _text(body, _ONE)
    return [_from_json(body, _ONE)]


def read_batch(_scope: Scope, body: bytes) -> Iterable[CloudEvent]:
    """Read up to a thousand events, one after the other. Raise `InvalidRequest`."""
    text = _text(body, "CloudEvents")
    try:
        items = [bytes(item) for item in _ITEMS.decode(body)]
    except MsgspecError:
        read_items = partial(items_of, most=MAX_EVENTS + 1)
        items = [item.text.encode() for item in _read("CloudEvents", read_items, text)]
    if not 1 <= len(items) <= MAX_EVENTS:
        raise InvalidRequest(
            f"invalid CloudEvents: value must contain between 1 and {MAX_EVENTS} items, inclusive"
        )
    return (_from_json(item, f"CloudEvents[{index}]") for index, item in enumerate(items))


def read_binary(scope: Scope, body: bytes) -> Sequence[CloudEvent]:
    """Read attributes from headers, and data from the body. Raise `InvalidRequest`."""
    attributes: dict[str, str] = {}
    for raw_name, value in scope["headers"]:
        name = raw_name.decode().lower()
        if name.startswith(_PREFIX):
            name = name.removeprefix(_PREFIX)
            if name in attributes:
                refuse(_ONE, shortened(name), "the header is there twice")
            attributes[name] = _header_value(value.decode(), name)
    kind = (header(scope, b"content-type") or b"").decode()
    # It has no separate header (section 3.1.1).
    attributes.pop("datacontenttype", None)
    if kind:
        attributes["datacontenttype"] = kind
    if not body:
        return [cloud_event(attributes, None, _ONE)]
    charset = _CHARSET.search(kind)
    if charset is not None and charset[1].lower() not in {"utf-8", "us-ascii"}:
        refuse(_ONE, "datacontenttype", "the charset of JSON is utf-8")
    return [cloud_event(attributes, _text(body, f"{_ONE}.data").strip(" \t\r\n"), _ONE)]


def _from_json(body: bytes, where: str) -> CloudEvent:
    try:
        members = {name: bytes(text) for name, text in members_once(body).items()}
        data = members.pop(_DATA, _NULL)
        if len(members) >= MAX_MEMBERS:
            raise ValueError(f"there are more than {MAX_MEMBERS} values")  # noqa: TRY301
        values = {name: _value(text) for name, text in members.items() if text != _NULL}
    except (MsgspecError, ValueError):
        # It is no event, or has half a surrogate pair: this says what is wrong.
        read_members = partial(members_of, most=MAX_MEMBERS)
        found = dict(_read(where, read_members, body.decode()))
        data = found.pop(_DATA).text.encode() if _DATA in found else _NULL
        values = {name: value.parsed for name, value in found.items() if value.parsed is not None}
    encoded = values.pop(_DATA_BASE64, None)
    attributes = {name: _attribute(name, value, where) for name, value in values.items()}
    return cloud_event(attributes, _data(data, encoded, where), where)


def _read(where: str, read: Callable[[str], R], text: str) -> R:
    try:
        return read(text)
    except ValueError as problem:
        raise InvalidRequest(f"invalid {where}: {shortened(str(problem))}") from None


def _value(text: bytes) -> Any:
    """A JSON value, a number as `Number`."""
    return Number(text.decode()) if text[:1] in _NUMBER_SIGNS else decode(text)


def _attribute(name: str, parsed: Any, where: str) -> str:
    if isinstance(parsed, bool) and name not in _TEXTS:
        return "true" if parsed else "false"
    if isinstance(parsed, Number) and name in _TEXTS:
        refuse(where, name, "value must be a text")
    if not isinstance(parsed, str):
        refuse(where, shortened(ascii(name)[1:-1]), "value must be a text, a number or a boolean")
    return str(parsed)


def _data(data: bytes, encoded: Any, where: str) -> str | None:
    """The JSON text of data, as it was written; null is none."""
    text = None if data == _NULL else data.decode()
    if encoded is None:
        return text
    if text is not None:
        refuse(where, _DATA_BASE64, "only one of data and data_base64 may be set")
    if not isinstance(encoded, str) or isinstance(encoded, Number):
        refuse(where, _DATA_BASE64, "value must be a text")
    try:
        octets = b64decode(encoded, validate=True)
    except ValueError:
        refuse(where, _DATA_BASE64, "value must be Base64 (RFC 4648, section 4)")
    return _text(octets, f"{where}.{_DATA_BASE64}")


def _text(octets: bytes, where: str) -> str:
    try:
        check_bounds(octets)
        return octets.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(
            f"invalid {where}: the text is not UTF-8", hint="send the JSON in UTF-8"
        ) from None
    except ValueError as problem:
        raise InvalidRequest(f"invalid {where}: {problem}") from None


def _header_value(text: str, name: str) -> str:
    """Section 3.1.3.2: quotation marks are taken off, then percent-encoding, once."""
    if len(text) > MAX_HEADER_CHARS:
        refuse(_ONE, shortened(name), f"value must have at most {MAX_HEADER_CHARS} characters")
    if _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        refuse(_ONE, shortened(name), "the percent-encoded octets are not UTF-8")
