"""The delivery log and the queue, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from fakes.memory.delivery import cancellations, ordering, target_queues, transitions
from fakes.memory.tables import QueuedDelivery, Tables
from outrider.domain.delivery.delivery import ClaimedDelivery, Delivery, DeliveryState, Settlement
from outrider.domain.delivery.replay import Replay
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.target_queue import NO_CLAIM_LIMITS, ClaimLimits, TargetKey, not_after
from outrider.domain.ids import DeliveryId, InstanceId, TargetId
from outrider.usecases.ports.deliveries import NotableSettlement, SettleResult, Weigh, no_weight


class MemoryDeliveries:
    """`Deliveries` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def search(self, instance: InstanceId, query: DeliverySearch) -> Sequence[Delivery]:
        matching = [
            replace(row.logged, attempts=(), payload=b"")
            for row in self._tables.deliveries.values()
            if row.instance == instance and matches(row.delivery, query)
        ]
        newest_first = sorted(matching, key=lambda delivery: int(delivery.id), reverse=True)
        return newest_first[: query.limit]

    def get(self, instance: InstanceId, delivery: DeliveryId) -> Delivery | None:
        row = self._tables.deliveries.get(delivery)
        return row.logged if row is not None and row.instance == instance else None

    def claim(
        self, owner: str, now: datetime, limit: int, claim_limits: ClaimLimits = NO_CLAIM_LIMITS
    ) -> Sequence[ClaimedDelivery]:
        taken = target_queues.Claim(self._tables, owner, now, limit, claim_limits).run()
        return [transitions.claimed(self._tables, row) for row in taken]

    def settle(
        self, owner: str, settlements: Sequence[Settlement], now: datetime, weigh: Weigh = no_weight
    ) -> SettleResult:
        # All of them, however heavy: there is no other writer to wait.
        written, notable = 0, []
        for settlement in settlements:
            row = self._claimed(owner, settlement.delivery_id)
            if row is not None and transitions.is_of_this_claim(row, settlement):
                change, settled = transitions.settle(self._tables, settlement, now)
                written += 1
                if settled.state is DeliveryState.DEAD or change is not None:
                    notable.append(
                        NotableSettlement(
                            settled,
                            *row.target_key,
                            row.delivery.event_id,
                            row.delivery.event_type,
                            self._tables.events[row.instance, row.delivery.event_id].event.hops,
                            change,
                        )
                    )
        target_queues.drop_empty(self._tables)
        cancellations.take_effect(self._tables, now)
        return SettleResult(written, notable)

    def release_claims(self, owner: str, deliveries: Collection[DeliveryId], now: datetime) -> None:
        for delivery in deliveries:
            row = self._claimed(owner, delivery)
            if row is not None:
                transitions.release_claims(self._tables, row, now)
        cancellations.take_effect(self._tables, now)

    def claimed_by(self, owner: str) -> set[DeliveryId]:
        return {
            delivery
            for delivery in self._tables.deliveries
            if self._claimed(owner, delivery) is not None
        }

    def next_due(self, excluded: Collection[TargetKey] = ()) -> datetime | None:
        return target_queues.next_due(self._tables, excluded)

    def suspended(self, target_keys: Collection[TargetKey], now: datetime) -> set[TargetKey]:
        known = self._tables.target_queues
        return {
            target_key
            for target_key in target_keys
            if target_key in known and known[target_key].is_suspended(now)
        }

    def newest(self) -> datetime | None:
        found = max(
            self._tables.deliveries.values(),
            key=lambda delivery: int(delivery.delivery.id),
            default=None,
        )
        return None if found is None else found.delivery.created_at

    def clock_went_back(self, now: datetime, after: int = 0) -> int | None:
        transitions.first_attempts_now(self._tables, now)
        for target_key, target_queue in self._tables.target_queues.items():
            self._tables.target_queues[target_key] = not_after(target_queue, now)
        self._tables.shared_last_claimed_at = min(self._tables.shared_last_claimed_at, now)
        return None

    def resume_keys(
        self, instance: InstanceId, replays: Sequence[Replay]
    ) -> Collection[DeliveryId]:
        resumed = set()
        for replay in replays:
            source = self._tables.deliveries.get(replay.of)
            if source is None or source.instance != instance:
                continue
            root = source.replay_root or replay.of
            of_same = [
                other.delivery.id
                for other in self._tables.deliveries.values()
                if other.instance == instance and root in {other.delivery.id, other.replay_root}
            ]
            resumed |= {
                dead for dead in of_same if ordering.resume_key(self._tables, dead, replay.id)
            }
        return resumed

    def make_due(
        self, instance: InstanceId, deliveries: Collection[DeliveryId], now: datetime
    ) -> Collection[TargetId]:
        targets = []
        for number in deliveries:
            row = self._tables.deliveries.get(number)
            if row is None or row.instance != instance:
                continue
            due_at = row.delivery.next_attempt_at
            waits = row.depends_on is not None or row.waits_on is not None
            if due_at is not None and due_at > now and not waits:
                due_now = replace(row.delivery, next_attempt_at=now)
                self._tables.deliveries[number] = replace(row, delivery=due_now)
                targets.append(row.delivery.target_id)
        return targets

    def _claimed(self, owner: str, delivery: DeliveryId) -> QueuedDelivery | None:
        row = self._tables.deliveries.get(delivery)
        return row if row is not None and row.owner == owner else None


def matches(delivery: Delivery, query: DeliverySearch) -> bool:
    """Whether a delivery matches a search."""
    return (
        (not query.states or delivery.state in query.states)
        and query.target_id in {None, delivery.target_id}
        and query.event_type in {None, delivery.event_type}
        and query.event_id in {None, delivery.event_id}
        and (query.created_since is None or query.created_since <= delivery.created_at)
        and (query.created_until is None or delivery.created_at < query.created_until)
        and (query.before is None or int(delivery.id) < _number(query.before))
    )


def _number(delivery: DeliveryId) -> int:
    """Where it stands in the log; 0, before everything, for what we never made."""
    return int(delivery) if delivery.isascii() and delivery.isdigit() else 0
