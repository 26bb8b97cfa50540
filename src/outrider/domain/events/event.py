"""Events: the publisher's input, and the bytes that targets get."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from outrider.domain.formats import go_json
from outrider.domain.formats.json_bounds import (
    MAX_BATCH_VALUES,
    count_values,
    may_have_more,
    most_values,
)
from outrider.domain.ids import EventId, InstanceId
from outrider.errors import InvalidRequest

MAX_PAYLOAD_BYTES = 512 * 1024
MAX_EVENTS = 1000
OWN_PREFIX = "outrider."
"""What the types of outrider's own events begin with; publishers may not use it."""
# As long as what a publisher may give: a type and an id of 200 characters each.
_MAX_AGGREGATE_CHARS = 401
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; immutable.

    `created_at_ns` counts nanoseconds since 1970. `payload_json` is one JSON object as text, None
    for an event without data; it is compacted and escaped when the body is made. `hops` is how many
    outriders the event came through before this one. `source` is set when the id is unique for that
    source alone, as those of CloudEvents are.
    """

    id: EventId
    event_type: str
    created_at_ns: int
    aggregate_id: str = ""
    aggregate_type: str = ""
    resource_owner: str = ""
    version: str = ""
    sequence: int = 0
    user_id: str = ""
    payload_json: str | None = field(default=None, repr=False)
    hops: int = 0
    source: str = ""


def aggregate_of(event: Event) -> str:
    """The ordering key of its deliveries, as one text; empty for an event about nothing."""
    if not event.aggregate_id:
        return ""
    # No SQL store keeps NUL in a text.
    text = f"{event.aggregate_type}\x1f{event.aggregate_id}".replace("\0", "\x1f")
    # A relayed event may have any: no index of PostgreSQL takes a text of several thousand bytes.
    if len(text) > _MAX_AGGREGATE_CHARS:
        return f"sha256\x1f{sha256(text.encode()).hexdigest()}"
    return text


def is_event_type(text: str) -> bool:
    """Whether this is dot-separated segments of `[A-Za-z0-9_-]+`."""
    return _EVENT_TYPE.fullmatch(text) is not None


def check_type(text: str) -> None:
    """Raise `ValueError` with what is wrong with the type of a published event."""
    if not is_event_type(text):
        raise ValueError("value must be dot-separated segments of A-Z, a-z, 0-9, _ and -")
    if f"{text}.".startswith(OWN_PREFIX):
        raise ValueError(f"value must not begin with {OWN_PREFIX}: these are our own")


def check_payloads(events: Sequence[Event]) -> None:
    """Raise `InvalidRequest` when the payloads of one call have more than `MAX_BATCH_VALUES` values."""
    texts = [event.payload_json for event in events if event.payload_json is not None]
    if not may_have_more(sum(map(len, texts)), MAX_BATCH_VALUES):
        return
    if sum(map(most_values, texts)) <= MAX_BATCH_VALUES:
        return
    left = MAX_BATCH_VALUES
    for text in texts:
        left -= count_values(text.encode(), left)
        if left < 0:
            raise InvalidRequest(
                f"invalid PublishEventsRequest.Events: the payloads have more than"
                f" {MAX_BATCH_VALUES} values, publish fewer events at once"
            )


def check_event(event: Event, position: int) -> None:
    """Raise `InvalidRequest` naming the field, such as `Events[3].EventPayload`."""
    try:
        check_type(event.event_type)
    except ValueError as problem:
        _refuse(position, "EventType", str(problem))
    if "\0" in event.id:
        # No SQL store keeps it in a text.
        _refuse(position, "Id", "value must not contain NUL")
    if event.payload_json is None:
        return
    if go_json.is_longer(event.payload_json, MAX_PAYLOAD_BYTES):
        _refuse(position, "EventPayload", f"value length must be at most {MAX_PAYLOAD_BYTES} bytes")
    try:
        go_json.check_object(event.payload_json)
    except ValueError as failure:
        _refuse(position, "EventPayload", f"value must be one JSON object: {failure}")


def render_body(event: Event, instance_id: InstanceId) -> bytes:
    """Return the body for targets (docs/contract.md#body-of-an-event); empty members are omitted.

    Names, their order and their mixed spelling are ZITADEL's. Every attempt sends and signs the
    same bytes.
    """
    return render(event, instance_id)[0]


def render(event: Event, instance_id: InstanceId) -> tuple[bytes, bytes]:
    """The body, and the payload as it is in there: compact, empty for an event without data."""
    texts = (
        ("aggregateID", event.aggregate_id),
        ("aggregateType", event.aggregate_type),
        ("resourceOwner", event.resource_owner),
        ("instanceID", instance_id),
        ("version", event.version),
    )
    parts = [f'"{name}":{go_json.quote(text)}' for name, text in texts if text]
    if event.sequence:
        parts.append(f'"sequence":{event.sequence}')
    parts.append(f'"event_type":{go_json.quote(event.event_type)}')
    parts.append(f'"created_at":"{go_json.timestamp(event.created_at_ns)}"')
    if event.user_id:
        parts.append(f'"userID":{go_json.quote(event.user_id)}')
    head = "{" + ",".join(parts)
    if event.payload_json is None:
        return (head + "}").encode(), b""
    payload = go_json.compact(event.payload_json).encode()
    return b'%b,"event_payload":%b}' % (head.encode(), payload), payload


def _refuse(position: int, field_name: str, reason: str) -> None:
    raise InvalidRequest(f"invalid PublishEventsRequest.Events[{position}].{field_name}: {reason}")
