"""Events that an execution of another server sends: what they say, and their key.

The body is passed to targets as it was received. It is only read here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote

from outrider.domain.events.event import Event
from outrider.domain.events.event_payload import payload_object
from outrider.domain.formats import go_json
from outrider.domain.formats.json_members import NestedTooDeep, Number, Value, members_of
from outrider.domain.formats.json_outline import outline_of
from outrider.domain.formats.rfc3339 import nanoseconds
from outrider.domain.ids import EventId
from outrider.errors import InvalidRequest

MAX_TEXT = 1000
"""Characters of an event type, a reason, or a part of a key."""
_AS_ZITADEL = "send the body of an event as ZITADEL sends it, in UTF-8"
MAX_SEQUENCE = 2**64 - 1
MAX_ID = 200
"""As long as an id of a publisher may be, so that it can be searched for."""

# Leading zeros do not count; a longer number is no sequence, whatever it is.
_INTEGRAL = re.compile(r"0*([0-9]{1,20})(?:\.0{1,20})?")
# The members that show what else an execution sends.
_OTHERS = {"fullMethod": "a request or response", "function": "a function"}
# RFC 7515 and 7516: three parts that are signed, or five that are encrypted, of which some are empty.
_COMPACT = re.compile(rb"[\w-]+(?:\.[\w-]*){2}(?:(?:\.[\w-]*){2})?")
# What tokens have, and no call; ZITADEL signs both with one key.
_OF_TOKENS = ("iss", "aud", "exp", "iat")


def read_relayed(
    body: bytes, received_ns: int = 0, *, may_be_token: bool = True
) -> tuple[Event, str]:
    """Return the event, and the id of the instance that it happened in.

    Its id is derived, so that the same event is found again. A signed event is never lost for its
    shape: a member of a type that ZITADEL does not write counts as absent, or as the text that it
    is; `created_at_ns` is `received_ns` then. Raise `InvalidRequest` for a body that is no event.

    `may_be_token` is False when the sender has signed the call itself, which no token has.
    """
    members = _members(body)
    _refuse_others(members, may_be_token=may_be_token)
    payload = members.get("event_payload")
    event = Event(
        id=EventId(""),
        event_type=_event_type(members["event_type"]),
        created_at_ns=_created_at(members, received_ns),
        aggregate_id=_text(members, "aggregateID"),
        aggregate_type=_text(members, "aggregateType"),
        resource_owner=_text(members, "resourceOwner"),
        version=_text(members, "version"),
        sequence=_sequence(members),
        user_id=_text(members, "userID"),
        payload_json=None if payload is None else payload_object(payload),
    )
    return event, _text(members, "instanceID")


def relayed_id(event: Event, origin: str, body: bytes) -> EventId:
    """The key by which repetitions are found: instance, aggregate type, aggregate and sequence.

    An event that lacks one of them, or has one that is very long, is known by all of its body;
    ZITADEL sends none.
    """
    parts = (origin, event.aggregate_type, event.aggregate_id)
    if not all(0 < len(part) <= MAX_TEXT for part in parts) or not event.sequence:
        return EventId(f"zitadel/body/{sha256(body).hexdigest()}")
    whole = "/".join(quote(part, safe="") for part in (*parts, str(event.sequence)))
    if len(whole) > MAX_ID - len("zitadel/"):
        # Two slashes, where a whole one has four.
        whole = f"sha256/{sha256(whole.encode()).hexdigest()}"
    return EventId(f"zitadel/{whole}")


def payload_text(body: bytes) -> str | None:
    """Return the payload of an event as its body has it, whatever it is; None when it has none."""
    payload = _members(body).get("event_payload")
    return None if payload is None else payload.text


def _members(body: bytes) -> Mapping[str, Value]:
    """Of a name that is there twice the last counts, as Go reads it."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8", hint=_AS_ZITADEL) from None
    try:
        try:
            return members_of(text, last_wins=True)
        except NestedTooDeep:
            return outline_of(text)
    except ValueError as problem:
        if _COMPACT.fullmatch(body.strip()):
            raise InvalidRequest(
                "the body is a JWT or JWE, and this source is not told who signs: give it an"
                " issuer or a jwks_url, or let the sender use the payload type JSON"
            ) from None
        raise InvalidRequest(f"the body is no JSON object: {problem}"[:MAX_TEXT]) from None


def _refuse_others(members: Mapping[str, Value], *, may_be_token: bool) -> None:
    if may_be_token and any(name in members for name in _OF_TOKENS):
        raise InvalidRequest(
            "the body is a token, and no event", hint="let the sender use the payload type JSON"
        )
    if "event_type" in members:
        return
    for name, what in _OTHERS.items():
        if name in members:
            raise InvalidRequest(
                f"the body is the call of {what}: the relay takes events only, whose caller does"
                " not wait for an answer",
                hint="name the relay in executions for events only",
            )
    raise InvalidRequest("the body is no event: event_type is missing", hint=_AS_ZITADEL)


def _event_type(value: Value) -> str:
    found = _text_of(value)
    if not found or isinstance(value.parsed, Number):
        raise InvalidRequest("the body is no event: event_type must be a text that is not empty")
    # No SQL store keeps NUL in a text.
    return found.replace("\0", "\ufffd")[:MAX_TEXT]


def _text(members: Mapping[str, Value], name: str) -> str:
    return _text_of(members[name]) if name in members else ""


def _text_of(value: Value) -> str:
    """A text or the digits of a number; empty for every other value."""
    return go_json.with_whole_pairs(value.parsed) if isinstance(value.parsed, str) else ""


def _created_at(members: Mapping[str, Value], received_ns: int) -> int:
    try:
        return nanoseconds(_text(members, "created_at"))
    except ValueError:
        return received_ns


def _sequence(members: Mapping[str, Value]) -> int:
    """Return the number, also one that is written as a text or `7.0`; 0 for what is no sequence."""
    digits = _INTEGRAL.fullmatch(_text(members, "sequence"))
    number = int(digits[1]) if digits else 0
    return number if number <= MAX_SEQUENCE else 0
