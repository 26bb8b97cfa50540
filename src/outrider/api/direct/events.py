"""`PublishEvents` of plain JSON: events as most publishers write them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET, Raw, UnsetType
from msgspec.json import Decoder, encode
from protobuf import DescMethod
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from outrider.api.direct.call import DirectAnswer
from outrider.api.direct.plain_json import (
    HandOver,
    PlainMessage,
    check_names_once,
    check_rules,
    decoded,
    quotes_of,
    rules_of,
    text_of_object,
)
from outrider.api.services.messages.times import to_timestamp
from outrider.api.services.outrider.events import published
from outrider.api.validation.rules import valid_timestamp
from outrider.domain.access.permission import Actor
from outrider.domain.events.event import MAX_EVENTS, Event
from outrider.domain.ids import EventId
from outrider.usecases.delivery.publish import PublishEvents
from outrider_api.outrider.v1 import event_service_pb as pb
from outrider_api.outrider.v1.event_service_connect import EventService

(_METHOD,) = [method for method in EventService.desc().methods if method.name == "PublishEvents"]
_MAX_SEQUENCE = 2**64
_MAX_SEQUENCE_DIGITS = 20
# Those of the member that holds the events.
_QUOTES_AROUND = 2
# After this number of events, or 4 KiB of payloads, which takes a millisecond, yield to the loop.
_READ_AT_ONCE = 100
_PAYLOAD_BYTES = 4096


class _Event(PlainMessage):
    id: str = ""
    aggregate_id: str = ""
    aggregate_type: str = ""
    resource_owner: str = ""
    version: str = ""
    sequence: int | str = 0
    event_type: str = ""
    created_at: str = ""
    user_id: str = ""
    event_payload: Raw | UnsetType = UNSET


class _Request(PlainMessage):
    events: list[_Event]


_DECODER = Decoder(_Request)
_RULES = rules_of(
    pb.Event.desc(),
    *("id", "aggregate_id", "aggregate_type", "resource_owner", "version", "event_type", "user_id"),
)


@dataclass(frozen=True, slots=True)
class DirectPublish:
    """`outrider.v1.EventService/PublishEvents`."""

    publish: PublishEvents

    method: DescMethod = _METHOD
    is_watched: bool = False

    async def read(self, body: bytes, /) -> Sequence[Event]:
        messages = decoded(_DECODER, body).events
        if not 0 < len(messages) <= MAX_EVENTS:
            raise HandOver
        now_ns = to_timestamp(self.publish.runtime.now()).to_nanos()
        events: list[Event] = []
        quotes, rows = _QUOTES_AROUND, 0
        for message in messages:
            quotes += quotes_of(message)
            events.append(_event(message, now_ns))
            rows += 1 + len(events[-1].payload_json or "") // _PAYLOAD_BYTES
            if rows > _READ_AT_ONCE:
                rows = 0
                await asyncio.sleep(0)
        check_names_once(body, quotes)
        return events

    async def run(self, actor: Actor, command: Sequence[Event], /) -> DirectAnswer:
        return DirectAnswer(published(await self.publish(actor, command)))


def _event(message: _Event, now_ns: int) -> Event:
    check_rules(_RULES, message)
    return Event(
        id=EventId(message.id),
        event_type=message.event_type,
        created_at_ns=_nanoseconds(message.created_at) if message.created_at else now_ns,
        aggregate_id=message.aggregate_id,
        aggregate_type=message.aggregate_type,
        resource_owner=message.resource_owner,
        version=message.version,
        sequence=_sequence(message.sequence),
        user_id=message.user_id,
        payload_json=text_of_object(message.event_payload),
    )


def _nanoseconds(text: str) -> int:
    try:
        at = Timestamp.from_json(encode(text))
    except ValueError:
        raise HandOver from None
    if valid_timestamp(at) is not None:
        raise HandOver
    return at.to_nanos()


def _sequence(value: int | str) -> int:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= _MAX_SEQUENCE_DIGITS):
            raise HandOver
        value = int(value)
    if not 0 <= value < _MAX_SEQUENCE:
        raise HandOver
    return value
