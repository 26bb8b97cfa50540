"""What every store deletes, and what it must not."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest

from contracts.store.delivery.cancelling import cancel
from contracts.store.delivery.replays import replay
from contracts.store.delivery.stats import named, roll_up, stats
from contracts.store.steps import (
    add_pending,
    add_targets,
    claim,
    claimed_ids,
    settle,
    states,
)
from contracts.store.store import StoreContract
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.ids import TargetId
from outrider.domain.targets.policy import OnDead, Ordering, TargetPolicy
from outrider.usecases.ports.store import Store, Unit
from support.builders import INSTANCE, a_settlement, a_stored_event, an_event, planned
from support.runtime import NOW

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DELIVERED, DEAD = DeliveryState.DELIVERED, DeliveryState.DEAD


async def delete_expired(
    store: Store, state: DeliveryState, before: datetime = NOW + HOUR, limit: int = 100
) -> int:
    """Delete deliveries; how many."""
    return await store.write(
        lambda unit: unit.retention.delete_expired_deliveries(state, before, limit)
    )


async def delete_expired_events(store: Store, before: datetime = NOW + HOUR, limit: int = 2) -> int:
    """Delete events, part by part to the end; how many."""
    deleted, after = 0, 0
    for _ in range(100):
        part = partial(_delete_part, before, after, limit)
        count, rest = await store.write(part)
        deleted += count
        if rest is None:
            return deleted
        after = rest
    raise AssertionError("it has no end")


def _delete_part(before: datetime, after: int, limit: int, unit: Unit) -> tuple[int, int | None]:
    return unit.retention.delete_expired_events(before, after, limit)


async def is_known(store: Store, event: str) -> bool:
    """Whether a second event with this id is a duplicate. One that is not is stored."""
    stored = a_stored_event(event=an_event(event))
    [written] = await store.write(lambda unit: unit.events.append(INSTANCE, [stored], NOW))
    return written is None


class RetentionContract(StoreContract):
    """Each test has the targets 101, 102 and 103."""

    @pytest.fixture(autouse=True)
    async def targets(self, store: Store) -> None:
        """The targets of the deliveries."""
        await add_targets(store)

    async def settled(self, store: Store) -> None:
        """Deliveries 1 to 4 are delivered, a second after each other; 5 is dead, 6 cancelled."""
        await add_pending(store, *(planned(str(number)) for number in range(1, 7)))
        await cancel(store, "6")
        await claim(store)
        for number in range(1, 5):
            await settle(store, a_settlement(str(number)), now=NOW + number * SECOND)
        await settle(store, a_settlement("5", DEAD))

    async def test_the_oldest_of_one_state_go_first(self, store: Store) -> None:
        """A bounded part of them; the border itself stays."""
        await self.settled(store)
        before = NOW + 4 * SECOND
        counts = [await delete_expired(store, DELIVERED, before, limit=2)]
        left = [*(await states(store))]
        counts += [await delete_expired(store, DELIVERED, before, limit=2) for _ in range(2)]

        assert [2, 1, 0] == counts
        assert ["3", "4", "5", "6"] == left
        assert {"4": "DELIVERED", "5": "DEAD", "6": "CANCELLED"} == await states(store)

    async def test_each_final_state_has_its_time(self, store: Store) -> None:
        """Dead ones stay longer: an operator may want them again."""
        await self.settled(store)

        assert 1 == await delete_expired(store, DeliveryState.CANCELLED)
        assert 1 == await delete_expired(store, DEAD)
        assert ["1", "2", "3", "4"] == [*(await states(store))]

    async def test_what_is_open_stays_however_old_it_is(self, store: Store) -> None:
        """It is still to be delivered."""
        await add_pending(store, planned("1"), planned("2"), planned("3"), now=NOW)
        await claim(store, limit=2)
        await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=NOW + HOUR))
        for state in DeliveryState:
            if state.is_final:
                await delete_expired(store, state, NOW + 1000 * HOUR)

        assert 0 == await delete_expired_events(store, NOW + 1000 * HOUR)
        assert {"1": "RETRYING", "2": "DELIVERING", "3": "PENDING"} == await states(store)

    async def test_what_is_deleted_is_not_counted(self, store: Store) -> None:
        """Whether it was rolled up before or not."""
        await self.settled(store)
        await delete_expired(store, DELIVERED, limit=1)
        before_rollup = named((await stats(store)).counts)
        await roll_up(store, NOW + HOUR)
        await delete_expired(store, DELIVERED, limit=1)
        await roll_up(store, NOW + HOUR)

        assert {"DELIVERED": 3, "DEAD": 1, "CANCELLED": 1} == before_rollup
        assert {"DELIVERED": 2, "DEAD": 1, "CANCELLED": 1} == named((await stats(store)).counts)

    async def test_an_event_goes_when_nothing_is_left_of_it(self, store: Store) -> None:
        """A delivery that stays keeps its payload."""
        await self.settled(store)
        await add_pending(store, event="unmatched")
        first = await delete_expired_events(store)
        for state in (DELIVERED, DEAD, DeliveryState.CANCELLED):
            await delete_expired(store, state)

        assert 1 == first
        assert 1 == await delete_expired_events(store)
        assert [False, False] == [
            await is_known(store, event_id) for event_id in ("event-1", "unmatched")
        ]

    async def test_a_replay_keeps_the_event(self, store: Store) -> None:
        """It has no separate payload."""
        await add_pending(store, planned("1"))
        await claim(store)
        await settle(store, a_settlement("1"))
        await replay(store, ("2", "1"))
        await delete_expired(store, DELIVERED)

        assert 0 == await delete_expired_events(store)
        assert ["2"] == await claimed_ids(store)

    async def test_an_id_is_known_until_its_time_is_over(self, store: Store) -> None:
        """Also when nothing else is left: a late repetition makes no second delivery."""
        old = 3
        for number in range(5):
            await add_pending(store, event=f"event-{number}", now=NOW + number * SECOND)

        assert old == await delete_expired_events(store, NOW + old * SECOND)
        assert [False, True, True] == [
            await is_known(store, f"event-{number}") for number in (2, 3, 4)
        ]

    async def test_a_dead_delivery_that_halts_others_stays(self, store: Store) -> None:
        """They would wait for ever, or go out of order."""
        policy = TargetPolicy(ordering=Ordering.BY_AGGREGATE, on_dead=OnDead.HALT)
        await store.write(lambda unit: unit.policies.put(INSTANCE, TargetId("101"), policy, NOW))
        await add_pending(store, planned("1"), event="first")
        await add_pending(store, planned("2"), event="second")
        await claim(store)
        await settle(store, a_settlement("1", DEAD))

        assert 0 == await delete_expired(store, DEAD)
        assert {"1": "DEAD", "2": "PENDING"} == await states(store)

    async def test_one_at_a_time_leads(self, store: Store) -> None:
        """Until its lease is over; one that continues to work keeps it."""

        async def acquire(owner: str, at: int, until: int) -> bool:
            now, then = NOW + at * SECOND, NOW + until * SECOND
            return await store.write(
                lambda unit: unit.retention.acquire_leadership(owner, now, then)
            )

        acquired = [
            await acquire("a", 0, 10),
            await acquire("b", 9, 20),
            await acquire("a", 9, 15),
            await acquire("b", 14, 20),
            await acquire("b", 15, 25),
            await acquire("a", 16, 30),
        ]

        assert [True, False, True, False, True, False] == acquired
