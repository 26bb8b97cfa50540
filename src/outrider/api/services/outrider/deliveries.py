"""The delivery log: find, replay, retry, cancel and count. Protobuf in, one use case, protobuf out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.paging import HOW_TO_PAGE
from outrider.api.services.messages.times import (
    to_duration,
    to_optional_timestamp,
    to_timestamp,
)
from outrider.api.services.outrider.delivery_selection import (
    Page,
    is_id,
    page_fields,
    search_of,
    selected,
    span,
)
from outrider.domain.delivery.delivery import Attempt, Delivery, DeliveryState
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.selection import CANCELLED, REPLAYED, RETRIED
from outrider.domain.delivery.stats import (
    DEFAULT_SUSPENDED,
    DEFAULT_TARGETS,
    DeliveryStats,
    StatsSearch,
)
from outrider.domain.ids import DeliveryId, TargetId
from outrider.domain.page import DEFAULT_LIMIT
from outrider.errors import InvalidRequest
from outrider.usecases.delivery.deliveries import CancelDelivery, CountDeliveries, FindDeliveries
from outrider.usecases.delivery.open_deliveries import CancelDeliveries, RetryDeliveries
from outrider.usecases.delivery.replays import ReplayDeliveries
from outrider_api.outrider.v1 import delivery_service_pb as pb
from outrider_api.outrider.v1.delivery_service_connect import DeliveryService
from outrider_api.outrider.v1.outcome_pb import Outcome


class DeliveryHandlers(DeliveryService):
    """`outrider.v1.DeliveryService`."""

    def __init__(
        self,
        *,
        deliveries: FindDeliveries,
        replay: ReplayDeliveries,
        retry: RetryDeliveries,
        cancel: CancelDelivery,
        cancel_many: CancelDeliveries,
        count: CountDeliveries,
    ) -> None:
        self._deliveries = deliveries
        self._replay = replay
        self._retry = retry
        self._cancel = cancel
        self._cancel_many = cancel_many
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
        actor, selection = actor_of(ctx), selected(request, REPLAYED)
        if isinstance(selection, Page):
            result = await self._replay.found(
                actor, *selection, include_replayed=request.include_replayed
            )
        else:
            result = await self._replay.named(actor, selection)
        return pb.ReplayDeliveriesResponse(**page_fields(result))

    async def retry_deliveries(
        self, request: pb.RetryDeliveriesRequest, ctx: Context, /
    ) -> pb.RetryDeliveriesResponse:
        """Due now: those with these ids, or the next page of those that the filters find."""
        actor, selection = actor_of(ctx), selected(request, RETRIED)
        if isinstance(selection, Page):
            result = await self._retry.found(actor, *selection)
        else:
            result = await self._retry.named(actor, selection)
        return pb.RetryDeliveriesResponse(**page_fields(result), suspended=result.counts.deferred)

    async def cancel_deliveries(
        self, request: pb.CancelDeliveriesRequest, ctx: Context, /
    ) -> pb.CancelDeliveriesResponse:
        """Those with these ids, or the next page of those that the filters find."""
        actor, selection = actor_of(ctx), selected(request, CANCELLED)
        if isinstance(selection, Page):
            result = await self._cancel_many.found(actor, *selection)
        else:
            result = await self._cancel_many.named(actor, selection)
        return pb.CancelDeliveriesResponse(
            **page_fields(result), attempt_running=result.counts.deferred
        )

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
        since, until = span(request)
        search = StatsSearch(
            target_id=TargetId(request.target_id) if request.target_id else None,
            event_type=request.event_type or None,
            created_since=since,
            created_until=until,
            targets=request.max_targets or DEFAULT_TARGETS,
            suspended=request.max_suspended_targets or DEFAULT_SUSPENDED,
        )
        return _stats_to_proto(await self._count(actor_of(ctx), search))


def _search(request: pb.ListDeliveriesRequest) -> DeliverySearch:
    return replace(
        search_of(request),
        before=_page_token(request.page_token),
        limit=request.page_size or DEFAULT_LIMIT,
    )


def _page_token(token: str) -> DeliveryId | None:
    # Opaque to callers; here it is the id of the last row of the page before.
    if not token:
        return None
    if not is_id(token):
        raise InvalidRequest(
            "invalid ListDeliveriesRequest.PageToken: value is not a token of a page",
            hint=HOW_TO_PAGE,
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
