"""Events that an execution of another server sends: what they say, and their key.

The body goes on to targets as it came. It is only read here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import NoReturn
from urllib.parse import quote

from outrider.domain.events.event import Event, is_event_type
from outrider.domain.formats import go_json
from outrider.domain.formats.json_members import Number, Value, members_of
from outrider.domain.formats.rfc3339 import nanoseconds
from outrider.domain.ids import EventId
from outrider.errors import InvalidRequest

MAX_TEXT = 1000
MAX_SEQUENCE = 2**64 - 1
MAX_ID = 200
"""As long as an id of a publisher may be, so that it can be searched for."""

# The members that show what else an execution sends.
_OTHERS = {"fullMethod": "a request or response", "function": "a function"}
# RFC 7515 and 7516: three parts that are signed, or five that are encrypted, of which some are empty.
_COMPACT = re.compile(rb"[\w-]+(?:\.[\w-]*){2}(?:(?:\.[\w-]*){2})?")
# What tokens have, and no call; ZITADEL signs both with one key.
_OF_TOKENS = ("iss", "aud", "exp", "iat")


def read_relayed(body: bytes) -> tuple[Event, str]:
    """Return the event, and the id of the instance that it happened in.

    Its id is derived, so that the same event is found again. Raise `InvalidRequest` for a body
    that is no event.
    """
    try:
        members = members_of(body.decode())
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8") from None
    except ValueError as problem:
        if _COMPACT.fullmatch(body.strip()):
            raise InvalidRequest(
                "the body is a JWT or JWE, and this source is not told who signs: give it an"
                " issuer or a jwks_url, or let the sender use the payload type JSON"
            ) from None
        raise InvalidRequest(f"the body is no JSON object: {problem}"[:MAX_TEXT]) from None
    _refuse_others(members)
    event = Event(
        id=EventId(""),
        event_type=_event_type(members),
        created_at_ns=_created_at(members),
        aggregate_id=_text(members, "aggregateID"),
        aggregate_type=_text(members, "aggregateType"),
        resource_owner=_text(members, "resourceOwner"),
        version=_text(members, "version"),
        sequence=_sequence(members),
        user_id=_text(members, "userID"),
        payload_json=_payload(members),
    )
    return event, _text(members, "instanceID")


def relayed_id(event: Event, origin: str, body: bytes) -> EventId:
    """The key by which repetitions are found: instance, aggregate type, aggregate and sequence.

    An event that lacks one of them, as ZITADEL sends none, is known by all of its body.
    """
    parts = (origin, event.aggregate_type, event.aggregate_id)
    if not all(parts) or not event.sequence:
        return EventId(f"zitadel/body/{sha256(body).hexdigest()}")
    whole = "/".join(quote(part, safe="") for part in (*parts, str(event.sequence)))
    if len(whole) > MAX_ID - len("zitadel/"):
        # Two slashes, where a whole one has four.
        whole = f"sha256/{sha256(whole.encode()).hexdigest()}"
    return EventId(f"zitadel/{whole}")


def _refuse_others(members: Mapping[str, Value]) -> None:
    if any(name in members for name in _OF_TOKENS):
        raise InvalidRequest("the body is a token, and no event")
    if "event_type" in members:
        return
    for name, what in _OTHERS.items():
        if name in members:
            raise InvalidRequest(
                f"the body is the call of {what}: the relay takes events only, whose caller does"
                " not wait for an answer"
            )
    raise InvalidRequest("the body is no event: event_type is missing")


def _text(members: Mapping[str, Value], name: str) -> str:
    found = members.get(name)
    if found is None or found.parsed is None:
        return ""
    if not isinstance(found.parsed, str) or isinstance(found.parsed, Number):
        _refuse(name, "must be a text")
    if len(found.parsed) > MAX_TEXT:
        _refuse(name, f"must have at most {MAX_TEXT} characters")
    return go_json.with_whole_pairs(found.parsed)


def _event_type(members: Mapping[str, Value]) -> str:
    text = _text(members, "event_type")
    if not is_event_type(text):
        _refuse("event_type", "must be dot-separated segments of A-Z, a-z, 0-9, _ and -")
    return text


def _created_at(members: Mapping[str, Value]) -> int:
    try:
        return nanoseconds(_text(members, "created_at"))
    except ValueError as problem:
        _refuse("created_at", f"must be a date and time of RFC 3339: {problem}")


def _sequence(members: Mapping[str, Value]) -> int:
    if "sequence" not in members:
        return 0
    digits = members["sequence"].parsed
    is_whole = isinstance(digits, Number) and digits.isdecimal()
    if not is_whole or len(digits) > len(str(MAX_SEQUENCE)) or int(digits) > MAX_SEQUENCE:
        _refuse("sequence", f"must be a whole number from 0 to {MAX_SEQUENCE}")
    return int(digits)


def _payload(members: Mapping[str, Value]) -> str | None:
    found = members.get("event_payload")
    if found is None or found.parsed is None:
        return None
    if not isinstance(found.parsed, dict):
        _refuse("event_payload", "must be a JSON object")
    return found.text


def _refuse(name: str, rule: str) -> NoReturn:
    raise InvalidRequest(f"the event cannot be read: {name} {rule}")
