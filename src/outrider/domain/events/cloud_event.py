"""CloudEvents 1.0.2: what an event of theirs is among ours.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md. Attributes are text here,
however they travelled; `data` is JSON text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NoReturn

from outrider.domain.events.event import MAX_PAYLOAD_BYTES, Event, check_type
from outrider.domain.formats import go_json
from outrider.domain.formats.rfc3339 import nanoseconds
from outrider.domain.ids import EventId
from outrider.errors import InvalidRequest

SPEC_VERSION = "1.0"
MAX_TEXT, MAX_TYPE, MAX_SEQUENCE = 200, 1000, 2**64 - 1

_SHA256 = "cloudevents/sha256/"

_NAME = re.compile(r"[a-z0-9]+")
# Section "Type System", String: no control characters, no halves of surrogate pairs.
_UNFIT = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")
_REQUIRED = ("specversion", "id", "source", "type")
_LIMITS = {"type": MAX_TYPE} | dict.fromkeys(
    ("id", "source", "subject", "aggregatetype", "userid"), MAX_TEXT
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """The attributes of a CloudEvent that are kept: not `dataschema`, nor other extensions.

    `time_ns` counts nanoseconds since 1970, None when the event has no time. `data` is one JSON
    object as it was written, None for an event without.
    """

    id: str
    source: str
    type: str
    subject: str = ""
    time_ns: int | None = None
    aggregate_type: str = ""
    sequence: int = 0
    user_id: str = ""
    data: str | None = field(default=None, repr=False)


def id_with_source(event: Event) -> EventId | None:
    """Return what tells a CloudEvent apart from one of another source that has its id.

    `<source>#<id>`, `%` and `#` of the source percent-encoded; the SHA-256 of a longer one. None
    for an event whose id is unique by itself.
    """
    if not event.source:
        return None
    source = event.source.replace("%", "%25").replace("#", "%23")
    whole = f"{source}#{event.id}"
    if len(whole) > MAX_TEXT:
        return EventId(f"{_SHA256}{sha256(whole.encode()).hexdigest()}")
    return EventId(whole)


def cloud_event(attributes: Mapping[str, str], data: str | None, where: str) -> CloudEvent:
    """Read an event. Raise `InvalidRequest` naming the attribute, as `<where>.type`."""
    for name, text in attributes.items():
        _check_attribute(name, text, where)
    for name in _REQUIRED:
        if name not in attributes:
            refuse(where, name, "value is required")
    if attributes["specversion"] != SPEC_VERSION:
        refuse(where, "specversion", f"value must be {SPEC_VERSION}")
    try:
        check_type(attributes["type"])
    except ValueError as problem:
        refuse(where, "type", str(problem))
    if data is not None:
        _check_data(attributes, data, where)
    return CloudEvent(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        subject=attributes.get("subject", ""),
        time_ns=_time(attributes, where),
        aggregate_type=attributes.get("aggregatetype", ""),
        sequence=_sequence(attributes, where),
        user_id=attributes.get("userid", ""),
        data=data,
    )


def is_json(media_type: str) -> bool:
    """Return whether data of this type is JSON (section 3.1 of the JSON format)."""
    subtype = media_type.partition(";")[0].strip().lower().rpartition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def refuse(where: str, name: str, reason: str) -> NoReturn:
    """Raise `InvalidRequest` about one attribute of an event."""
    raise InvalidRequest(f"invalid {where}.{name}: {reason}")


def _check_attribute(name: str, text: str, where: str) -> None:
    if not _NAME.fullmatch(name):
        printable = ascii(name[:MAX_TEXT])[1:-1]
        refuse(where, printable, "names of attributes have the letters a-z and digits only")
    if not text:
        refuse(where, name, "value length must be at least 1 characters")
    if _UNFIT.search(text):
        refuse(where, name, "value must not contain control characters")
    limit = _LIMITS.get(name)
    if limit is not None and len(text) > limit:
        refuse(where, name, f"value length must be at most {limit} characters")


def _check_data(attributes: Mapping[str, str], data: str, where: str) -> None:
    if not is_json(attributes.get("datacontenttype", "application/json")):
        refuse(where, "datacontenttype", "value must be a type of JSON, such as application/json")
    if go_json.is_longer(data, MAX_PAYLOAD_BYTES):
        refuse(where, "data", f"value length must be at most {MAX_PAYLOAD_BYTES} bytes")
    try:
        go_json.check_object(data)
    except ValueError as failure:
        refuse(where, "data", f"value must be one JSON object: {failure}")


def _time(attributes: Mapping[str, str], where: str) -> int | None:
    if "time" not in attributes:
        return None
    try:
        return nanoseconds(attributes["time"])
    except ValueError as problem:
        refuse(where, "time", f"value must be a date and time of RFC 3339: {problem}")


def _sequence(attributes: Mapping[str, str], where: str) -> int:
    text = attributes.get("sequence", "0")
    digits = text.lstrip("0") or "0"
    is_number = text.isascii() and text.isdigit() and len(digits) <= len(str(MAX_SEQUENCE))
    if not is_number or int(digits) > MAX_SEQUENCE:
        refuse(where, "sequence", f"value must be a whole number from 0 to {MAX_SEQUENCE}")
    return int(digits)
