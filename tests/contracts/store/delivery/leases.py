"""How every store notices dead workers, and what the living may do with their deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from contracts.store.steps import (
    WORKER,
    add_pending,
    add_targets,
    claim,
    claimed_ids,
    log_of,
    release_claims,
    settle,
    states,
)
from contracts.store.store import StoreContract
from outrider.domain.delivery.delivery import DeliveryState, Dependents
from outrider.domain.outcome import Outcome
from outrider.usecases.ports.deliveries import OrphanedDelivery
from outrider.usecases.ports.store import Store
from support.builders import (
    a_claimed_delivery,
    a_settlement,
    a_stored_event,
    an_attempt,
    planned,
    planned_chain,
)
from support.runtime import NOW

UNTIL = NOW + timedelta(seconds=30)
OVER = NOW + timedelta(seconds=31)


async def renew(store: Store, owner: str = WORKER, until: datetime = UNTIL) -> None:
    """Say that a worker lives."""
    await store.write(lambda unit: unit.leases.renew(owner, until))


async def orphans(
    store: Store, now: datetime = OVER, limit: int = 100
) -> Sequence[OrphanedDelivery]:
    """What dead workers have claimed."""
    return await store.read(lambda unit: unit.leases.orphans(now, limit))


async def orphaned_ids(store: Store, now: datetime = OVER, limit: int = 100) -> list[str]:
    """Only the ids."""
    return sorted(orphan.claimed.id for orphan in await orphans(store, now, limit))


class LeasesContract(StoreContract):
    """The workers whose lease is over, and what becomes of their claims."""

    @pytest.fixture
    async def leased(self, store: Store) -> Store:
        """A store whose deliveries 1 and 2 a worker has claimed, with a lease until `UNTIL`."""
        await add_targets(store)
        await add_pending(store, planned("1"), planned("2"))
        await renew(store)
        await claim(store)
        return store

    async def test_nothing_is_orphaned_while_the_lease_holds(self, leased: Store) -> None:
        """Its worker may be slow; it is not dead."""
        assert [] == await orphaned_ids(leased, NOW)
        assert [] == await orphaned_ids(leased, UNTIL - timedelta(microseconds=1))
        assert ["1", "2"] == await orphaned_ids(leased, UNTIL)

    async def test_what_a_dead_worker_has_claimed_is_orphaned(self, leased: Store) -> None:
        """With all that a rescuer needs to write the attempt that was not recorded."""
        found = sorted(await orphans(leased), key=lambda orphan: orphan.claimed.id)
        body = a_stored_event().body

        assert [
            OrphanedDelivery(a_claimed_delivery(delivery_id, body=body), WORKER, NOW)
            for delivery_id in ("1", "2")
        ] == found

    async def test_who_never_had_a_lease_is_dead(self, store: Store) -> None:
        """Whatever was claimed without one must not stay claimed for ever."""
        await add_targets(store)
        await add_pending(store, planned("1"))
        await claim(store, "a stranger")

        assert ["1"] == await orphaned_ids(store, NOW)

    async def test_what_was_settled_meanwhile_is_not_secured(self, leased: Store) -> None:
        """Of two rescuers that found the same, one may say that it recorded it."""
        await settle(leased, a_settlement("1"))
        secured = await leased.write(
            lambda unit: unit.leases.secure(unit.leases.orphans(OVER, 100)), shared=True
        )

        assert ["2"] == [orphan.claimed.id for orphan in secured]

    async def test_renewing_extends(self, leased: Store) -> None:
        """A worker that renews its lease keeps it."""
        await renew(leased, until=OVER + timedelta(seconds=30))

        assert [] == await orphaned_ids(leased)

    async def test_a_lease_is_its_workers_own(self, leased: Store) -> None:
        """One living worker does not keep another's deliveries."""
        await renew(leased, "worker-2", until=OVER + timedelta(seconds=30))

        assert ["1", "2"] == await orphaned_ids(leased)

    async def test_a_dropped_lease_is_over(self, leased: Store) -> None:
        """A worker that left and forgot something is not waited for."""
        await leased.write(lambda unit: unit.leases.drop(WORKER))
        await leased.write(lambda unit: unit.leases.drop("nobody"))

        assert ["1", "2"] == await orphaned_ids(leased, NOW)

    async def test_expiring_all_ends_every_lease(self, leased: Store) -> None:
        """The process that has the data directory for itself knows that all others are dead."""
        await add_pending(leased, planned("3"), event="event-2")
        await renew(leased, "worker-2")
        await claim(leased, "worker-2")
        await leased.write(lambda unit: unit.leases.expire_all())

        assert ["1", "2", "3"] == await orphaned_ids(leased, NOW)

    async def test_a_limit_is_kept(self, leased: Store) -> None:
        """A rescuer takes as many as it can, and comes again."""
        first = await orphaned_ids(leased, limit=1)
        await settle(leased, a_settlement(first[0], DeliveryState.DEAD))

        assert sorted({"1", "2"} - set(first)) == await orphaned_ids(leased, limit=1)

    async def test_only_what_is_claimed_is_orphaned(self, leased: Store) -> None:
        """Not what has ended, nor what is due, nor what was released."""
        await add_pending(leased, *planned_chain(("3", "101"), ("4", "102")), event="event-2")
        await settle(leased, a_settlement("1"))
        await release_claims(leased, "2")

        assert [] == await orphaned_ids(leased)

    async def test_the_rescuer_settles_in_the_dead_workers_name(self, leased: Store) -> None:
        """The delivery is tried again, and the log says that an attempt was lost."""
        lost = an_attempt(1, Outcome.LOST)
        rescue = a_settlement("1", DeliveryState.RETRYING, attempt=lost, due_at=OVER)

        assert 1 == await settle(leased, rescue, now=OVER)
        assert (lost,) == (await log_of(leased, "1")).attempts
        assert ["2"] == await orphaned_ids(leased)
        assert [("1", 2)] == [
            (delivery.id, delivery.attempt_number)
            for delivery in await claim(leased, "worker-2", now=OVER)
        ]

    async def test_a_worker_that_comes_late_writes_nothing(self, leased: Store) -> None:
        """Its attempt was recorded as lost; the delivery may be in other hands."""
        lost = an_attempt(1, Outcome.LOST)
        rescue = a_settlement("1", DeliveryState.RETRYING, attempt=lost, due_at=OVER)
        await settle(leased, rescue, now=OVER)
        late = a_settlement("1", dependents=Dependents.RELEASE)

        assert 0 == await settle(leased, late, now=OVER)
        await claim(leased, "worker-2", now=OVER)
        assert 0 == await settle(leased, late, now=OVER)
        await release_claims(leased, "1", now=OVER)
        log = await log_of(leased, "1")
        assert (DeliveryState.DELIVERING, (lost,)) == (log.state, log.attempts)

    async def test_a_late_attempt_does_not_pass_for_the_next_one(self, leased: Store) -> None:
        """A worker wakes up and claims again what it still has in flight: two attempts, one name."""
        lost = an_attempt(1, Outcome.LOST)
        rescue = a_settlement("1", DeliveryState.RETRYING, attempt=lost, due_at=OVER)
        await settle(leased, rescue, now=OVER)
        await claim(leased, now=OVER)
        late = a_settlement("1", DeliveryState.DEAD, attempt=an_attempt(1, Outcome.REFUSED))

        assert 1 == await settle(leased, late, a_settlement("2"), now=OVER)
        second = an_attempt(2)
        assert 1 == await settle(leased, a_settlement("1", attempt=second), now=OVER)
        log = await log_of(leased, "1")
        assert (DeliveryState.DELIVERED, (lost, second)) == (log.state, log.attempts)

    async def test_a_worker_that_comes_before_the_rescuer_is_believed(self, leased: Store) -> None:
        """Its lease is over, but no worker took the delivery: its result is the result."""
        assert 1 == await settle(leased, a_settlement("1"), now=OVER)
        assert "DELIVERED" == (await states(leased))["1"]
        assert ["2"] == await orphaned_ids(leased)

    async def test_of_two_rescuers_one_rescues(self, leased: Store) -> None:
        """Both saw the orphan; it gets one lost attempt."""
        lost = an_attempt(1, Outcome.LOST)
        rescue = a_settlement("1", DeliveryState.RETRYING, attempt=lost, due_at=OVER)
        written = await asyncio.gather(*(settle(leased, rescue, now=OVER) for _ in range(2)))

        assert [0, 1] == sorted(written)
        assert 1 == (await log_of(leased, "1")).attempt_count

    async def test_a_worker_may_begin_a_lease_again(self, leased: Store) -> None:
        """After its last one was over, with the claims that no rescuer took from it."""
        await leased.write(lambda unit: unit.leases.expire_all())
        await renew(leased, until=OVER + timedelta(seconds=30))

        assert [] == await orphaned_ids(leased)
        assert [] == await claimed_ids(leased, "worker-2", now=OVER)
