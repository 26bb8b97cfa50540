"""Numbers about deliveries, to protobuf."""

from __future__ import annotations

from collections.abc import Mapping

from outrider.api.services.messages.times import to_duration, to_optional_timestamp
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.stats import DeliveryStats
from outrider_api.outrider.v1 import delivery_service_pb as pb
from outrider_api.outrider.v1.outcome_pb import Outcome


def stats_to_proto(stats: DeliveryStats) -> pb.GetDeliveryStatsResponse:
    """The numbers as the wire has them."""
    return pb.GetDeliveryStatsResponse(
        counts=_counts(stats.counts),
        oldest_open_at=to_optional_timestamp(stats.oldest_open_at),
        targets=[
            pb.TargetDeliveryStats(
                target_id=each.target_id,
                target_name=each.name,
                counts=_counts(each.counts),
                oldest_open_at=to_optional_timestamp(each.oldest_open_at),
                paused_at=to_optional_timestamp(each.hold.paused_at),
                breaker_open_until=to_optional_timestamp(each.hold.breaker_open_until),
            )
            for each in stats.targets
        ],
        outcomes=[
            pb.OutcomeCount(outcome=Outcome(outcome.value), count=count)
            for outcome, count in stats.outcomes.items()
        ],
        rates=[
            pb.DeliveryRate(
                window=to_duration(each.window),
                delivered_per_second=each.delivered,
                dead_per_second=each.dead,
            )
            for each in stats.rates
        ],
        partial=stats.is_partial,
        held_targets=[
            pb.HeldTarget(
                target_id=each.target_id,
                target_name=each.name,
                paused_at=to_optional_timestamp(each.hold.paused_at),
                breaker_open_until=to_optional_timestamp(each.hold.breaker_open_until),
            )
            for each in stats.held
        ],
    )


def _counts(counts: Mapping[DeliveryState, int]) -> list[pb.DeliveryStateCount]:
    return [
        pb.DeliveryStateCount(state=pb.DeliveryState(state.value), count=count)
        for state, count in counts.items()
    ]
