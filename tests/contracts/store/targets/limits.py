"""How every store keeps the limits of target policies: concurrency, rate and breaker."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from contracts.store.delivery.target_queues import add_many_pending, set_policy
from contracts.store.steps import (
    WORKER,
    add_targets,
    claim,
    claimed_ids,
    delete_target,
    next_due,
    release_claims,
    settle,
)
from contracts.store.store import StoreContract
from outrider.domain.calls.request import Stage
from outrider.domain.delivery.circuit_breaker import BreakerChange
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.ids import TargetId
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import Breaker, TargetPolicy
from outrider.usecases.ports.store import Store
from support.builders import INSTANCE, a_settlement, an_attempt
from support.runtime import NOW

SECOND = timedelta(seconds=1)
OPEN_FOR = timedelta(seconds=30)
BREAKER = TargetPolicy(breaker=Breaker(3, OPEN_FOR))


async def end_next(
    store: Store,
    outcome: Outcome,
    now: datetime,
    *,
    due_at: datetime | None = None,
    stage: Stage = Stage.ANSWER,
) -> BreakerChange | None:
    """Attempt the next delivery; return what that did to the breaker."""
    [claimed] = await claim(store, now=now, limit=1)
    attempt = an_attempt(
        claimed.attempt_number, outcome, started_at=now, duration=SECOND, stage=stage
    )
    is_success = outcome is Outcome.ACCEPTED
    state = DeliveryState.DELIVERED if is_success else DeliveryState.RETRYING
    due_at = None if is_success else due_at or now + timedelta(days=1)
    settlement = a_settlement(claimed.id, state, attempt=attempt, due_at=due_at)
    settled = await store.write(lambda unit: unit.deliveries.settle(WORKER, [settlement], now))
    return next((notable.breaker for notable in settled.notable), None)


async def open_until(store: Store) -> datetime | None:
    """Until when the breaker of target 101 is open."""
    stored = await store.read(lambda unit: unit.policies.get(INSTANCE, TargetId("101")))
    assert stored is not None
    return stored.breaker_open_until


class LimitsContract(StoreContract):
    """Each test has the target 101, with 40 deliveries, and 102."""

    @pytest.fixture(autouse=True)
    async def backlog(self, store: Store) -> None:
        """Pending deliveries of a target with limits."""
        await add_targets(store)
        await add_many_pending(store, 40, first=100)

    async def test_no_more_than_allowed_are_attempted_at_the_same_time(self, store: Store) -> None:
        """By all workers together, whether the limit came before the backlog or after it."""
        await set_policy(store, TargetPolicy(max_concurrency=3))
        first = await claimed_ids(store)
        another = await claimed_ids(store, "worker-2")
        asked = await next_due(store)
        await settle(store, a_settlement(first[0]))

        assert (["100", "101", "102"], [], None) == (first, another, asked)
        assert NOW == await next_due(store)
        assert ["103"] == await claimed_ids(store, "worker-2")

    async def test_a_released_claim_frees_capacity(self, store: Store) -> None:
        """Its delivery is not attempted any more."""
        await set_policy(store, TargetPolicy(max_concurrency=1))
        [claimed] = await claimed_ids(store)
        await release_claims(store, claimed)

        assert [claimed] == await claimed_ids(store, "worker-2")

    async def test_a_limit_that_is_lifted_is_gone(self, store: Store) -> None:
        """Immediately, for all that waited."""
        await set_policy(store, TargetPolicy(max_concurrency=1))
        await claimed_ids(store)
        await set_policy(store, TargetPolicy())

        assert 39 == len(await claimed_ids(store))

    async def test_a_rate_is_kept_by_all_workers_together(self, store: Store) -> None:
        """10 a second: two at first, then one each 100 ms, and never a second's worth together."""
        await set_policy(store, TargetPolicy(rate_per_second=10))
        taken = []
        for step in range(21):
            now = NOW + step * timedelta(milliseconds=50, microseconds=1)
            taken.append(len(await claimed_ids(store, f"worker-{step % 2}", now=now)))

        assert [2, 0, 1, 0, 1] == taken[:5]
        assert 12 == sum(taken)
        assert 2 == len(await claimed_ids(store, now=NOW + timedelta(hours=1)))

    async def test_a_rate_sets_when_the_next_is_due(self, store: Store) -> None:
        """No worker polls in vain meanwhile."""
        await set_policy(store, TargetPolicy(rate_per_second=0.5))
        await claimed_ids(store)
        again = await next_due(store)

        assert again is not None
        assert timedelta(0) <= again - NOW - 2 * SECOND <= timedelta(milliseconds=1)
        assert [] == await claimed_ids(store, now=NOW + SECOND)
        assert 1 == len(await claimed_ids(store, now=again))

    async def test_a_breaker_opens_after_failures_in_a_row(self, store: Store) -> None:
        """A response between them restarts the count; a 4xx is a response."""
        await set_policy(store, BREAKER)
        outcomes = [
            Outcome.FAILED,
            Outcome.UNREACHABLE,
            Outcome.REFUSED,
            Outcome.OVERLOADED,
            Outcome.FAILED,
            Outcome.UNREACHABLE,
        ]
        changes = [await end_next(store, outcome, NOW) for outcome in outcomes]

        assert [None] * 5 + [BreakerChange.OPENED] == changes
        assert [] == await claimed_ids(store, now=NOW + OPEN_FOR)
        # The last attempt took a second.
        assert NOW + SECOND + OPEN_FOR == await next_due(store)

    @pytest.mark.parametrize("outcome", [Outcome.BLOCKED, Outcome.BUILD_FAILED, Outcome.LOST])
    async def test_what_is_our_own_fault_opens_no_breaker(
        self, store: Store, outcome: Outcome
    ) -> None:
        """The receiver has not even seen it."""
        await set_policy(store, BREAKER)

        assert [None] * 5 == [await end_next(store, outcome, NOW) for _ in range(5)]

    async def test_what_is_a_proxys_fault_opens_no_breaker(self, store: Store) -> None:
        """It stands between, and other targets have the same one."""
        await set_policy(store, BREAKER)
        changes = [
            await end_next(store, Outcome.UNREACHABLE, NOW, stage=Stage.PROXY) for _ in range(5)
        ]

        assert [None] * 5 == changes

    async def test_an_open_breaker_is_shown_with_the_policy(self, store: Store) -> None:
        """It tells an operator why no call arrives, and until when."""
        await set_policy(store, BREAKER)
        closed = await open_until(store)
        for _ in range(3):
            await end_next(store, Outcome.FAILED, NOW)
        opened = await open_until(store)
        await end_next(store, Outcome.ACCEPTED, NOW + SECOND + OPEN_FOR)

        assert (None, NOW + SECOND + OPEN_FOR) == (closed, opened)
        assert await open_until(store) is None

    async def test_half_open_one_at_a_time_may_try(self, store: Store) -> None:
        """A failed probe opens it again, quietly; an accepted one closes it, and calls start slowly."""
        await set_policy(store, BREAKER)
        for _ in range(3):
            await end_next(store, Outcome.FAILED, NOW)
        probe_at = NOW + SECOND + OPEN_FOR
        failed = await end_next(store, Outcome.FAILED, probe_at)
        still_open = await claimed_ids(store, now=probe_at + OPEN_FOR)
        again_at = probe_at + SECOND + OPEN_FOR
        [probe] = await claimed_ids(store, now=again_at)
        meanwhile = await claimed_ids(store, now=again_at)
        await release_claims(store, probe, now=again_at)
        closed = await end_next(store, Outcome.ACCEPTED, again_at)

        assert (None, [], []) == (failed, still_open, meanwhile)
        assert BreakerChange.CLOSED is closed
        assert 2 == len(await claimed_ids(store, now=again_at))

    async def test_what_was_in_progress_when_it_opened_does_not_close_it(
        self, store: Store
    ) -> None:
        """It began before the failures did."""
        await set_policy(store, BREAKER)
        [early] = await claim(store, limit=1)
        for _ in range(3):
            await end_next(store, Outcome.FAILED, NOW)
        await settle(store, a_settlement(early.id), now=NOW + SECOND)

        assert [] == await claimed_ids(store, now=NOW + SECOND)

    async def test_another_policy_closes_the_breaker(self, store: Store) -> None:
        """The operator has repaired it; the same numbers again change nothing."""
        await set_policy(store, BREAKER)
        for _ in range(3):
            await end_next(store, Outcome.FAILED, NOW)
        await set_policy(store, replace(BREAKER, check_async_status=True))
        same = await claimed_ids(store)
        await set_policy(store, TargetPolicy(breaker=Breaker(4, OPEN_FOR)))

        assert [] == same
        assert 37 == len(await claimed_ids(store))

    async def test_limits_go_with_their_target(self, store: Store) -> None:
        """No target queue is left that a worker would read."""
        await set_policy(store, TargetPolicy(max_concurrency=1))
        [claimed] = await claimed_ids(store)
        await delete_target(store, "101")
        await settle(store, a_settlement(claimed))

        assert None is await next_due(store)
