"""The delivery log: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from outrider.api.connect.times import (
    optional_time,
    to_duration,
    to_optional_timestamp,
    to_timestamp,
)
from outrider.api.interceptors import Context, actor_of
from outrider.domain.delivery import Attempt, Delivery, DeliveryState
from outrider.domain.ids import DeliveryId, EventId, TargetId
from outrider.domain.page import DEFAULT_LIMIT
from outrider.domain.search import DeliverySearch
from outrider.errors import InvalidRequest
from outrider.usecases.deliveries import FindDeliveries
from outrider_api.outrider.v1 import delivery_service_pb as pb
from outrider_api.outrider.v1.delivery_service_connect import DeliveryService
from outrider_api.outrider.v1.outcome_pb import Outcome

_MAX_ID_DIGITS = 19


class DeliveryHandlers(DeliveryService):
    """`outrider.v1.DeliveryService`."""

    def __init__(self, deliveries: FindDeliveries) -> None:
        self._deliveries = deliveries

    async def list_deliveries(
        self, request: pb.ListDeliveriesRequest, ctx: Context, /
    ) -> pb.ListDeliveriesResponse:
        """Newest first."""
        rows, next_before = await self._deliveries.search(actor_of(ctx), _search(request))
        return pb.ListDeliveriesResponse(
            deliveries=[_delivery_to_proto(each) for each in rows],
            next_page_token=next_before or "",
        )

    async def get_delivery(
        self, request: pb.GetDeliveryRequest, ctx: Context, /
    ) -> pb.GetDeliveryResponse:
        """With attempts and payload."""
        delivery = await self._deliveries.get(actor_of(ctx), DeliveryId(request.id))
        return pb.GetDeliveryResponse(delivery=_delivery_to_proto(delivery))


def _search(request: pb.ListDeliveriesRequest) -> DeliverySearch:
    since, until = request.created_since, request.created_until
    return DeliverySearch(
        states=tuple(DeliveryState(int(each)) for each in request.states),
        target_id=TargetId(request.target_id) if request.target_id else None,
        event_type=request.event_type or None,
        event_id=EventId(request.event_id) if request.event_id else None,
        created_since=optional_time(since, "ListDeliveriesRequest.CreatedSince"),
        created_until=optional_time(until, "ListDeliveriesRequest.CreatedUntil"),
        before=_page_token(request.page_token),
        limit=request.page_size or DEFAULT_LIMIT,
    )


def _page_token(token: str) -> DeliveryId | None:
    # Opaque to callers; to us it is the id of the last row of the page before.
    if not token:
        return None
    if not (token.isascii() and token.isdigit() and len(token) <= _MAX_ID_DIGITS):
        raise InvalidRequest(
            "invalid ListDeliveriesRequest.PageToken: value is not a token of a page"
        )
    return DeliveryId(token)


def _delivery_to_proto(delivery: Delivery) -> pb.Delivery:
    return pb.Delivery(
        id=delivery.id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        target_id=delivery.target_id,
        execution=delivery.execution,
        state=pb.DeliveryState(delivery.state.value),
        attempt_count=delivery.attempt_count,
        created_at=to_timestamp(delivery.created_at),
        next_attempt_at=to_optional_timestamp(delivery.next_attempt_at),
        finished_at=to_optional_timestamp(delivery.finished_at),
        attempts=[attempt_to_proto(each) for each in delivery.attempts],
        payload=delivery.payload,
        replay_of=delivery.replay_of or "",
    )


def attempt_to_proto(attempt: Attempt) -> pb.Attempt:
    """An attempt as the wire has it."""
    return pb.Attempt(
        number=attempt.number,
        started_at=to_timestamp(attempt.started_at),
        duration=to_duration(attempt.duration),
        outcome=Outcome(attempt.outcome.value),
        status_code=attempt.status_code,
        error=attempt.error,
        response_excerpt=attempt.excerpt,
        stage=attempt.stage.value,
    )
