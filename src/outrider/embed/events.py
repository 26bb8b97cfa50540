"""Events as an application publishes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from outrider.domain.events import event as domain
from outrider.domain.events.event import MAX_EVENTS
from outrider.domain.formats import go_json
from outrider.domain.formats.rfc3339 import nanoseconds_of
from outrider.domain.ids import EventId
from outrider.errors import InvalidRequest

_MAX_TEXT = 200
_MAX_TYPE = 1000
_UNICODE = "Unicode, without half a surrogate pair"
_SHORT = ("id", "aggregate_id", "aggregate_type", "resource_owner", "version", "user_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in the application.

    `event_type` is dot-separated, such as `order.created`. With your own `id`, publishing
    the same event again makes no second delivery, and publishing another one under it is refused. `created_at` is aware; None is now. `payload`
    is what JSON can say, or the text of a JSON object, which arrives as it is written; at most
    512 KiB. None: the event has no data.
    """

    event_type: str
    payload: Mapping[str, object] | str | None = field(default=None, repr=False)
    id: str = ""
    aggregate_id: str = ""
    aggregate_type: str = ""
    resource_owner: str = ""
    version: str = ""
    sequence: int = 0
    user_id: str = ""
    created_at: datetime | None = None


def to_domain(events: Sequence[Event], now: datetime, hops: int = 0) -> list[domain.Event]:
    """Return them as the use case takes them. Raise `InvalidRequest` naming the field."""
    if len(events) > MAX_EVENTS:
        raise InvalidRequest(
            f"at most {MAX_EVENTS} events in one call, not {len(events)}: publish them in several calls"
        )
    if hops < 0:
        raise InvalidRequest(f"invalid hops: {hops} must be a number from 0")
    return [_check(event, position, now, hops) for position, event in enumerate(events)]


def _check(event: Event, position: int, now: datetime, hops: int) -> domain.Event:
    for name in _SHORT:
        if len(getattr(event, name)) > _MAX_TEXT:
            raise _invalid(position, name, f"at most {_MAX_TEXT} characters")
        if not _is_unicode(getattr(event, name)):
            raise _invalid(position, name, _UNICODE)
    if len(event.event_type) > _MAX_TYPE:
        raise _invalid(position, "event_type", f"at most {_MAX_TYPE} characters")
    if not 0 <= event.sequence < 1 << 64:
        raise _invalid(position, "sequence", "a number from 0 to 2^64 - 1")
    created_at = event.created_at or now
    if created_at.tzinfo is None:
        raise _invalid(position, "created_at", "a time with a zone")
    return domain.Event(
        id=EventId(event.id),
        event_type=event.event_type,
        created_at_ns=nanoseconds_of(created_at),
        aggregate_id=event.aggregate_id,
        aggregate_type=event.aggregate_type,
        resource_owner=event.resource_owner,
        version=event.version,
        sequence=event.sequence,
        user_id=event.user_id,
        payload_json=_payload(event, position),
        hops=hops,
    )


def _payload(event: Event, position: int) -> str | None:
    if event.payload is None:
        return None
    try:
        text = _payload_text(event.payload)
    except (TypeError, ValueError, RecursionError) as failure:
        raise _invalid(position, "payload", f"JSON: {failure}") from None
    if not _is_unicode(text):
        raise _invalid(position, "payload", _UNICODE)
    return text


def _payload_text(payload: Mapping[str, object] | str) -> str:
    if not isinstance(payload, str):
        return go_json.dumps(payload)
    go_json.check_object(payload)
    return payload


def _is_unicode(text: str) -> bool:
    """Return whether it has no half of a surrogate pair, which UTF-8 cannot encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _invalid(position: int, name: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"invalid events[{position}].{name}: must be {rule}")
