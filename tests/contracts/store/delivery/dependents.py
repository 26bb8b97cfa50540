"""How every store keeps the order inside an execution."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.store.steps import (
    add_targets,
    claim,
    claimed_ids,
    delete_target,
    log_of,
    next_due,
    owe,
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
    planned_line,
)
from support.runtime import NOW

LATER = NOW + timedelta(hours=1)
LINE = planned_line(("1", "101"), ("2", "102"), ("3", "103"), ("4", "104"))


class LineContract(StoreContract):
    """A contract about deliveries that wait for each other."""

    @pytest.fixture
    async def line(self, store: Store) -> Store:
        """Four deliveries of one execution, each behind the other, to targets 101 to 104."""
        await add_targets(store, *(a_target(str(number)) for number in range(101, 106)))
        await owe(store, *LINE)
        return store


class DependentsContract(LineContract):
    """Who waits, who is let go, who is cancelled."""

    async def test_only_the_first_in_line_is_due(self, line: Store) -> None:
        """First attempts happen in the order of the list."""
        assert ["1"] == await claimed_ids(line)
        assert [] == await claimed_ids(line, now=LATER)
        assert (await log_of(line, "2")).next_attempt_at is None

    @pytest.mark.parametrize(
        "state", [DeliveryState.DELIVERED, DeliveryState.RETRYING, DeliveryState.DEAD]
    )
    async def test_the_next_is_let_go_when_the_attempt_in_front_has_ended(
        self, line: Store, state: DeliveryState
    ) -> None:
        """Whatever became of it; and the one behind the next waits on."""
        await claim(line)
        await settle(line, a_settlement("1", state, due_at=LATER, dependents=Dependents.RELEASE))

        assert NOW == (await log_of(line, "2")).next_attempt_at
        assert ["2"] == await claimed_ids(line)

    async def test_what_is_let_go_is_due_at_once(self, line: Store) -> None:
        """At the time of settling, not of the attempt, nor of the event."""
        await claim(line)
        await settle(line, a_settlement("1", dependents=Dependents.RELEASE), now=LATER)

        assert LATER == await next_due(line)
        assert [] == await claimed_ids(line, now=LATER - timedelta(microseconds=1))
        assert ["2"] == await claimed_ids(line, now=LATER)

    async def test_who_is_held_waits_through_all_retries(self, line: Store) -> None:
        """A failed target that interrupts holds the ones behind it until it is delivered."""
        for number in (1, 2, 3):
            assert ["1"] == await claimed_ids(line, now=LATER)
            failed = an_attempt(number, Outcome.FAILED)
            retry = a_settlement("1", DeliveryState.RETRYING, attempt=failed, due_at=NOW)
            await settle(line, retry, now=LATER)

        assert ["1"] == await claimed_ids(line, now=LATER)
        delivered = a_settlement("1", attempt=an_attempt(4), dependents=Dependents.RELEASE)
        await settle(line, delivered)
        assert ["2"] == await claimed_ids(line, now=LATER)

    async def test_cancelling_reaches_the_end_of_the_line(self, line: Store) -> None:
        """Not only who stands directly behind."""
        await claim(line)
        await settle(
            line,
            a_settlement("1", DeliveryState.DEAD, dependents=Dependents.CANCEL),
            now=LATER,
        )

        assert {
            "1": "DEAD",
            "2": "CANCELLED",
            "3": "CANCELLED",
            "4": "CANCELLED",
        } == await states(line)
        assert {LATER} == {(await log_of(line, each)).finished_at for each in ("2", "3", "4")}
        assert None is await next_due(line)

    async def test_cancelling_leaves_who_was_let_go(self, line: Store) -> None:
        """What has begun is not undone, nor what waits behind it."""
        await claim(line)
        await settle(
            line,
            a_settlement("1", DeliveryState.RETRYING, due_at=NOW, dependents=Dependents.RELEASE),
        )
        await claim(line)
        last = an_attempt(2, Outcome.FAILED)
        dead = a_settlement("1", DeliveryState.DEAD, attempt=last, dependents=Dependents.CANCEL)
        await settle(line, dead)

        assert {"1": "DEAD", "2": "DELIVERING", "3": "PENDING", "4": "PENDING"} == await states(
            line
        )

    async def test_cancelling_leaves_other_events_alone(self, line: Store) -> None:
        """Each event has a line of its own."""
        await owe(line, *planned_line(("11", "101"), ("12", "102")), event="event-2")
        await claim(line)
        await settle(line, a_settlement("1", DeliveryState.DEAD, dependents=Dependents.CANCEL))
        await settle(line, a_settlement("11", dependents=Dependents.RELEASE))

        assert ["12"] == await claimed_ids(line)

    async def test_several_may_wait_for_one(self, store: Store) -> None:
        """Nobody waits for a rest_async target, so the one behind it waits for what is in front."""
        await add_targets(store)
        front = planned("1", "101", has_dependents=True)
        behind = (planned("2", "102", depends_on="1"), planned("3", "103", depends_on="1"))
        await owe(store, front, *behind)
        await claim(store)
        await settle(store, a_settlement("1", dependents=Dependents.RELEASE))

        assert ["2", "3"] == await claimed_ids(store)

    async def test_giving_back_lets_nobody_go(self, line: Store) -> None:
        """No attempt has ended."""
        await claim(line)
        await release_claims(line, "1")

        assert ["1"] == await claimed_ids(line)

    async def test_waiting_survives_the_reading_of_the_log(self, line: Store) -> None:
        """A line of four is worked off in four rounds, in order."""
        rounds = []
        for _ in LINE:
            [each] = await claimed_ids(line)
            rounds.append(each)
            await settle(line, a_settlement(each, dependents=Dependents.RELEASE))

        assert ["1", "2", "3", "4"] == rounds
        assert {"DELIVERED"} == set((await states(line)).values())


class DeletedTargetContract(LineContract):
    """What deleting a target does to what it is owed, and to those behind."""

    async def test_open_deliveries_are_cancelled(self, store: Store) -> None:
        """Whether they were never tried or are to be tried again."""
        await add_targets(store)
        await owe(store, planned("1"), planned("2"))
        await claim(store, limit=1)
        await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=LATER))
        await delete_target(store, "101", at=LATER)

        assert {"1": "CANCELLED", "2": "CANCELLED"} == await states(store)
        for each in ("1", "2"):
            log = await log_of(store, each)
            assert (LATER, None) == (log.finished_at, log.next_attempt_at)
        assert 1 == (await log_of(store, "1")).attempt_count
        assert None is await next_due(store)

    async def test_what_has_ended_is_left_as_it_ended(self, store: Store) -> None:
        """Deleting a target does not rewrite its history."""
        await add_targets(store)
        await owe(store, planned("1"), planned("2"))
        await claim(store)
        await settle(store, a_settlement("1"), a_settlement("2", DeliveryState.DEAD))
        await delete_target(store, "101", at=LATER)

        assert {"1": "DELIVERED", "2": "DEAD"} == await states(store)
        assert NOW == (await log_of(store, "1")).finished_at

    async def test_what_is_being_attempted_ends_with_that_attempt(self, line: Store) -> None:
        """The call is on its way; who waits for it waits on."""
        await claim(line)
        await delete_target(line, "101")

        assert [] == await claimed_ids(line)
        assert "DELIVERING" == (await states(line))["1"]
        assert 1 == await settle(line, a_settlement("1", dependents=Dependents.RELEASE))
        assert ["2"] == await claimed_ids(line)

    async def test_others_are_left_alone(self, store: Store) -> None:
        """Other targets, and the same id in another instance."""
        await add_targets(store)
        await add_targets(store, instance=ANOTHER_INSTANCE)
        await owe(store, planned("1", "101"), planned("2", "102"))
        await owe(store, planned("3", "101"), instance=ANOTHER_INSTANCE)
        await delete_target(store, "101")

        assert {"1": "CANCELLED", "2": "PENDING"} == await states(store)
        assert {"3": "PENDING"} == await states(store, instance=ANOTHER_INSTANCE)

    async def test_who_waited_for_it_is_due(self, line: Store) -> None:
        """There is nothing left in front."""
        await delete_target(line, "101", at=LATER)

        assert LATER == (await log_of(line, "2")).next_attempt_at
        assert ["2"] == await claimed_ids(line, now=LATER)

    async def test_who_waited_for_one_in_the_middle_moves_up(self, line: Store) -> None:
        """It waits for what the deleted one waited for."""
        await delete_target(line, "102")
        claimed = await claim(line)

        assert [("1", True)] == [(each.id, each.has_dependents) for each in claimed]
        await settle(line, a_settlement("1", dependents=Dependents.RELEASE))
        assert ["3"] == await claimed_ids(line)

    @pytest.mark.parametrize("order", ["102 103", "103 102", "101 102", "102 101", "104 103"])
    async def test_several_in_one_line_may_be_deleted(self, line: Store, order: str) -> None:
        """In any order: the others are called in theirs."""
        deleted = order.split()
        for target in deleted:
            await delete_target(line, target)
        called = []
        for _ in range(2):
            [claimed] = await claim(line)
            called.append(claimed.target_id)
            await settle(line, a_settlement(claimed.id, dependents=Dependents.RELEASE))

        assert sorted({"101", "102", "103", "104"} - set(deleted)) == called

    async def test_who_moved_up_is_cancelled_with_the_one_in_front(self, line: Store) -> None:
        """An interrupting target that dies takes all that are behind it."""
        await delete_target(line, "102")
        await claim(line)
        await settle(line, a_settlement("1", DeliveryState.DEAD, dependents=Dependents.CANCEL))

        assert {"1": "DEAD", "2": "CANCELLED", "3": "CANCELLED", "4": "CANCELLED"} == await states(
            line
        )

    async def test_who_was_held_by_a_deleted_target_is_let_go(self, line: Store) -> None:
        """It would be held for ever."""
        await claim(line)
        await settle(line, a_settlement("1", DeliveryState.RETRYING, due_at=LATER))
        await delete_target(line, "101")

        assert "CANCELLED" == (await states(line))["1"]
        assert ["2"] == await claimed_ids(line)

    async def test_two_lines_move_up_each_on_its_own(self, line: Store) -> None:
        """One deletion reaches every event."""
        await owe(line, *planned_line(("11", "102"), ("12", "105")), event="event-2")
        await delete_target(line, "102")

        assert ["1", "12"] == await claimed_ids(line)

    async def test_deleting_what_is_not_there_changes_nothing(self, line: Store) -> None:
        """Another instance's administrator does not reach this one's deliveries."""
        await delete_target(line, "101", instance=ANOTHER_INSTANCE)
        await delete_target(line, "999")

        assert {"PENDING"} == set((await states(line)).values())
        assert ["1"] == await claimed_ids(line)
