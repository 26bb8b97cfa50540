"""What every store does with deliveries that a caller cancels."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from contracts.store.steps import (
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
from contracts.store.targets.policies import pause, resume
from outrider.domain.delivery.delivery import DeliveryState, Dependents
from outrider.domain.ids import DeliveryId, InstanceId
from outrider.usecases.ports.store import Store
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    a_settlement,
    planned,
    planned_chain,
)
from support.runtime import NOW

HOUR = timedelta(hours=1)
RETRYING = DeliveryState.RETRYING


async def cancel(
    store: Store, delivery: str, *, now: datetime = NOW, instance: InstanceId = INSTANCE
) -> None:
    """Stop a delivery."""
    await store.write(lambda unit: unit.cancellations.cancel(instance, DeliveryId(delivery), now))


class CancellingContract(StoreContract):
    """Each test has the targets 101, 102 and 103."""

    @pytest.fixture(autouse=True)
    async def targets(self, store: Store) -> None:
        """The targets of the deliveries."""
        await add_targets(store)

    async def test_what_is_due_is_cancelled_immediately(self, store: Store) -> None:
        """It is not attempted any more."""
        await add_pending(store, planned("1"))
        await cancel(store, "1", now=NOW + HOUR)
        log = await log_of(store, "1")

        assert (DeliveryState.CANCELLED, None, NOW + HOUR) == (
            log.state,
            log.next_attempt_at,
            log.finished_at,
        )
        assert ([], None) == (await claimed_ids(store, now=NOW + HOUR), await next_due(store))

    async def test_what_waits_for_its_next_attempt_is_cancelled(self, store: Store) -> None:
        """Its attempts stay in the log."""
        await add_pending(store, planned("1"))
        await claim(store)
        await settle(store, a_settlement("1", RETRYING, due_at=NOW + HOUR))
        await cancel(store, "1")
        log = await log_of(store, "1")

        assert (DeliveryState.CANCELLED, 1) == (log.state, len(log.attempts))
        assert [] == await claimed_ids(store, now=NOW + HOUR)

    async def test_what_depends_on_it_is_due(self, store: Store) -> None:
        """The first of a chain is cancelled; the others are not."""
        await add_pending(store, *planned_chain(("1", "101"), ("2", "102"), ("3", "103")))
        await cancel(store, "1")

        assert ["2"] == await claimed_ids(store)

    async def test_the_chain_closes_behind_one_in_the_middle(self, store: Store) -> None:
        """What depended on it depends on the one in front of it."""
        await add_pending(store, *planned_chain(("1", "101"), ("2", "102"), ("3", "103")))
        await cancel(store, "2")
        claimed = [await claimed_ids(store), await claimed_ids(store)]
        await settle(store, a_settlement("1", dependents=Dependents.RELEASE))

        assert [["1"], []] == claimed
        assert ["3"] == await claimed_ids(store)

    async def test_what_an_interrupting_target_kept_waiting_continues(self, store: Store) -> None:
        """Its failure kept them waiting; none waits for a delivery that will not come."""
        await add_pending(store, *planned_chain(("1", "101"), ("2", "102")))
        await claim(store)
        retry = a_settlement("1", RETRYING, due_at=NOW + HOUR, dependents=Dependents.WAIT)
        await settle(store, retry)
        await cancel(store, "1")

        assert ["2"] == await claimed_ids(store)

    async def test_an_attempt_in_flight_continues_and_is_the_last(self, store: Store) -> None:
        """It cannot be called back; but it is not tried again."""
        await add_pending(store, *planned_chain(("1", "101"), ("2", "102")))
        await claim(store)
        await cancel(store, "1")
        await cancel(store, "1")
        before = await states(store)
        retry = a_settlement("1", RETRYING, due_at=NOW + HOUR, dependents=Dependents.WAIT)

        assert 1 == await settle(store, retry)
        assert "DELIVERING" == before["1"]
        log = await log_of(store, "1")
        assert (DeliveryState.CANCELLED, 1, NOW) == (log.state, log.attempt_count, log.finished_at)
        assert ["2"] == await claimed_ids(store, now=NOW + HOUR)

    async def test_an_attempt_that_succeeds_all_the_same_has_delivered(self, store: Store) -> None:
        """The log tells what happened."""
        await add_pending(store, planned("1"))
        await claim(store)
        await cancel(store, "1")
        await settle(store, a_settlement("1"))

        assert {"1": "DELIVERED"} == await states(store)

    async def test_a_worker_that_releases_it_has_cancelled_it(self, store: Store) -> None:
        """It had not begun: now it never does."""
        await add_pending(store, planned("1"), planned("2"))
        await claim(store)
        await cancel(store, "1")
        await release_claims(store, "1", "2")

        assert {"1": "CANCELLED", "2": "PENDING"} == await states(store)

    async def test_only_that_one_is_cancelled(self, store: Store) -> None:
        """A request is deleted when it was fulfilled: others retry."""
        await add_pending(store, planned("1"), planned("2"))
        await claim(store)
        await cancel(store, "1")
        retries = [a_settlement(delivery_id, RETRYING, due_at=NOW) for delivery_id in ("1", "2")]
        await settle(store, *retries)

        assert {"1": "CANCELLED", "2": "RETRYING"} == await states(store)

    async def test_what_is_finished_stays_as_it_is(self, store: Store) -> None:
        """Also a cancelled one, with its date."""
        await add_pending(store, planned("1"), planned("2"), planned("3"))
        await cancel(store, "3")
        await claim(store)
        await settle(store, a_settlement("1"), a_settlement("2", DeliveryState.DEAD))
        before = [await log_of(store, delivery_id) for delivery_id in "123"]
        for delivery_id in "123":
            await cancel(store, delivery_id, now=NOW + HOUR)

        assert before == [await log_of(store, delivery_id) for delivery_id in "123"]

    async def test_a_delivery_of_another_instance_is_not_there(self, store: Store) -> None:
        """Nor is one that was never made."""
        await add_pending(store, planned("1"))
        await cancel(store, "1", instance=ANOTHER_INSTANCE)
        for nothing in ("2", "x", ""):
            await cancel(store, nothing)

        assert {"1": "PENDING"} == await states(store)

    async def test_what_a_pause_suspends_is_cancelled(self, store: Store) -> None:
        """It does not come back when the target is resumed."""
        await add_pending(store, planned("1"), planned("2"))
        await pause(store)
        await claim(store, now=NOW + HOUR)
        await cancel(store, "1")
        await resume(store)

        assert ["2"] == await claimed_ids(store, now=NOW + HOUR)
        assert {"1": "CANCELLED", "2": "DELIVERING"} == await states(store)
