"""What every store does as a queue: which worker gets what, and when."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from contracts.store.steps import (
    WORKER,
    add_pending,
    add_targets,
    claim,
    claimed_ids,
    log_of,
    next_due,
    release_claims,
    settle,
    states,
)
from contracts.store.store import StoreContract
from outrider.domain.delivery.delivery import ClaimedDelivery, DeliveryState
from outrider.domain.ids import DeliveryId, TargetId
from outrider.domain.outcome import Outcome
from outrider.usecases.ports.store import Store
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    a_settlement,
    a_stored_event,
    an_attempt,
    an_event,
    planned,
    planned_chain,
)
from support.runtime import NOW

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)


class QueueContract(StoreContract):
    """Claiming, releasing, and when to ask again."""

    async def test_a_claimed_delivery_carries_what_the_attempt_needs(self, store: Store) -> None:
        """One reading for a whole batch: no second question before the call."""
        await add_targets(store)
        event = a_stored_event(
            *planned_chain(("1", "102"), ("2", "101")), event=replace(an_event(), hops=3)
        )
        await store.write(lambda unit: unit.events.append(INSTANCE, [event], NOW))
        body = event.body

        assert [
            ClaimedDelivery(
                id=DeliveryId("1"),
                instance_id=INSTANCE,
                target_id=TargetId("102"),
                attempt_number=1,
                created_at=NOW,
                has_dependents=True,
                body=body,
                hops=3,
            )
        ] == await claim(store)

    async def test_a_death_is_told_with_its_event(self, store: Store) -> None:
        """Operators hear of it, and of the hops that it has behind it."""
        await add_targets(store)
        event = a_stored_event(planned("1"), event=replace(an_event(), hops=3))
        await store.write(lambda unit: unit.events.append(INSTANCE, [event], NOW))
        await claim(store)
        dead = a_settlement("1", DeliveryState.DEAD)
        result = await store.write(lambda unit: unit.deliveries.settle(WORKER, [dead], NOW))

        assert [(event.event.id, event.event.event_type, 3)] == [
            (notable.event_id, notable.event_type, notable.hops) for notable in result.notable
        ]

    async def test_a_claimed_delivery_shows_as_being_delivered(self, store: Store) -> None:
        """And is not due while a worker has claimed it."""
        await add_targets(store)
        await add_pending(store, planned("1"))
        await claim(store)
        log = await log_of(store, "1")

        assert (DeliveryState.DELIVERING, None) == (log.state, log.next_attempt_at)
        assert (0, ()) == (log.attempt_count, log.attempts)

    async def test_longest_due_comes_first(self, store: Store) -> None:
        """And those that became due together come in the order of their ids."""
        await add_targets(store)
        await add_pending(store, planned("9"), planned("10"), planned("2"), event="b", now=NOW)
        await add_pending(store, planned("5"), event="a", now=NOW - MICROSECOND)
        await add_pending(store, planned("1"), event="c", now=NOW + MICROSECOND)

        assert ["5", "2", "9", "10", "1"] == await claimed_ids(store, now=NOW + SECOND)

    async def test_nothing_is_claimed_before_it_is_due(self, store: Store) -> None:
        """A retry comes at its time, to the microsecond, and not before."""
        await add_targets(store)
        await add_pending(store, planned("1"))
        await claim(store)
        due_at = NOW + timedelta(hours=1)
        await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=due_at))

        assert [] == await claimed_ids(store, now=due_at - MICROSECOND)
        assert ["1"] == await claimed_ids(store, now=due_at)

    async def test_a_limit_is_kept(self, store: Store) -> None:
        """A worker takes what it has capacity for; the rest is for others."""
        await add_targets(store)
        await add_pending(store, *(planned(str(number)) for number in range(1, 6)))

        assert ["1", "2"] == await claimed_ids(store, limit=2)
        assert ["3", "4"] == await claimed_ids(store, "worker-2", limit=2)
        assert ["5"] == await claimed_ids(store, limit=2)
        assert [] == await claimed_ids(store, limit=2)

    async def test_no_worker_gets_what_another_has_claimed(self, store: Store) -> None:
        """Every delivery has one owner, however many claim at the same time."""
        await add_targets(store)
        await add_pending(store, *(planned(str(number)) for number in range(1, 51)))
        taken = await asyncio.gather(
            *(claimed_ids(store, f"worker-{number}", limit=7) for number in range(10))
        )

        assert sorted(map(str, range(1, 51))) == sorted(
            delivery for batch in taken for delivery in batch
        )

    async def test_workers_claim_from_every_instance(self, store: Store) -> None:
        """There is one queue for all tenants."""
        for instance in (INSTANCE, ANOTHER_INSTANCE):
            await add_targets(store, instance=instance)
        await add_pending(store, planned("1"))
        await add_pending(store, planned("2"), instance=ANOTHER_INSTANCE)

        assert [("1", INSTANCE), ("2", ANOTHER_INSTANCE)] == [
            (delivery.id, delivery.instance_id) for delivery in await claim(store)
        ]

    async def test_attempts_are_numbered_from_one(self, store: Store) -> None:
        """The receiver sees the number, and the schedule counts by it."""
        await add_targets(store)
        await add_pending(store, planned("1"))
        numbers = []
        for number in (1, 2, 3):
            [claimed] = await claim(store)
            numbers.append(claimed.attempt_number)
            failed = an_attempt(number, Outcome.FAILED)
            await settle(
                store, a_settlement("1", DeliveryState.RETRYING, attempt=failed, due_at=NOW)
            )

        assert [1, 2, 3] == numbers

    async def test_what_is_released_is_due_again(self, store: Store) -> None:
        """A worker that stops leaves no trace: no attempt, and the same number next time."""
        await add_targets(store)
        await add_pending(store, planned("1"), planned("2"))
        await claim(store)
        await release_claims(store, "1", now=NOW + SECOND)
        log = await log_of(store, "1")

        assert (DeliveryState.PENDING, NOW + SECOND) == (log.state, log.next_attempt_at)
        assert (0, ()) == (log.attempt_count, log.attempts)
        assert "DELIVERING" == (await states(store))["2"]
        assert [("1", 1)] == [
            (delivery.id, delivery.attempt_number)
            for delivery in await claim(store, now=NOW + SECOND)
        ]

    async def test_a_retry_that_is_released_is_still_a_retry(self, store: Store) -> None:
        """The log still tells that it was tried."""
        await add_targets(store)
        await add_pending(store, planned("1"))
        await claim(store)
        await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=NOW))
        await claim(store)
        await release_claims(store, "1")
        log = await log_of(store, "1")

        assert (DeliveryState.RETRYING, 1) == (log.state, log.attempt_count)
        assert [("1", 2)] == [
            (delivery.id, delivery.attempt_number) for delivery in await claim(store)
        ]

    async def test_what_an_owner_has_claimed_can_be_asked(self, store: Store) -> None:
        """A worker whose answer was lost finds out what it has claimed."""
        await add_targets(store)
        await add_pending(store, *(planned(str(number)) for number in range(1, 6)))
        await claim(store, limit=3)
        await claim(store, "worker-2", limit=1)
        await settle(store, a_settlement("1"))
        await release_claims(store, "2")

        assert {"3"} == await store.read(lambda unit: unit.deliveries.claimed_by(WORKER))
        assert set() == await store.read(lambda unit: unit.deliveries.claimed_by("nobody"))

    async def test_only_the_owner_releases(self, store: Store) -> None:
        """A worker that lost its deliveries cannot give away what another has claimed."""
        await add_targets(store)
        await add_pending(store, planned("1"), planned("2"))
        await claim(store, limit=1)
        await release_claims(store, "1", "2", "3", owner="worker-2")
        await release_claims(store, "2")

        assert {"1": "DELIVERING", "2": "PENDING"} == await states(store)

    async def test_what_ended_cannot_be_released(self, store: Store) -> None:
        """It would be delivered twice."""
        await add_targets(store)
        await add_pending(store, planned("1"))
        await claim(store)
        await settle(store, a_settlement("1"))
        await release_claims(store, "1")

        assert {"1": "DELIVERED"} == await states(store)
        assert [] == await claimed_ids(store)

    async def test_next_due_is_the_earliest_of_what_is_not_claimed(self, store: Store) -> None:
        """A worker sleeps until then. What waits for another delivery does not count."""
        await add_targets(store)
        asked = [await next_due(store)]
        await add_pending(store, *planned_chain(("1", "101"), ("2", "102")), event="a")
        await add_pending(store, planned("3"), event="b", now=NOW + SECOND)
        asked.append(await next_due(store))
        await claim(store, limit=1)
        asked.append(await next_due(store))
        await claim(store, now=NOW + SECOND)
        asked.append(await next_due(store))
        due_at = NOW + timedelta(hours=1)
        await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=due_at))
        asked.append(await next_due(store))

        assert [None, NOW, NOW + SECOND, None, due_at] == asked
