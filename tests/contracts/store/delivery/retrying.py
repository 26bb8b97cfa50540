"""What every store does with deliveries that a caller wants sooner."""

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
    settle,
)
from contracts.store.store import StoreContract
from contracts.store.targets.policies import pause, resume
from outrider.domain.delivery.delivery import DeliveryState, Dependents
from outrider.domain.delivery.replay import SkipReason, retry_skip
from outrider.domain.ids import DeliveryId, InstanceId, TargetId
from outrider.domain.targets.policy import OnDead, Ordering, TargetPolicy
from outrider.usecases.ports.store import Store, Unit
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    a_settlement,
    planned,
    planned_chain,
)
from support.runtime import NOW

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
RETRYING = DeliveryState.RETRYING


async def make_due(
    store: Store, *ids: str, now: datetime = NOW + MINUTE, instance: InstanceId = INSTANCE
) -> list[str]:
    """Make these due; the target of each that became due."""
    numbers = [DeliveryId(id_) for id_ in ids]
    targets = await store.write(lambda unit: unit.deliveries.make_due(instance, numbers, now))
    return sorted(targets)


async def skipped(store: Store, *ids: str) -> list[SkipReason | None]:
    """Why these do not become due, oldest first."""
    numbers = [DeliveryId(id_) for id_ in ids]
    entries = await store.read(lambda unit: unit.log_scans.named(INSTANCE, numbers))
    return [retry_skip(entry, NOW + MINUTE) for entry in entries]


async def fail(store: Store, *ids: str, dependents: Dependents = Dependents.WAIT) -> None:
    """Attempt what is due; these are tried again in an hour."""
    await claim(store)
    retries = [a_settlement(id_, RETRYING, due_at=NOW + HOUR, dependents=dependents) for id_ in ids]
    await settle(store, *retries)


class RetryingContract(StoreContract):
    """Each test has the targets 101, 102 and 103."""

    @pytest.fixture(autouse=True)
    async def targets(self, store: Store) -> None:
        """The targets of the deliveries."""
        await add_targets(store)

    async def test_what_waits_for_its_next_attempt_is_due_now(self, store: Store) -> None:
        """It keeps its id and its attempts, and the others keep their time."""
        await add_pending(store, planned("1"), planned("2"))
        await fail(store, "1", "2")
        before = await log_of(store, "1")

        assert (["101"], NOW + MINUTE) == (await make_due(store, "1"), await next_due(store))
        after = await log_of(store, "1")
        assert (before.attempts, RETRYING) == (after.attempts, after.state)
        assert ["1"] == await claimed_ids(store, now=NOW + MINUTE)

    async def test_what_is_due_stays_where_it_is(self, store: Store) -> None:
        """It would lose its place among those that have been due as long."""
        await add_pending(store, planned("1"))

        assert ([], [SkipReason.DUE]) == (await make_due(store, "1"), await skipped(store, "1"))
        assert NOW == (await log_of(store, "1")).next_attempt_at

    async def test_what_is_attempted_or_finished_stays_as_it_is(self, store: Store) -> None:
        """Nor is one there that was never made, or is another instance's."""
        await add_pending(store, planned("1"), planned("2"), planned("3"), planned("4"))
        await claim(store)
        await settle(store, a_settlement("2"), a_settlement("3", DeliveryState.DEAD))
        await settle(store, a_settlement("4", RETRYING, due_at=NOW + HOUR))

        assert [] == await make_due(store, "1", "2", "3", "9", "x")
        assert [] == await make_due(store, "4", instance=ANOTHER_INSTANCE)
        assert [
            SkipReason.ATTEMPT_RUNNING,
            SkipReason.FINISHED,
            SkipReason.FINISHED,
            None,
        ] == await skipped(store, "1", "2", "3", "4")
        assert [] == await claimed_ids(store, now=NOW + MINUTE)

    async def test_a_dependent_stays_behind_the_one_in_front(self, store: Store) -> None:
        """An interrupting target failed: its execution continues in order."""
        await add_pending(store, *planned_chain(("1", "101"), ("2", "102")))
        await fail(store, "1")

        assert ([], [SkipReason.WAITING]) == (await make_due(store, "2"), await skipped(store, "2"))
        assert ["101"] == await make_due(store, "1", "2")
        assert ["1"] == await claimed_ids(store, now=NOW + MINUTE)

    async def test_the_order_of_an_aggregate_holds(self, store: Store) -> None:
        """Only its first is due; behind a dead one that halts it none is."""
        policy = TargetPolicy(ordering=Ordering.BY_AGGREGATE, on_dead=OnDead.HALT)
        await store.write(lambda unit: unit.policies.put(INSTANCE, TargetId("101"), policy, NOW))
        await add_pending(store, planned("1"), event="first")
        await add_pending(store, planned("2"), event="second")
        await fail(store, "1")

        assert ["101"] == await make_due(store, "1", "2")
        assert ["1"] == await claimed_ids(store, now=NOW + MINUTE)
        await settle(store, a_settlement("1", DeliveryState.DEAD))
        assert ([], [SkipReason.WAITING]) == (await make_due(store, "2"), await skipped(store, "2"))
        assert [] == await claimed_ids(store, now=NOW + HOUR)

    async def test_a_paused_target_is_called_no_sooner(self, store: Store) -> None:
        """What was made due is attempted when the target is resumed."""
        await add_pending(store, planned("1"), planned("2"))
        await fail(store, "1", "2")
        await pause(store)
        made = await make_due(store, "1")

        assert (["101"], []) == (made, await claimed_ids(store, now=NOW + 2 * MINUTE))
        suspended = await store.read(
            lambda unit: unit.deliveries.suspended([(INSTANCE, TargetId("101"))], NOW + MINUTE)
        )
        assert {(INSTANCE, "101")} == suspended
        await resume(store)
        assert ["1"] == await claimed_ids(store, now=NOW + 2 * MINUTE)

    async def test_what_is_being_cancelled_does_not_come_back(self, store: Store) -> None:
        """A cancellation that waits for its attempt to end wins."""
        await add_pending(store, planned("1"))
        await claim(store)
        await store.write(lambda unit: unit.cancellations.cancel(INSTANCE, DeliveryId("1"), NOW))
        await settle(store, a_settlement("1", RETRYING, due_at=NOW + HOUR))

        assert [] == await make_due(store, "1")
        assert DeliveryState.CANCELLED is (await log_of(store, "1")).state

    async def test_many_are_cancelled_together(self, store: Store) -> None:
        """Those that are attempted when their attempt has failed; finished ones stay."""
        await add_pending(store, *planned_chain(("1", "101"), ("2", "102"), ("3", "103")))
        await add_pending(store, planned("4"), planned("5"), event="another")
        await claim(store)
        await settle(store, a_settlement("4"))
        ids = [DeliveryId(id_) for id_ in ("5", "4", "3", "2", "1")]

        def cancel(unit: Unit) -> int:
            return unit.cancellations.cancel_some(INSTANCE, ids, NOW)

        assert 5 == await store.write(cancel)
        retries = [a_settlement(id_, RETRYING, due_at=NOW + HOUR) for id_ in ("1", "5")]
        await settle(store, *retries)
        found = [(await log_of(store, id_)).state.name for id_ in "12345"]
        assert ["CANCELLED", "CANCELLED", "CANCELLED", "DELIVERED", "CANCELLED"] == found
        assert [] == await claimed_ids(store, now=NOW + 2 * HOUR)
