"""The delivery log: find, replay, cancel and count. Protobuf in, one use case, protobuf out."""

from __future__ import annotations

from collections.abc import Mapping

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.paging import HOW_TO_PAGE
from outrider.api.services.messages.times import (
    optional_time,
    to_duration,
    to_optional_timestamp,
    to_timestamp,
)
from outrider.domain.delivery.delivery import Attempt, Delivery, DeliveryState
from outrider.domain.delivery.replay import ReplayRange, ReplayResult
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.stats import (
    DEFAULT_SUSPENDED,
    DEFAULT_TARGETS,
    DeliveryStats,
    StatsSearch,
)
from outrider.domain.ids import DeliveryId, EventId, TargetId
from outrider.domain.page import DEFAULT_LIMIT
from outrider.errors import InvalidRequest
from outrider.usecases.delivery.deliveries import CancelDelivery, CountDeliveries, FindDeliveries
from outrider.usecases.delivery.replays import MAX_FOUND, ReplayDeliveries
from outrider_api.outrider.v1 import delivery_service_pb as pb
from outrider_api.outrider.v1.delivery_service_connect import DeliveryService
from outrider_api.outrider.v1.outcome_pb import Outcome

_MAX_ID_DIGITS = 19


class DeliveryHandlers(DeliveryService):
    """`outrider.v1.DeliveryService`."""

    def __init__(
        self,
        deliveries: FindDeliveries,
        replay: ReplayDeliveries,
        cancel: CancelDelivery,
        count: CountDeliveries,
    ) -> None:
        self._deliveries = deliveries
        self._replay = replay
        self._cancel = cancel
        self._count = count

    async def list_deliveries(
        self, request: pb.ListDeliveriesRequest, ctx: Context, /
    ) -> pb.ListDeliveriesResponse:
        """Newest first."""
        rows, next_before = await self._deliveries.search(actor_of(ctx), _search(request))
        return pb.ListDeliveriesResponse(
            deliveries=[_delivery_to_proto(row) for row in rows],
            next_page_token=next_before or "",
        )

    async def get_delivery(
        self, request: pb.GetDeliveryRequest, ctx: Context, /
    ) -> pb.GetDeliveryResponse:
        """With attempts and payload."""
        delivery = await self._deliveries.get(actor_of(ctx), DeliveryId(request.id))
        return pb.GetDeliveryResponse(delivery=_delivery_to_proto(delivery))

    async def replay_deliveries(
        self, request: pb.ReplayDeliveriesRequest, ctx: Context, /
    ) -> pb.ReplayDeliveriesResponse:
        """Those with these ids, or the next page of those that the filters find."""
        if request.ids:
            _check_only_ids(request)
            ids = [DeliveryId(delivery_id) for delivery_id in request.ids]
            return _replay_to_proto(await self._replay.named(actor_of(ctx), ids))
        result = await self._replay.found(
            actor_of(ctx),
            _replay_search(request),
            _replay_range(request.page_token),
            request.page_size or MAX_FOUND,
        )
        return _replay_to_proto(result)

    async def cancel_delivery(
        self, request: pb.CancelDeliveryRequest, ctx: Context, /
    ) -> pb.CancelDeliveryResponse:
        """The answer has its new state."""
        delivery = await self._cancel(actor_of(ctx), DeliveryId(request.id))
        return pb.CancelDeliveryResponse(delivery=_delivery_to_proto(delivery))

    async def get_delivery_stats(
        self, request: pb.GetDeliveryStatsRequest, ctx: Context, /
    ) -> pb.GetDeliveryStatsResponse:
        """Counts, rates, and what is stuck."""
        since, until = request.created_since, request.created_until
        search = StatsSearch(
            target_id=TargetId(request.target_id) if request.target_id else None,
            event_type=request.event_type or None,
            created_since=optional_time(since, "GetDeliveryStatsRequest.CreatedSince"),
            created_until=optional_time(until, "GetDeliveryStatsRequest.CreatedUntil"),
            targets=request.max_targets or DEFAULT_TARGETS,
            suspended=request.max_suspended_targets or DEFAULT_SUSPENDED,
        )
        return _stats_to_proto(await self._count(actor_of(ctx), search))


def _search(request: pb.ListDeliveriesRequest) -> DeliverySearch:
    since, until = request.created_since, request.created_until
    return DeliverySearch(
        states=tuple(DeliveryState(int(state)) for state in request.states),
        target_id=TargetId(request.target_id) if request.target_id else None,
        event_type=request.event_type or None,
        event_id=EventId(request.event_id) if request.event_id else None,
        created_since=optional_time(since, "ListDeliveriesRequest.CreatedSince"),
        created_until=optional_time(until, "ListDeliveriesRequest.CreatedUntil"),
        before=_page_token(request.page_token),
        limit=request.page_size or DEFAULT_LIMIT,
    )


def _page_token(token: str) -> DeliveryId | None:
    # Opaque to callers; here it is the id of the last row of the page before.
    if not token:
        return None
    if not _is_id(token):
        raise InvalidRequest(
            "invalid ListDeliveriesRequest.PageToken: value is not a token of a page",
            hint=HOW_TO_PAGE,
        )
    return DeliveryId(token)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_ID_DIGITS


def _check_only_ids(request: pb.ReplayDeliveriesRequest) -> None:
    if request != pb.ReplayDeliveriesRequest(ids=request.ids):
        raise InvalidRequest(
            "invalid ReplayDeliveriesRequest: give either ids or filters, not both"
        )


def _replay_search(request: pb.ReplayDeliveriesRequest) -> DeliverySearch:
    since, until = request.created_since, request.created_until
    search = DeliverySearch(
        states=tuple(DeliveryState(int(state)) for state in request.states),
        target_id=TargetId(request.target_id) if request.target_id else None,
        event_type=request.event_type or None,
        event_id=EventId(request.event_id) if request.event_id else None,
        created_since=optional_time(since, "ReplayDeliveriesRequest.CreatedSince"),
        created_until=optional_time(until, "ReplayDeliveriesRequest.CreatedUntil"),
    )
    if search == DeliverySearch():
        # It would replay everything that was ever delivered: a caller who means that can name a date.
        raise InvalidRequest("invalid ReplayDeliveriesRequest: give ids or at least one filter")
    return search


def _replay_range(token: str) -> ReplayRange | None:
    # Opaque to callers; here it is the last delivery examined, and where the first call began.
    if not token:
        return None
    after, dash, until = token.partition("-")
    if not (dash and _is_id(after) and _is_id(until)):
        raise InvalidRequest(
            "invalid ReplayDeliveriesRequest.PageToken: value is not a token of a page",
            hint=HOW_TO_PAGE,
        )
    return ReplayRange(DeliveryId(after), DeliveryId(until))


def _replay_to_proto(result: ReplayResult) -> pb.ReplayDeliveriesResponse:
    rest = result.rest
    return pb.ReplayDeliveriesResponse(
        deliveries=result.made,
        next_page_token="" if rest is None else f"{rest.after}-{rest.until}",
        skipped=result.skipped,
        reached_at=to_optional_timestamp(result.reached_at),
    )


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
        attempts=[attempt_to_proto(attempt) for attempt in delivery.attempts],
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
        response_body_prefix=attempt.body_prefix,
        stage=attempt.stage.value,
    )


def _stats_to_proto(stats: DeliveryStats) -> pb.GetDeliveryStatsResponse:
    """The numbers as the wire has them."""
    return pb.GetDeliveryStatsResponse(
        counts=_counts(stats.counts),
        oldest_open_at=to_optional_timestamp(stats.oldest_open_at),
        targets=[
            pb.TargetDeliveryStats(
                target_id=target.target_id,
                target_name=target.name,
                counts=_counts(target.counts),
                oldest_open_at=to_optional_timestamp(target.oldest_open_at),
                paused_at=to_optional_timestamp(target.suspension.paused_at),
                breaker_open_until=to_optional_timestamp(target.suspension.breaker_open_until),
            )
            for target in stats.targets
        ],
        outcomes=[
            pb.OutcomeCount(outcome=Outcome(outcome.value), count=count)
            for outcome, count in stats.outcomes.items()
        ],
        rates=[
            pb.DeliveryRate(
                window=to_duration(rate.window),
                delivered_per_second=rate.delivered,
                dead_per_second=rate.dead,
            )
            for rate in stats.rates
        ],
        partial=stats.is_partial,
        suspended_targets=[
            pb.SuspendedTarget(
                target_id=target.target_id,
                target_name=target.name,
                paused_at=to_optional_timestamp(target.suspension.paused_at),
                breaker_open_until=to_optional_timestamp(target.suspension.breaker_open_until),
            )
            for target in stats.suspended
        ],
    )


def _counts(counts: Mapping[DeliveryState, int]) -> list[pb.DeliveryStateCount]:
    return [
        pb.DeliveryStateCount(state=pb.DeliveryState(state.value), count=count)
        for state, count in counts.items()
    ]
