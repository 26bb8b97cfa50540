"""How every store keeps events of one aggregate in order, where a policy asks for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.store.delivery.target_queues import set_policy
from contracts.store.steps import (
    add_targets,
    claimed_ids,
    delete_target,
    log_of,
    next_due,
    release_claims,
    settle,
)
from contracts.store.store import StoreContract
from outrider.domain.delivery.delivery import DeliveryState, Dependents
from outrider.domain.delivery.replay import Replay
from outrider.domain.ids import DeliveryId, InstanceId
from outrider.domain.targets.policy import OnDead, Ordering, TargetPolicy
from outrider.usecases.ports.store import Store
from support.builders import (
    INSTANCE,
    a_settlement,
    a_stored_event,
    an_event,
    planned,
    planned_chain,
)
from support.runtime import NOW

HOUR = timedelta(hours=1)
SKIPS = TargetPolicy(ordering=Ordering.BY_AGGREGATE)
HALTS = TargetPolicy(ordering=Ordering.BY_AGGREGATE, on_dead=OnDead.HALT)
DEAD = DeliveryState.DEAD


async def happens(
    store: Store, number: str, aggregate: str, *, instance: InstanceId = INSTANCE
) -> None:
    """An event of an aggregate, with a delivery to target 101; empty: of none."""
    event = an_event(f"event-{number}", aggregate_id=aggregate)
    stored = a_stored_event(planned(number), event=event, instance=instance)
    await store.write(lambda unit: unit.events.append(instance, [stored], NOW))


async def happens_in_a_chain(store: Store, first: str) -> None:
    """An event of aggregate a: a delivery to 101, and one with the next number, after it, to 102."""
    chain = planned_chain((first, "101"), (str(int(first) + 1), "102"))
    event = an_event(f"event-{first}", aggregate_id="a")
    stored = a_stored_event(*chain, event=event)
    await store.write(lambda unit: unit.events.append(INSTANCE, [stored], NOW))


class OrderingContract(StoreContract):
    """Each test has the targets 101, 102 and 103."""

    @pytest.fixture(autouse=True)
    async def targets(self, store: Store) -> None:
        """The targets whose events may be in order."""
        await add_targets(store)

    async def test_an_aggregate_has_one_attempt_at_a_time(self, store: Store) -> None:
        """The next one begins when the one in front is final, retries and all."""
        await set_policy(store, SKIPS)
        for number, aggregate in (("1", "a"), ("2", "a"), ("3", "b"), ("4", "a"), ("5", "")):
            await happens(store, number, aggregate)
        first = await claimed_ids(store)
        waiting = await log_of(store, "2")
        await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=NOW + HOUR))
        during = await claimed_ids(store)

        assert (["1", "3", "5"], []) == (first, during)
        assert (DeliveryState.PENDING, None) == (waiting.state, waiting.next_attempt_at)
        assert NOW + HOUR == await next_due(store)

        await release_claims(store, *await claimed_ids(store, now=NOW + HOUR), now=NOW + HOUR)
        again = await claimed_ids(store, now=NOW + HOUR)
        log = await log_of(store, "1")

        assert (["1"], 1) == (again, log.attempt_count)

    async def test_each_end_lets_the_next_one_go(self, store: Store) -> None:
        """Delivered or cancelled, and dead unless the policy halts on dead."""
        await set_policy(store, SKIPS)
        for number in ("1", "2", "3"):
            await happens(store, number, "a")
        seen = []
        for state in (DeliveryState.DELIVERED, DEAD, DeliveryState.CANCELLED):
            [claimed] = await claimed_ids(store)
            seen.append(claimed)
            await settle(store, a_settlement(claimed, state))

        assert ["1", "2", "3"] == seen
        assert None is await next_due(store)

    async def test_a_dead_one_that_halts_stops_its_aggregate_alone(self, store: Store) -> None:
        """Also for what is published later; its replay takes its place."""
        await set_policy(store, HALTS)
        await happens(store, "1", "a")
        await happens(store, "2", "a")
        await claimed_ids(store)
        await settle(store, a_settlement("1", DEAD))
        await happens(store, "3", "a")
        await happens(store, "4", "b")

        assert ["4"] == await claimed_ids(store)

        await happens(store, "5", "")
        is_moved = await self._resume_key(store, "1", "5")
        replay = await claimed_ids(store)
        await settle(store, a_settlement("5"))

        assert (True, ["5"]) == (is_moved, replay)
        assert ["2"] == await claimed_ids(store)
        assert not await self._resume_key(store, "1", "4")

    async def test_a_policy_that_halts_no_longer_lets_them_go(self, store: Store) -> None:
        """The operator has decided."""
        await set_policy(store, HALTS)
        await happens(store, "1", "a")
        await happens(store, "2", "a")
        await claimed_ids(store)
        await settle(store, a_settlement("1", DEAD))
        await set_policy(store, SKIPS)

        assert ["2"] == await claimed_ids(store)

    async def test_order_that_is_switched_on_counts_for_what_is_there(self, store: Store) -> None:
        """A retry keeps its time, and its aggregate waits for it."""
        await happens(store, "1", "a")
        await claimed_ids(store)
        await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=NOW + HOUR))
        for number, aggregate in (("2", "a"), ("3", "b"), ("4", "b")):
            await happens(store, number, aggregate)
        await set_policy(store, SKIPS)
        await happens(store, "5", "a")

        assert ["3"] == await claimed_ids(store)
        assert ["1"] == await claimed_ids(store, now=NOW + HOUR)

    async def test_order_that_is_switched_off_keeps_none_waiting(self, store: Store) -> None:
        """All that was waiting becomes due immediately."""
        await set_policy(store, HALTS)
        for number in ("1", "2", "3"):
            await happens(store, number, "a")
        await set_policy(store, TargetPolicy())

        assert ["1", "2", "3"] == await claimed_ids(store)

    async def test_one_behind_two_waits_for_both(self, store: Store) -> None:
        """For its execution's target in front, and for its aggregate."""
        await set_policy(store, SKIPS, "102")
        for first in ("1", "3"):
            await happens_in_a_chain(store, first)
        await claimed_ids(store)
        await settle(store, a_settlement("3", dependents=Dependents.RELEASE))
        within_its_aggregate = await claimed_ids(store)
        await settle(store, a_settlement("1", dependents=Dependents.RELEASE))

        assert [] == within_its_aggregate
        assert ["2"] == await claimed_ids(store)

        await settle(store, a_settlement("2"))

        assert ["4"] == await claimed_ids(store)

    async def test_one_that_is_cancelled_keeps_none_waiting(self, store: Store) -> None:
        """A target in front of it died; the next event of the aggregate is not to blame."""
        await set_policy(store, SKIPS, "102")
        for first in ("1", "3"):
            await happens_in_a_chain(store, first)
        await claimed_ids(store)
        await settle(store, a_settlement("1", DEAD, dependents=Dependents.CANCEL))
        await settle(store, a_settlement("3", dependents=Dependents.RELEASE))

        assert ["4"] == await claimed_ids(store)

    async def test_a_deleted_target_leaves_no_ordering_key(self, store: Store) -> None:
        """Not even for what is attempted, or was halted."""
        await set_policy(store, HALTS)
        for number in ("1", "2", "3"):
            await happens(store, number, "a" if number != "3" else "b")
        await claimed_ids(store)
        await settle(store, a_settlement("1", DEAD))
        await delete_target(store, "101")
        await settle(store, a_settlement("3", DeliveryState.RETRYING, due_at=NOW))

        assert None is await next_due(store)

    @staticmethod
    async def _resume_key(store: Store, dead: str, replay: str) -> bool:
        return await store.write(
            lambda unit: bool(
                unit.deliveries.resume_keys(
                    INSTANCE, [Replay(DeliveryId(replay), DeliveryId(dead))]
                )
            )
        )
