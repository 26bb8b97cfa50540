"""What every store writes when an attempt has ended."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from contracts.store.steps import (
    WORKER,
    add_pending,
    add_targets,
    claim,
    claimed_ids,
    delete_target,
    log_of,
    settle,
    states,
)
from contracts.store.store import StoreContract
from outrider.domain.calls.request import Stage
from outrider.domain.delivery.delivery import (
    BODY_PREFIX_BYTES,
    Attempt,
    DeliveryState,
    Dependents,
    Settlement,
)
from outrider.domain.ids import DeliveryId
from outrider.domain.outcome import Outcome
from outrider.usecases.ports.store import Store
from support.builders import a_settlement, an_attempt, planned, planned_chain
from support.runtime import NOW

LATER = NOW + timedelta(hours=1)
FINAL = [state for state in DeliveryState if state.is_final]
FULL = Attempt(
    number=1,
    started_at=NOW + timedelta(microseconds=1),
    duration=timedelta(seconds=269, microseconds=999_999),
    outcome=Outcome.FAILED,
    stage=Stage.ANSWER,
    status_code=599,
    error="the receiver forwarded the error 500: Größe 🪝 'quoted'",
    body_prefix=bytes(range(256)) * (BODY_PREFIX_BYTES // 256),
)


class SettlingContract(StoreContract):
    """Attempts and next states, by the worker that has claimed the delivery."""

    @pytest.fixture
    async def claimed(self, store: Store) -> Store:
        """A store whose deliveries 1, 2 and 3, to 101, 102 and 103, a worker has claimed."""
        await add_targets(store)
        await add_pending(store, planned("1", "101"), planned("2", "102"), planned("3", "103"))
        await claim(store)
        return store

    @pytest.mark.parametrize("state", FINAL)
    async def test_a_final_state_has_a_date_and_stays(
        self, claimed: Store, state: DeliveryState
    ) -> None:
        """It is not tried again, and it is not due."""
        assert 1 == await settle(claimed, a_settlement("1", state), now=LATER)
        log = await log_of(claimed, "1")

        assert (state, LATER, None) == (log.state, log.finished_at, log.next_attempt_at)
        assert [] == await claimed_ids(claimed, now=LATER + timedelta(days=365))

    async def test_a_retry_has_a_date_in_the_future(self, claimed: Store) -> None:
        """And none of having finished."""
        await settle(claimed, a_settlement("1", DeliveryState.RETRYING, due_at=LATER))
        log = await log_of(claimed, "1")

        assert (DeliveryState.RETRYING, LATER) == (log.state, log.next_attempt_at)
        assert log.finished_at is None

    async def test_an_attempt_is_kept_whole(self, claimed: Store) -> None:
        """What went wrong is read from it, days later."""
        await settle(claimed, a_settlement("1", DeliveryState.DEAD, attempt=FULL))
        log = await log_of(claimed, "1")

        assert (FULL,) == log.attempts
        assert 1 == log.attempt_count

    @pytest.mark.parametrize("outcome", Outcome)
    @pytest.mark.parametrize("stage", [Stage.BUILD, Stage.ANSWER])
    async def test_every_outcome_can_be_kept(
        self, claimed: Store, outcome: Outcome, stage: Stage
    ) -> None:
        """Also those of calls that never left."""
        attempt = an_attempt(outcome=outcome, stage=stage)
        await settle(claimed, a_settlement("1", DeliveryState.DEAD, attempt=attempt))

        assert (attempt,) == (await log_of(claimed, "1")).attempts

    async def test_attempts_are_in_order(self, claimed: Store) -> None:
        """However many there were."""
        attempts = [
            an_attempt(number, Outcome.UNREACHABLE, started_at=NOW - timedelta(seconds=number))
            for number in range(1, 13)
        ]
        for attempt in attempts:
            retry = a_settlement("1", DeliveryState.RETRYING, attempt=attempt, due_at=NOW)
            await settle(claimed, retry)
            await claim(claimed)
        log = await log_of(claimed, "1")

        assert (tuple(attempts), 12) == (log.attempts, log.attempt_count)

    async def test_a_settlement_without_an_attempt_records_none(self, claimed: Store) -> None:
        """A delivery whose target is gone was never tried."""
        gone = Settlement(DeliveryId("1"), DeliveryState.CANCELLED, None, None, Dependents.RELEASE)

        assert 1 == await settle(claimed, gone)
        log = await log_of(claimed, "1")
        assert (DeliveryState.CANCELLED, 0, ()) == (log.state, log.attempt_count, log.attempts)

    async def test_only_the_owner_settles(self, claimed: Store) -> None:
        """A worker that was thought dead writes nothing about what another has claimed now."""
        assert 0 == await settle(claimed, a_settlement("1"), owner="worker-2")
        log = await log_of(claimed, "1")

        assert (DeliveryState.DELIVERING, ()) == (log.state, log.attempts)

    async def test_a_batch_is_written_as_far_as_it_is_claimed(self, claimed: Store) -> None:
        """One lost delivery does not lose the attempts of its neighbours."""
        await add_pending(claimed, planned("4"), event="later")
        await settle(claimed, a_settlement("2"))
        batch = [a_settlement(str(number), DeliveryState.DEAD) for number in (1, 2, 3, 4, 5)]

        assert 2 == await settle(claimed, *batch)
        assert {"1": "DEAD", "2": "DELIVERED", "3": "DEAD", "4": "PENDING"} == await states(claimed)

    async def test_nothing_to_settle_is_nothing(self, claimed: Store) -> None:
        """A worker with an empty batch is no special case."""
        assert 0 == await settle(claimed)

    async def test_the_second_settlement_writes_nothing(self, claimed: Store) -> None:
        """Whether it comes in a later call or in the same."""
        dead = a_settlement("1", DeliveryState.DEAD)

        assert 1 == await settle(claimed, a_settlement("1"), dead)
        assert 0 == await settle(claimed, dead)
        log = await log_of(claimed, "1")
        assert (DeliveryState.DELIVERED, 1) == (log.state, log.attempt_count)

    async def test_of_many_settlements_one_is_written(self, claimed: Store) -> None:
        """However close together they come."""
        written = await asyncio.gather(*(settle(claimed, a_settlement("1")) for _ in range(20)))

        assert 1 == sum(written)
        assert 1 == (await log_of(claimed, "1")).attempt_count

    async def test_a_retry_for_a_deleted_target_is_a_cancellation(self, claimed: Store) -> None:
        """The attempt stays in the log; there will not be another."""
        await delete_target(claimed, "101")
        failed = an_attempt(outcome=Outcome.FAILED)
        retry = a_settlement("1", DeliveryState.RETRYING, attempt=failed, due_at=LATER)

        assert 1 == await settle(claimed, retry, now=LATER)
        log = await log_of(claimed, "1")
        assert (DeliveryState.CANCELLED, LATER, None) == (
            log.state,
            log.finished_at,
            log.next_attempt_at,
        )
        assert (failed,) == log.attempts

    @pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.DEAD])
    async def test_what_ends_with_its_attempt_ends_so_for_a_deleted_target_too(
        self, claimed: Store, state: DeliveryState
    ) -> None:
        """The log tells what the receiver did, not what happened to the target since."""
        await delete_target(claimed, "101")
        await settle(claimed, a_settlement("1", state))

        assert state is (await log_of(claimed, "1")).state

    async def test_cancelling_a_deleted_targets_retry_makes_dependents_due(
        self, store: Store
    ) -> None:
        """Even when they were to wait: it will never be delivered."""
        await add_targets(store)
        await add_pending(store, *planned_chain(("1", "101"), ("2", "102")))
        await claim(store)
        await delete_target(store, "101")
        retry = a_settlement("1", DeliveryState.RETRYING, due_at=LATER, dependents=Dependents.WAIT)
        await settle(store, retry, owner=WORKER)

        assert {"1": "CANCELLED", "2": "PENDING"} == await states(store)
        assert ["2"] == await claimed_ids(store)
