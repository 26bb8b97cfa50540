"""How every store keeps the order inside an execution."""

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
from outrider.domain.delivery.delivery import DeliveryState, Dependents
from outrider.domain.outcome import Outcome
from outrider.usecases.ports.store import Store
from support.builders import (
    ANOTHER_INSTANCE,
    a_settlement,
    a_target,
    an_attempt,
    planned,
    planned_chain,
)
from support.runtime import NOW

LATER = NOW + timedelta(hours=1)
CHAIN = planned_chain(("1", "101"), ("2", "102"), ("3", "103"), ("4", "104"))


class ChainContract(StoreContract):
    """A contract about deliveries that depend on each other."""

    @pytest.fixture
    async def chain(self, store: Store) -> Store:
        """Four deliveries of one execution, each dependent on the one before, to 101 to 104."""
        await add_targets(store, *(a_target(str(number)) for number in range(101, 106)))
        await add_pending(store, *CHAIN)
        return store


class DependentsContract(ChainContract):
    """Which deliveries wait, which become due, which are cancelled."""

    async def test_only_the_first_of_a_chain_is_due(self, chain: Store) -> None:
        """First attempts happen in the order of the list."""
        assert ["1"] == await claimed_ids(chain)
        assert [] == await claimed_ids(chain, now=LATER)
        assert (await log_of(chain, "2")).next_attempt_at is None

    @pytest.mark.parametrize(
        "state", [DeliveryState.DELIVERED, DeliveryState.RETRYING, DeliveryState.DEAD]
    )
    async def test_the_next_is_due_when_the_attempt_in_front_has_ended(
        self, chain: Store, state: DeliveryState
    ) -> None:
        """Whatever became of it; and the one behind the next waits on."""
        await claim(chain)
        await settle(chain, a_settlement("1", state, due_at=LATER, dependents=Dependents.RELEASE))

        assert NOW == (await log_of(chain, "2")).next_attempt_at
        assert ["2"] == await claimed_ids(chain)

    async def test_what_continues_is_due_immediately(self, chain: Store) -> None:
        """At the time of settling, not of the attempt, nor of the event."""
        await claim(chain)
        await settle(chain, a_settlement("1", dependents=Dependents.RELEASE), now=LATER)

        assert LATER == await next_due(chain)
        assert [] == await claimed_ids(chain, now=LATER - timedelta(microseconds=1))
        assert ["2"] == await claimed_ids(chain, now=LATER)

    async def test_a_dependent_waits_through_all_retries(self, chain: Store) -> None:
        """A failed target that interrupts keeps its dependents waiting until it is delivered."""
        for number in (1, 2, 3):
            assert ["1"] == await claimed_ids(chain, now=LATER)
            failed = an_attempt(number, Outcome.FAILED)
            retry = a_settlement("1", DeliveryState.RETRYING, attempt=failed, due_at=NOW)
            await settle(chain, retry, now=LATER)

        assert ["1"] == await claimed_ids(chain, now=LATER)
        delivered = a_settlement("1", attempt=an_attempt(4), dependents=Dependents.RELEASE)
        await settle(chain, delivered)
        assert ["2"] == await claimed_ids(chain, now=LATER)

    async def test_cancelling_reaches_the_end_of_the_chain(self, chain: Store) -> None:
        """Not only the direct dependents."""
        await claim(chain)
        await settle(
            chain,
            a_settlement("1", DeliveryState.DEAD, dependents=Dependents.CANCEL),
            now=LATER,
        )

        assert {
            "1": "DEAD",
            "2": "CANCELLED",
            "3": "CANCELLED",
            "4": "CANCELLED",
        } == await states(chain)
        assert {LATER} == {
            (await log_of(chain, delivery_id)).finished_at for delivery_id in ("2", "3", "4")
        }
        assert None is await next_due(chain)

    async def test_cancelling_leaves_what_was_due_already(self, chain: Store) -> None:
        """What has begun is not undone, nor what waits behind it."""
        await claim(chain)
        await settle(
            chain,
            a_settlement("1", DeliveryState.RETRYING, due_at=NOW, dependents=Dependents.RELEASE),
        )
        await claim(chain)
        last = an_attempt(2, Outcome.FAILED)
        dead = a_settlement("1", DeliveryState.DEAD, attempt=last, dependents=Dependents.CANCEL)
        await settle(chain, dead)

        assert {"1": "DEAD", "2": "DELIVERING", "3": "PENDING", "4": "PENDING"} == await states(
            chain
        )

    async def test_cancelling_leaves_other_events_alone(self, chain: Store) -> None:
        """Each event has its own chain."""
        await add_pending(chain, *planned_chain(("11", "101"), ("12", "102")), event="event-2")
        await claim(chain)
        await settle(chain, a_settlement("1", DeliveryState.DEAD, dependents=Dependents.CANCEL))
        await settle(chain, a_settlement("11", dependents=Dependents.RELEASE))

        assert ["12"] == await claimed_ids(chain)

    async def test_several_may_depend_on_one(self, store: Store) -> None:
        """None depends on a rest_async target: the one behind it depends on what is in front."""
        await add_targets(store)
        front = planned("1", "101", has_dependents=True)
        dependents = (planned("2", "102", depends_on="1"), planned("3", "103", depends_on="1"))
        await add_pending(store, front, *dependents)
        await claim(store)
        await settle(store, a_settlement("1", dependents=Dependents.RELEASE))

        assert ["2", "3"] == await claimed_ids(store)

    async def test_releasing_claims_lets_no_dependent_go(self, chain: Store) -> None:
        """No attempt has ended."""
        await claim(chain)
        await release_claims(chain, "1")

        assert ["1"] == await claimed_ids(chain)

    async def test_waiting_survives_the_reading_of_the_log(self, chain: Store) -> None:
        """A chain of four is worked off in four rounds, in order."""
        rounds = []
        for _ in CHAIN:
            [claimed_id] = await claimed_ids(chain)
            rounds.append(claimed_id)
            await settle(chain, a_settlement(claimed_id, dependents=Dependents.RELEASE))

        assert ["1", "2", "3", "4"] == rounds
        assert {"DELIVERED"} == set((await states(chain)).values())


class DeletedTargetContract(ChainContract):
    """What deleting a target does to its deliveries, and to their dependents."""

    async def test_open_deliveries_are_cancelled(self, store: Store) -> None:
        """Whether they were never tried or are to be tried again."""
        await add_targets(store)
        await add_pending(store, planned("1"), planned("2"))
        await claim(store, limit=1)
        await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=LATER))
        await delete_target(store, "101", at=LATER)

        assert {"1": "CANCELLED", "2": "CANCELLED"} == await states(store)
        for delivery_id in ("1", "2"):
            log = await log_of(store, delivery_id)
            assert (LATER, None) == (log.finished_at, log.next_attempt_at)
        assert 1 == (await log_of(store, "1")).attempt_count
        assert None is await next_due(store)

    async def test_what_has_ended_is_left_as_it_ended(self, store: Store) -> None:
        """Deleting a target does not rewrite its history."""
        await add_targets(store)
        await add_pending(store, planned("1"), planned("2"))
        await claim(store)
        await settle(store, a_settlement("1"), a_settlement("2", DeliveryState.DEAD))
        await delete_target(store, "101", at=LATER)

        assert {"1": "DELIVERED", "2": "DEAD"} == await states(store)
        assert NOW == (await log_of(store, "1")).finished_at

    async def test_what_is_being_attempted_ends_with_that_attempt(self, chain: Store) -> None:
        """The call is on its way; its dependents wait on."""
        await claim(chain)
        await delete_target(chain, "101")

        assert [] == await claimed_ids(chain)
        assert "DELIVERING" == (await states(chain))["1"]
        assert 1 == await settle(chain, a_settlement("1", dependents=Dependents.RELEASE))
        assert ["2"] == await claimed_ids(chain)

    async def test_others_are_left_alone(self, store: Store) -> None:
        """Other targets, and the same id in another instance."""
        await add_targets(store)
        await add_targets(store, instance=ANOTHER_INSTANCE)
        await add_pending(store, planned("1", "101"), planned("2", "102"))
        await add_pending(store, planned("3", "101"), instance=ANOTHER_INSTANCE)
        await delete_target(store, "101")

        assert {"1": "CANCELLED", "2": "PENDING"} == await states(store)
        assert {"3": "PENDING"} == await states(store, instance=ANOTHER_INSTANCE)

    async def test_what_depended_on_it_is_due(self, chain: Store) -> None:
        """There is nothing left in front."""
        await delete_target(chain, "101", at=LATER)

        assert LATER == (await log_of(chain, "2")).next_attempt_at
        assert ["2"] == await claimed_ids(chain, now=LATER)

    async def test_what_depended_on_one_in_the_middle_moves_up(self, chain: Store) -> None:
        """It depends on what the deleted one depended on."""
        await delete_target(chain, "102")
        claimed = await claim(chain)

        assert [("1", True)] == [(delivery.id, delivery.has_dependents) for delivery in claimed]
        await settle(chain, a_settlement("1", dependents=Dependents.RELEASE))
        assert ["3"] == await claimed_ids(chain)

    @pytest.mark.parametrize("order", ["102 103", "103 102", "101 102", "102 101", "104 103"])
    async def test_several_of_one_chain_may_be_deleted(self, chain: Store, order: str) -> None:
        """In any order: the others are called in theirs."""
        deleted = order.split()
        for target in deleted:
            await delete_target(chain, target)
        called = []
        for _ in range(2):
            [claimed] = await claim(chain)
            called.append(claimed.target_id)
            await settle(chain, a_settlement(claimed.id, dependents=Dependents.RELEASE))

        assert sorted({"101", "102", "103", "104"} - set(deleted)) == called

    async def test_what_moved_up_is_cancelled_with_the_one_in_front(self, chain: Store) -> None:
        """An interrupting target that dies takes all its dependents."""
        await delete_target(chain, "102")
        await claim(chain)
        await settle(chain, a_settlement("1", DeliveryState.DEAD, dependents=Dependents.CANCEL))

        assert {"1": "DEAD", "2": "CANCELLED", "3": "CANCELLED", "4": "CANCELLED"} == await states(
            chain
        )

    async def test_what_depended_on_a_deleted_target_continues(self, chain: Store) -> None:
        """It would wait for ever."""
        await claim(chain)
        await settle(chain, a_settlement("1", DeliveryState.RETRYING, due_at=LATER))
        await delete_target(chain, "101")

        assert "CANCELLED" == (await states(chain))["1"]
        assert ["2"] == await claimed_ids(chain)

    async def test_two_chains_move_up_each_on_its_own(self, chain: Store) -> None:
        """One deletion reaches every event."""
        await add_pending(chain, *planned_chain(("11", "102"), ("12", "105")), event="event-2")
        await delete_target(chain, "102")

        assert ["1", "12"] == await claimed_ids(chain)

    async def test_deleting_what_is_not_there_changes_nothing(self, chain: Store) -> None:
        """Another instance's administrator does not reach this one's deliveries."""
        await delete_target(chain, "101", instance=ANOTHER_INSTANCE)
        await delete_target(chain, "999")

        assert {"PENDING"} == set((await states(chain)).values())
        assert ["1"] == await claimed_ids(chain)
