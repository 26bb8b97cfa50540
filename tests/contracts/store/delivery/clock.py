"""What every store does when the clock goes back: nothing waits for the time that it showed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from contracts.store.delivery.leases import orphaned_ids, renew
from contracts.store.delivery.target_queues import set_policy
from contracts.store.steps import (
    WORKER,
    add_pending,
    add_targets,
    claim,
    claimed_ids,
    next_due,
    release_claims,
    settle,
)
from contracts.store.store import StoreContract
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import Breaker, TargetPolicy
from outrider.usecases.ports.store import Store
from support.builders import a_settlement, an_attempt, planned
from support.runtime import NOW

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
LATER = NOW + HOUR
LEASE = timedelta(seconds=15)


async def go_back(store: Store) -> None:
    """The clock showed `LATER`, and shows `NOW`."""
    await store.write(lambda unit: unit.deliveries.clock_went_back(NOW))


async def tidy(store: Store, now: datetime = NOW) -> None:
    """What every rescuer does."""
    await store.write(lambda unit: unit.leases.tidy(now, now + LEASE))


class ClockContract(StoreContract):
    """Each test has the targets 101, 102 and 103."""

    @pytest.fixture(autouse=True)
    async def targets(self, store: Store) -> None:
        """The targets of the deliveries."""
        await add_targets(store)

    async def test_the_newest_delivery_tells_how_far_the_clock_was(self, store: Store) -> None:
        """After a restart nothing else does."""
        empty = await store.read(lambda unit: unit.deliveries.newest())
        await add_pending(store, planned("9"), event="a", now=NOW)
        await add_pending(store, planned("10"), event="b", now=LATER)
        newest = await store.read(lambda unit: unit.deliveries.newest())

        assert (None, LATER) == (empty, newest)

    async def test_what_was_never_attempted_is_due_now(self, store: Store) -> None:
        """Its publisher was promised a delivery, not one in an hour."""
        await add_pending(store, planned("1"), planned("2"), event="a", now=LATER)
        await claim(store, now=LATER, limit=1)
        await release_claims(store, "1", now=LATER)
        before = await claimed_ids(store)
        await go_back(store)

        assert [] == before
        assert NOW == await next_due(store)
        assert {"1", "2"} == set(await claimed_ids(store))

    async def test_a_retry_keeps_its_time_of_day(self, store: Store) -> None:
        """Else the schedule of a receiver that is down would be used up immediately."""
        await add_pending(store, planned("1"))
        await claim(store)
        retry = a_settlement(
            "1", DeliveryState.RETRYING, due_at=LATER, attempt=an_attempt(1, Outcome.FAILED)
        )
        await settle(store, retry)
        await go_back(store)

        assert LATER == await next_due(store)

    async def test_limited_targets_are_claimed_from_immediately(self, store: Store) -> None:
        """Their last claims and their tokens are counted from now on."""
        await set_policy(store, TargetPolicy(rate_per_second=1.0), now=NOW)
        await add_pending(store, planned("1"), planned("2"), event="a", now=LATER)
        first = await claimed_ids(store, now=LATER)
        await go_back(store)

        assert 1 == len(first)
        assert [] == await claimed_ids(store, now=NOW)
        assert 1 == len(await claimed_ids(store, now=NOW + 2 * SECOND))

    async def test_a_breaker_is_open_for_its_time_at_the_most(self, store: Store) -> None:
        """An hour more would be an outage that the receiver has not."""
        await set_policy(store, TargetPolicy(breaker=Breaker(1, 60 * SECOND)))
        await add_pending(store, planned("1"), planned("2"), event="a", now=LATER)
        await claim(store, now=LATER, limit=1)
        failed = an_attempt(1, Outcome.FAILED, started_at=LATER)
        await settle(
            store,
            a_settlement("1", DeliveryState.RETRYING, due_at=LATER + HOUR, attempt=failed),
            now=LATER,
        )
        await go_back(store)

        assert [] == await claimed_ids(store, now=NOW + 59 * SECOND)
        assert ["2"] == await claimed_ids(store, now=NOW + 61 * SECOND)

    async def test_no_lease_ends_later_than_a_new_one(self, store: Store) -> None:
        """Its worker may have died while the clock was wrong: no rescuer waits an hour for it."""
        await add_pending(store, planned("1"))
        await claim(store)
        await renew(store, until=LATER)
        await tidy(store)

        assert [] == await orphaned_ids(store, NOW + LEASE - SECOND)
        assert ["1"] == await orphaned_ids(store, NOW + LEASE)

    async def test_a_lease_in_time_stays_as_it_is(self, store: Store) -> None:
        """A rescuer that checks does not prolong the life of others."""
        await add_pending(store, planned("1"))
        await claim(store)
        await renew(store, until=NOW + SECOND)
        await tidy(store)

        assert ["1"] == await orphaned_ids(store, NOW + SECOND)

    async def test_leases_of_the_dead_are_deleted(self, store: Store) -> None:
        """When they cover nothing any more: nodes come and go, and the table does not grow."""
        await renew(store, "worker-2", until=NOW - SECOND)
        await tidy(store)
        await add_pending(store, planned("1"))
        await claim(store, WORKER)
        await renew(store, WORKER, until=NOW - SECOND)
        await tidy(store)

        assert ["1"] == await orphaned_ids(store, NOW)
