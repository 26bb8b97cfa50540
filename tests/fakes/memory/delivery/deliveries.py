"""The delivery log and the queue, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from fakes.memory.delivery import cancellations, ordering, target_queues, transitions
from fakes.memory.tables import OwedDelivery, Tables
from outrider.domain.delivery.delivery import ClaimedDelivery, Delivery, DeliveryState, Settlement
from outrider.domain.delivery.target_queue import NO_CLAIM_LIMITS, ClaimLimits, TargetKey, not_after
from outrider.domain.ids import DeliveryId, InstanceId
from outrider.domain.search import DeliverySearch
from outrider.usecases.ports.deliveries import NotableSettlement, SettleResult


class MemoryDeliveries:
    """`ports.Deliveries` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def search(self, instance: InstanceId, wanted: DeliverySearch) -> Sequence[Delivery]:
        """See the port."""
        matching = [
            replace(owed.shown, attempts=(), payload=b"")
            for owed in self._tables.deliveries.values()
            if owed.instance == instance and matches(owed.delivery, wanted)
        ]
        newest_first = sorted(matching, key=lambda delivery: int(delivery.id), reverse=True)
        return newest_first[: wanted.limit]

    def get(self, instance: InstanceId, delivery: DeliveryId) -> Delivery | None:
        """See the port."""
        owed = self._tables.deliveries.get(delivery)
        return owed.shown if owed is not None and owed.instance == instance else None

    def claim(
        self, owner: str, now: datetime, limit: int, claim_limits: ClaimLimits = NO_CLAIM_LIMITS
    ) -> Sequence[ClaimedDelivery]:
        """See the port."""
        taken = target_queues.Claim(self._tables, owner, now, limit, claim_limits).run()
        return [transitions.claimed(self._tables, owed) for owed in taken]

    def settle(self, owner: str, settlements: Sequence[Settlement], now: datetime) -> SettleResult:
        """See the port."""
        written, notable = 0, []
        for settlement in settlements:
            owed = self._held(owner, settlement.delivery_id)
            if owed is not None and transitions.is_of_this_claim(owed, settlement):
                change, settled = transitions.settle(self._tables, settlement, now)
                written += 1
                if settled.state is DeliveryState.DEAD or change is not None:
                    notable.append(
                        NotableSettlement(
                            settled,
                            *owed.target_queue_name,
                            owed.delivery.event_id,
                            owed.delivery.event_type,
                            change,
                        )
                    )
        target_queues.drop_empty(self._tables)
        cancellations.take_effect(self._tables, now)
        return SettleResult(written, notable)

    def release_claims(self, owner: str, deliveries: Collection[DeliveryId], now: datetime) -> None:
        """See the port."""
        for delivery in deliveries:
            owed = self._held(owner, delivery)
            if owed is not None:
                transitions.release_claims(self._tables, owed, now)
        cancellations.take_effect(self._tables, now)

    def held(self, owner: str) -> set[DeliveryId]:
        """See the port."""
        return {
            delivery
            for delivery in self._tables.deliveries
            if self._held(owner, delivery) is not None
        }

    def next_due(self, passed_over: Collection[TargetKey] = ()) -> datetime | None:
        """See the port."""
        return target_queues.next_due(self._tables, passed_over)

    def shut(self, names: Collection[TargetKey], now: datetime) -> set[TargetKey]:
        """See the port."""
        known = self._tables.target_queues
        return {name for name in names if name in known and known[name].is_suspended(now)}

    def newest(self) -> datetime | None:
        """See the port."""
        found = max(
            self._tables.deliveries.values(),
            key=lambda delivery: int(delivery.delivery.id),
            default=None,
        )
        return None if found is None else found.delivery.created_at

    def clock_went_back(self, now: datetime) -> None:
        """See the port."""
        transitions.first_attempts_now(self._tables, now)
        for name, target_queue in self._tables.target_queues.items():
            self._tables.target_queues[name] = not_after(target_queue, now)
        self._tables.general_served_at = min(self._tables.general_served_at, now)

    def resume_key(self, instance: InstanceId, dead: DeliveryId, replay: DeliveryId) -> bool:
        """See the port."""
        owed = self._tables.deliveries.get(dead)
        if owed is None or owed.instance != instance:
            return False
        return ordering.resume_key(self._tables, dead, replay)

    def _held(self, owner: str, delivery: DeliveryId) -> OwedDelivery | None:
        owed = self._tables.deliveries.get(delivery)
        return owed if owed is not None and owed.owner == owner else None


def matches(delivery: Delivery, wanted: DeliverySearch) -> bool:
    """Whether a delivery is what somebody searches for."""
    return (
        (not wanted.states or delivery.state in wanted.states)
        and wanted.target_id in {None, delivery.target_id}
        and wanted.event_type in {None, delivery.event_type}
        and wanted.event_id in {None, delivery.event_id}
        and (wanted.created_since is None or wanted.created_since <= delivery.created_at)
        and (wanted.created_until is None or delivery.created_at < wanted.created_until)
        and (wanted.before is None or int(delivery.id) < _number(wanted.before))
    )


def _number(delivery: DeliveryId) -> int:
    """Where it stands in the log; 0, before everything, for what we never made."""
    return int(delivery) if delivery.isascii() and delivery.isdigit() else 0
