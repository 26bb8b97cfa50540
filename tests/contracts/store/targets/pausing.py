"""What every store does with deliveries to a paused target: it suspends them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.store.steps import (
    add_pending,
    add_targets,
    claim,
    claimed_ids,
    delete_target,
    log_of,
    next_due,
    release_claims,
    settle,
    states,
)
from contracts.store.store import StoreContract
from contracts.store.targets.policies import pause, resume
from outrider.domain.delivery.delivery import DeliveryState, Dependents
from outrider.usecases.ports.store import Store
from support.builders import (
    ANOTHER_INSTANCE,
    a_settlement,
    an_attempt,
    planned,
    planned_chain,
)
from support.runtime import NOW

HOUR = timedelta(hours=1)
MANY = 60


class PausingContract(StoreContract):
    """Each test has the targets 101, 102 and 103."""

    @pytest.fixture(autouse=True)
    async def targets(self, store: Store) -> None:
        """The targets that are paused, or not."""
        await add_targets(store)

    async def test_deliveries_of_a_paused_target_are_not_claimed(self, store: Store) -> None:
        """Not what was there, and not what comes; others get theirs."""
        await add_pending(store, planned("1", "101"), planned("2", "102"), event="a")
        await pause(store)
        await add_pending(store, planned("3", "101"), planned("4", "102"), event="b")

        assert ["2", "4"] == await claimed_ids(store)
        assert [] == await claimed_ids(store)

    async def test_a_pause_uses_up_no_attempt(self, store: Store) -> None:
        """The log tells that it waits, and since when it is due."""
        await add_pending(store, planned("1"))
        await pause(store)
        before = await log_of(store, "1")
        await claim(store, now=NOW + HOUR)

        assert (DeliveryState.PENDING, 0, NOW) == (
            before.state,
            before.attempt_count,
            before.next_attempt_at,
        )
        assert before == await log_of(store, "1")

    async def test_all_is_due_immediately_when_the_target_is_resumed(self, store: Store) -> None:
        """In the order in which it would have been; more at a time with each that is accepted."""
        await add_pending(store, planned("1"), planned("2"), event="a")
        await pause(store)
        await claim(store)
        await add_pending(store, planned("3"), event="b", now=NOW + HOUR)
        await claim(store, now=NOW + HOUR)
        await resume(store)

        assert NOW == await next_due(store)
        assert ["1"] == await claimed_ids(store, now=NOW + HOUR)
        assert None is await next_due(store)

        await settle(store, a_settlement("1"))

        assert [("2", 1), ("3", 1)] == [
            (claimed.id, claimed.attempt_number) for claimed in await claim(store, now=NOW + HOUR)
        ]

    async def test_a_retry_of_later_stays_for_later(self, store: Store) -> None:
        """Going on is no reason to hurry what would have waited anyway."""
        await add_pending(store, planned("1"))
        await claim(store)
        await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=NOW + HOUR))
        await pause(store)
        await claim(store)
        await resume(store)

        assert [] == await claimed_ids(store)
        assert NOW + HOUR == await next_due(store)
        assert ["1"] == await claimed_ids(store, now=NOW + HOUR)

    async def test_what_is_attempted_ends_with_that_attempt(self, store: Store) -> None:
        """A failure is tried again when the target is resumed."""
        await add_pending(store, planned("1"), planned("2"), planned("3"))
        await claim(store)
        await pause(store)
        await settle(
            store, a_settlement("1"), a_settlement("2", DeliveryState.RETRYING, due_at=NOW)
        )
        await release_claims(store, "3")

        assert {"1": "DELIVERED", "2": "RETRYING", "3": "PENDING"} == await states(store)
        assert [] == await claimed_ids(store)

        await resume(store)

        assert ["2"] == await claimed_ids(store)

        await settle(store, a_settlement("2", attempt=an_attempt(2)))

        assert ["3"] == await claimed_ids(store)

    async def test_no_worker_wakes_up_for_a_paused_target(self, store: Store) -> None:
        """A worker that hears of work that it cannot claim polls again and again."""
        await add_pending(store, planned("1"), event="a")
        await pause(store)
        due = [await next_due(store)]
        await claim(store)
        due.append(await next_due(store))
        await add_pending(store, planned("2"), event="b")
        due.append(await next_due(store))
        await add_pending(store, planned("3", "102"), event="c", now=NOW + HOUR)
        due.append(await next_due(store))

        assert [None, None, None, NOW + HOUR] == due

    async def test_the_limit_of_a_claim_counts_no_suspended_deliveries(self, store: Store) -> None:
        """However many deliveries a paused target has, others do not wait behind them."""
        await add_pending(store, *(planned(str(number)) for number in range(1, MANY)), event="a")
        await pause(store)
        await add_pending(store, planned("91", "102"), planned("92", "102"), event="b")

        assert ["91"] == await claimed_ids(store, limit=1)
        assert ["92"] == await claimed_ids(store, limit=1)

    async def test_dependents_are_suspended_with_their_own_target(self, store: Store) -> None:
        """A dependent waits for the delivery in front first, then for its target."""
        await add_pending(store, *planned_chain(("1", "101"), ("2", "102")))
        await pause(store, "102")
        await claim(store)
        await settle(store, a_settlement("1", dependents=Dependents.RELEASE))

        assert [] == await claimed_ids(store)

        await resume(store, "102")

        assert ["2"] == await claimed_ids(store)

    async def test_another_instance_is_not_paused(self, store: Store) -> None:
        """Its target may have the same id."""
        await add_targets(store, instance=ANOTHER_INSTANCE)
        await add_pending(store, planned("1"))
        await add_pending(store, planned("2"), instance=ANOTHER_INSTANCE)
        await pause(store)

        assert ["2"] == await claimed_ids(store)

        await resume(store, instance=ANOTHER_INSTANCE)

        assert [] == await claimed_ids(store)

    async def test_a_paused_target_that_is_deleted_has_no_open_deliveries(
        self, store: Store
    ) -> None:
        """Its deliveries are cancelled for good, and what depends on them becomes due."""
        await add_pending(store, *planned_chain(("1", "101"), ("2", "102")))
        await pause(store)
        await claim(store)
        await delete_target(store, "101")

        assert {"1": "CANCELLED", "2": "PENDING"} == await states(store)
        assert None is (await log_of(store, "1")).next_attempt_at

        await resume(store)

        assert ["2"] == await claimed_ids(store)
