"""The content of an event, which tells whether an id that is published again is the same event.

The time, the owner, the version, the sequence and the user do not count: a publisher that sends an
event again may fill them again. The store keeps a digest of the content, which outlives the payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from outrider.domain.events.event import Event
from outrider.domain.events.relay_event import payload_text, read_relayed
from outrider.domain.formats import go_json, json_members
from outrider.errors import AlreadyExists, InvalidRequest


def content_of(event: Event, payload: bytes) -> bytes:
    """Return the content, which no other event has. `payload` is compact, empty without data.

    Payloads are compared byte for byte as targets get them, without white space: `1` and `1.0`
    differ, and so does another order of members.
    """
    name, kind, aggregate = event.event_type, event.aggregate_type, event.aggregate_id
    # Lengths and not quotation marks: each of them may have any character.
    return f"{len(name)},{len(kind)},{len(aggregate)}:{name}{kind}{aggregate}".encode() + payload


def content_of_body(event: Event, body: bytes) -> bytes:
    """Return the content of an event that was read from `body`, whatever its payload is."""
    text = event.payload_json if event.payload_json is not None else payload_text(body)
    return content_of(event, b"" if text is None else go_json.compact(text).encode())


def stored_contents(body: bytes) -> Sequence[bytes]:
    """Return what the content of an event may be that was stored without a digest; none: no event.

    The second is that of a payload that came as a Struct: in any order then, and sorted since.
    """
    try:
        event, _ = read_relayed(body, may_be_token=False)
    except InvalidRequest:
        return ()
    contents = [content_of_body(event, body)]
    if event.payload_json is not None:
        with suppress(ValueError):
            members = go_json.sorted_members(json_members.parse(event.payload_json))
            contents.append(content_of(event, go_json.dumps_as_read(members).encode()))
    return contents


def stored_owner(body: bytes) -> str:
    """Return the resource owner of an event that was stored, from its body; empty without one."""
    try:
        event, _ = read_relayed(body, may_be_token=False)
    except InvalidRequest:
        return ""
    return event.resource_owner


def id_is_taken(event: Event, position: int) -> AlreadyExists:
    """Return the error of a publisher that uses an id for two events."""
    return AlreadyExists(
        f"Events[{position}]: the id {go_json.quote(event.id)} belongs to an event with another"
        " type, aggregate or payload: give each event its own id, or send this one again as it"
        " was; nothing of this call was stored"
    )
