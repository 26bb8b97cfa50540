"""What every store does when more is due than there is capacity for: equal shares."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from contracts.store.steps import WORKER, add_pending, add_targets, claimed_ids, next_due, settle
from contracts.store.store import StoreContract
from contracts.store.targets.policies import pause, resume
from outrider.domain.delivery.target_queue import NO_CLAIM_LIMITS, ClaimLimits
from outrider.domain.ids import TargetId
from outrider.domain.targets.policy import TargetPolicy
from outrider.usecases.ports.store import Store
from support.builders import INSTANCE, a_settlement, planned
from support.runtime import NOW

SECOND = timedelta(seconds=1)
# A limit that is never reached: enough for a target queue.
LOOSE = TargetPolicy(max_concurrency=1000)


async def set_policy(
    store: Store, policy: TargetPolicy, target: str = "101", *, now: datetime = NOW
) -> None:
    """Set a target's policy."""
    await store.write(lambda unit: unit.policies.put(INSTANCE, TargetId(target), policy, now))


async def add_many_pending(
    store: Store, count: int, target: str = "101", *, first: int, now: datetime = NOW
) -> None:
    """That many deliveries, of one event."""
    numbers = range(first, first + count)
    await add_pending(
        store, *(planned(str(n), target) for n in numbers), event=f"e-{first}", now=now
    )


async def claimed_of(
    store: Store, limit: int, *, claim_limits: ClaimLimits = NO_CLAIM_LIMITS, now: datetime = NOW
) -> Counter[str]:
    """Take what is due; return how many of each target."""
    claimed = await store.write(
        lambda unit: unit.deliveries.claim(WORKER, now, limit, claim_limits)
    )
    return Counter(str(delivery.target_id) for delivery in claimed)


class TargetQueuesContract(StoreContract):
    """Each test has the targets 101, 102 and 103."""

    @pytest.fixture(autouse=True)
    async def targets(self, store: Store) -> None:
        """The targets of the deliveries."""
        await add_targets(store)

    async def test_target_queues_and_all_others_get_equal_shares(self, store: Store) -> None:
        """However long one of the queues is."""
        await set_policy(store, LOOSE, "101")
        await set_policy(store, LOOSE, "102")
        await add_many_pending(store, 50, "101", first=100)
        await add_many_pending(store, 30, "102", first=200)
        await add_many_pending(store, 40, "103", first=300)

        assert {"101": 5, "102": 5, "103": 5} == await claimed_of(store, 15)

    async def test_what_one_leaves_over_goes_to_the_others(self, store: Store) -> None:
        """Nothing is left while there is capacity."""
        await set_policy(store, LOOSE, "101")
        await add_many_pending(store, 2, "101", first=100)
        await add_many_pending(store, 40, "103", first=300)

        assert {"101": 2, "103": 18} == await claimed_of(store, 20)
        assert {"103": 20} == await claimed_of(store, 20)

    async def test_with_capacity_for_one_they_alternate(self, store: Store) -> None:
        """Neither target queues nor the shared queue starve when a worker takes one at a time."""
        await set_policy(store, LOOSE, "101")
        await set_policy(store, LOOSE, "102")
        for first, target in ((100, "101"), (200, "102"), (300, "103")):
            await add_many_pending(store, 20, target, first=first)
        claimed: Counter[str] = Counter()
        for step in range(12):
            claimed += await claimed_of(store, 1, now=NOW + step * SECOND)

        assert {"101": 4, "102": 4, "103": 4} == claimed

    async def test_a_target_that_floods_the_queue_gets_a_target_queue(self, store: Store) -> None:
        """A target with a million deliveries lets those of others pass that came later."""
        await add_many_pending(store, 500, "101", first=1000)
        await add_many_pending(store, 3, "102", first=200, now=NOW)
        claimed = await claimed_of(store, 16)

        assert 3 == claimed["102"]
        assert 16 == claimed.total()

    async def test_alone_it_gets_everything(self, store: Store) -> None:
        """There is no other to be fair to."""
        await add_many_pending(store, 100, "101", first=1000)

        assert {"101": 16} == await claimed_of(store, 16)

    async def test_no_target_gets_more_than_the_worker_allows(self, store: Store) -> None:
        """In a target queue or not; what is behind a limited target is found."""
        await set_policy(store, LOOSE, "101")
        await add_many_pending(store, 30, "101", first=100)
        await add_many_pending(store, 30, "102", first=200)
        await add_many_pending(store, 30, "103", first=300)
        claim_limits = ClaimLimits(
            10, {(INSTANCE, TargetId("101")): 2, (INSTANCE, TargetId("102")): 0}
        )

        assert {"101": 2, "103": 10} == await claimed_of(store, 20, claim_limits=claim_limits)

    async def test_a_target_that_gets_no_more_wakes_no_worker(self, store: Store) -> None:
        """A worker whose target is full would ask again and again."""
        await set_policy(store, LOOSE, "101")
        await add_many_pending(store, 3, "101", first=100)
        await add_many_pending(store, 3, "102", first=200)
        full = {(INSTANCE, TargetId("101")), (INSTANCE, TargetId("102"))}
        later = NOW + SECOND
        await add_many_pending(store, 1, "103", first=300, now=later)

        assert NOW == await next_due(store)
        assert later == await store.read(lambda unit: unit.deliveries.next_due(full))

    async def test_suspended_are_paused_targets_alone(self, store: Store) -> None:
        """What was claimed for them is better released than attempted."""
        target_keys = {(INSTANCE, TargetId(target)) for target in ("101", "102", "103")}
        await set_policy(store, LOOSE, "102")
        await pause(store, "101")

        assert {(INSTANCE, "101")} == await store.read(
            lambda unit: unit.deliveries.suspended(target_keys, NOW)
        )

    async def test_a_resumed_target_gets_more_with_each_success(self, store: Store) -> None:
        """A receiver that comes back from an outage does not get all that it missed at the same time."""
        await pause(store)
        await add_many_pending(store, 40, "101", first=100)
        await resume(store)
        seen = []
        for _ in range(4):
            ids = await claimed_ids(store, limit=100)
            seen.append(len(ids))
            await settle(store, *(a_settlement(delivery_id) for delivery_id in ids))

        assert [1, 2, 4, 8] == seen
