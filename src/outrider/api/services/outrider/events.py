"""Events: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.structs import to_object
from outrider.api.services.messages.times import nanoseconds, to_timestamp
from outrider.domain.events.event import Event
from outrider.domain.formats import go_json
from outrider.domain.hops import HOPS_HEADER, parse_hops
from outrider.domain.ids import EventId
from outrider.usecases.delivery.known_events import PublishResult
from outrider.usecases.delivery.publish import PublishEvents
from outrider_api.outrider.v1 import event_service_pb as pb
from outrider_api.outrider.v1.event_service_connect import EventService

_IDS_BY_SOURCE: ContextVar[bool] = ContextVar("outrider_ids_by_source", default=False)


@contextmanager
def ids_by_source() -> Iterator[None]:
    """Make the ids of events that this task publishes in the block unique for their source only."""
    token = _IDS_BY_SOURCE.set(True)
    try:
        yield
    finally:
        _IDS_BY_SOURCE.reset(token)


class EventHandlers(EventService):
    """`outrider.v1.EventService`."""

    def __init__(self, publish: PublishEvents) -> None:
        self._publish = publish

    async def publish_events(
        self, request: pb.PublishEventsRequest, ctx: Context, /
    ) -> pb.PublishEventsResponse:
        """The answer waits for the commit."""
        hops = parse_hops(ctx.request_headers.getall(HOPS_HEADER))
        now_ns = to_timestamp(self._publish.runtime.now()).to_nanos()
        events = [
            _event(event, position, now_ns, hops) for position, event in enumerate(request.events)
        ]
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


def _event(message: pb.Event, position: int, now_ns: int, hops: int) -> Event:
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
        hops=hops,
        source=message.resource_owner if _IDS_BY_SOURCE.get() else "",
    )


def _payload(payload: Any, position: int) -> str | None:
    if payload is None:
        return None
    if payload.field == "event_payload_json":
        return str(payload.value)
    name = f"PublishEventsRequest.Events[{position}].EventPayload"
    return go_json.dumps(go_json.sorted_members(to_object(payload.value, name)))
