"""Events: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.structs import to_object
from outrider.api.services.messages.times import nanoseconds, to_timestamp
from outrider.domain.events.event import Event
from outrider.domain.formats import go_json
from outrider.domain.ids import EventId
from outrider.usecases.delivery.publish import PublishEvents, PublishResult
from outrider_api.outrider.v1 import event_service_pb as pb
from outrider_api.outrider.v1.event_service_connect import EventService


class EventHandlers(EventService):
    """`outrider.v1.EventService`."""

    def __init__(self, publish: PublishEvents) -> None:
        self._publish = publish

    async def publish_events(
        self, request: pb.PublishEventsRequest, ctx: Context, /
    ) -> pb.PublishEventsResponse:
        """The answer waits for the commit."""
        now_ns = to_timestamp(self._publish.runtime.now()).to_nanos()
        events = [_event(event, position, now_ns) for position, event in enumerate(request.events)]
        return published(await self._publish(actor_of(ctx), events))


def published(results: Sequence[PublishResult]) -> pb.PublishEventsResponse:
    """The answer: what became of each event."""
    return pb.PublishEventsResponse(
        results=[
            pb.PublishedEvent(
                id=result.id, deliveries=result.deliveries, duplicate=result.is_duplicate
            )
            for result in results
        ]
    )


def _event(message: pb.Event, position: int, now_ns: int) -> Event:
    name = f"PublishEventsRequest.Events[{position}].CreatedAt"
    created_at = message.created_at
    return Event(
        id=EventId(message.id),
        event_type=message.event_type,
        created_at_ns=now_ns if created_at is None else nanoseconds(created_at, name),
        aggregate_id=message.aggregate_id,
        aggregate_type=message.aggregate_type,
        resource_owner=message.resource_owner,
        version=message.version,
        sequence=message.sequence,
        user_id=message.user_id,
        payload_json=_payload(message.payload, position),
    )


def _payload(payload: Any, position: int) -> str | None:
    if payload is None:
        return None
    if payload.field == "event_payload_json":
        return str(payload.value)
    name = f"PublishEventsRequest.Events[{position}].EventPayload"
    return go_json.dumps(to_object(payload.value, name))
