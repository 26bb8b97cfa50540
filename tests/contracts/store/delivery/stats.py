"""What every store shows about its deliveries in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.store.delivery.cancelling import cancel
from contracts.store.delivery.delivery_log import append
from contracts.store.steps import add_pending, add_targets, claim, delete_target, settle
from contracts.store.store import StoreContract
from contracts.store.targets.policies import pause, resume
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.stats import (
    MAX_SCANNED,
    ROLLUP_LAG,
    DeliveryStats,
    OpenCounts,
    StatsSearch,
    SuspendedTarget,
    Suspension,
)
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import Breaker, TargetPolicy
from outrider.usecases.ports.store import Store
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    a_settlement,
    a_stored_event,
    an_attempt,
    an_event,
    planned,
)
from support.runtime import NOW

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
AT_ONCE = 2


async def stats(
    store: Store, *, now: datetime = NOW, instance: InstanceId = INSTANCE, **filters: Any
) -> DeliveryStats:
    """The numbers."""
    search = StatsSearch(**filters)
    return await store.read(lambda unit: unit.delivery_counts.get(instance, search, now))


async def asked_with(store: Store, counted: OpenCounts) -> DeliveryStats:
    """The numbers, with what was counted before."""
    return await store.read(
        lambda unit: unit.delivery_counts.get(INSTANCE, StatsSearch(), NOW, counted)
    )


async def roll_up(store: Store, now: datetime) -> None:
    """Count all that can be counted by then, in parts."""
    for _ in range(100):
        if not await store.write(lambda unit: unit.delivery_counts.roll_up(now, AT_ONCE)):
            return
    raise AssertionError("it has no end")


def named(counts: Mapping[DeliveryState, int]) -> dict[str, int]:
    """Counts by the names of states."""
    return {state.name: count for state, count in counts.items()}


class CountingContract(StoreContract):
    """Each test has the targets 101, 102 and 103."""

    @pytest.fixture(autouse=True)
    async def targets(self, store: Store) -> None:
        """The targets of the deliveries."""
        await add_targets(store)

    async def every_state(self, store: Store) -> None:
        """Deliveries 1 to 7, a second apart: two pending, and one in each other state."""
        for number in range(1, 8):
            target = "102" if number > 5 else "101"
            at = NOW + number * SECOND
            await add_pending(store, planned(str(number), target), event=f"event-{number}", now=at)
        await claim(store, now=NOW + MINUTE, limit=4)
        await settle(
            store,
            a_settlement("1"),
            a_settlement("2", DeliveryState.DEAD),
            a_settlement("3", DeliveryState.RETRYING, due_at=NOW + MINUTE),
        )
        await cancel(store, "5")

    async def test_an_empty_log_has_no_numbers(self, store: Store) -> None:
        """Nothing is stuck."""
        empty = await stats(store)

        assert ({}, None, [], {}) == (
            empty.counts,
            empty.oldest_open_at,
            [*empty.targets],
            empty.outcomes,
        )
        assert [(0.0, 0.0)] * 3 == [(rate.delivered, rate.dead) for rate in empty.rates]
        assert [60, 300, 3600] == [rate.window.total_seconds() for rate in empty.rates]

    async def test_states_are_counted(self, store: Store) -> None:
        """Immediately, after an hour, and after everything was rolled up: always the same."""
        await self.every_state(store)
        expected = {
            "PENDING": 2,
            "DELIVERING": 1,
            "RETRYING": 1,
            "DELIVERED": 1,
            "DEAD": 1,
            "CANCELLED": 1,
        }
        before = await stats(store)
        await roll_up(store, NOW + 10 * MINUTE)
        after = await stats(store)

        assert (expected, expected) == (named(before.counts), named(after.counts))
        assert before.targets == after.targets

    async def test_nothing_is_settled_behind_the_rollup(self, store: Store) -> None:
        """What is settled in the moment up to which was counted, with a smaller id, counts."""
        await add_pending(store, planned("1"), planned("2"))
        await claim(store)
        await settle(store, a_settlement("2", DeliveryState.DEAD))
        await roll_up(store, NOW + ROLLUP_LAG)
        await settle(store, a_settlement("1", DeliveryState.DEAD))
        before = await stats(store)
        await roll_up(store, NOW + MINUTE)
        after = await stats(store)

        assert ({"DEAD": 2}, {"DEAD": 2}) == (named(before.counts), named(after.counts))

    async def test_the_oldest_that_is_open_is_shown(self, store: Store) -> None:
        """It is how an operator sees that something is stuck; what is attempted is not settled."""
        await self.every_state(store)
        result = await stats(store)
        await settle(store, a_settlement("4"))
        by_target = {target.target_id: target.oldest_open_at for target in result.targets}

        assert NOW + 3 * SECOND == result.oldest_open_at
        assert {"101": NOW + 3 * SECOND, "102": NOW + 6 * SECOND} == by_target

    async def test_targets_in_trouble_come_first(self, store: Store) -> None:
        """With their names; as many as were asked for."""
        await add_pending(store, planned("1", "103"), planned("2", "102"), planned("3", "102"))
        await add_pending(
            store, *(planned(str(number), "101") for number in range(11, 16)), event="b"
        )
        await claim(store)
        await settle(store, *(a_settlement(str(number)) for number in range(11, 16)))
        result = await stats(store)
        few = await stats(store, targets=1)

        assert [("102", "target 102"), ("103", "target 103"), ("101", "target 101")] == [
            (target.target_id, target.name) for target in result.targets
        ]
        assert [{"DELIVERING": 2}, {"DELIVERING": 1}, {"DELIVERED": 5}] == [
            named(target.counts) for target in result.targets
        ]
        assert [["102"], result.counts] == [
            [target.target_id for target in few.targets],
            few.counts,
        ]

    async def test_a_deleted_target_has_no_name(self, store: Store) -> None:
        """Its deliveries are in the log all the same."""
        await add_pending(store, planned("1"))
        await delete_target(store, "101")
        result = await stats(store)

        assert [("101", "", {"CANCELLED": 1})] == [
            (target.target_id, target.name, named(target.counts)) for target in result.targets
        ]

    async def test_what_is_open_may_have_been_counted_before(self, store: Store) -> None:
        """Where there are many, not every question has them counted; all else is of now."""
        await self.every_state(store)
        counted = await store.read(lambda unit: unit.delivery_counts.open(INSTANCE, None))
        of_one = await store.read(lambda unit: unit.delivery_counts.open(INSTANCE, TargetId("102")))
        strangers = await store.read(lambda unit: unit.delivery_counts.open(ANOTHER_INSTANCE, None))
        before = await stats(store)
        same = await asked_with(store, counted)
        await add_pending(store, planned("8"), event="later")
        await settle(store, a_settlement("4"))
        after = await asked_with(store, counted)
        again = await store.read(lambda unit: unit.delivery_counts.open(INSTANCE, None))

        assert before == same
        assert {**named(before.counts), "DELIVERED": 2} == named(after.counts)
        assert before.oldest_open_at == after.oldest_open_at
        assert [2, 0, 4] == [
            sum(counts.trouble for counts in part.values()) for part in (of_one, strangers, again)
        ]

    async def test_suspended_targets_are_shown(self, store: Store) -> None:
        """A pause or a breaker explains a backlog: with the targets listed, and of all."""
        breaker = TargetPolicy(breaker=Breaker(1, MINUTE))
        await store.write(lambda unit: unit.policies.put(INSTANCE, TargetId("102"), breaker, NOW))
        await add_pending(store, planned("1", "102"), planned("2", "101"))
        await claim(store)
        failed = an_attempt(outcome=Outcome.FAILED)
        retry = a_settlement("1", DeliveryState.RETRYING, attempt=failed, due_at=NOW + MINUTE)
        await settle(store, retry)
        await pause(store, "103")
        is_open, paused = Suspension(None, NOW + failed.duration + MINUTE), Suspension(NOW, None)
        result = await stats(store)
        first = await stats(store, suspended=1)
        rest = [await stats(store, target_id="103"), await stats(store, suspended=1, targets=1)]
        narrow = await stats(store, created_since=NOW)

        assert [
            SuspendedTarget(TargetId("102"), "target 102", is_open),
            SuspendedTarget(TargetId("103"), "target 103", paused),
        ] == [*result.suspended]
        assert [("101", Suspension()), ("102", is_open)] == [
            (target.target_id, target.suspension) for target in result.targets
        ]
        assert result.targets == first.targets == narrow.targets
        assert [["102"], ["103"], ["102"], []] == [
            [target.target_id for target in answer.suspended] for answer in (first, *rest, narrow)
        ]

    async def test_a_resumed_target_is_not_suspended(self, store: Store) -> None:
        """While it recovers it is called; a deleted one is gone; limits do not suspend it."""
        limit = TargetPolicy(max_concurrency=1)
        await store.write(lambda unit: unit.policies.put(INSTANCE, TargetId("101"), limit, NOW))
        await pause(store, "102")
        await resume(store, "102")
        await pause(store, "103")
        await delete_target(store, "103")

        assert [] == [*(await stats(store)).suspended]
        assert [] == [*(await stats(store, instance=ANOTHER_INSTANCE)).suspended]

    async def test_one_target_has_its_own_numbers(self, store: Store) -> None:
        """As if there were no other."""
        await self.every_state(store)
        await roll_up(store, NOW + 10 * MINUTE)
        result = await stats(store, target_id="102")

        assert ({"PENDING": 2}, NOW + 6 * SECOND) == (named(result.counts), result.oldest_open_at)
        assert ["102"] == [target.target_id for target in result.targets]
        assert {} == (await stats(store, target_id="109")).counts

    async def test_another_instance_has_other_numbers(self, store: Store) -> None:
        """No instance sees how busy others are."""
        await self.every_state(store)
        await roll_up(store, NOW + 10 * MINUTE)
        strangers = await stats(store, now=NOW + 10 * MINUTE, instance=ANOTHER_INSTANCE)
        narrow = await stats(store, instance=ANOTHER_INSTANCE, created_since=NOW)

        assert ({}, None, []) == (
            strangers.counts,
            strangers.oldest_open_at,
            [*strangers.targets],
        )
        assert ({}, {}) == (strangers.outcomes, narrow.counts)
        assert not any(rate.delivered or rate.dead for rate in strangers.rates)

    async def test_types_and_times_narrow_the_numbers(self, store: Store) -> None:
        """An outage has a beginning and an end."""
        for number, kind in enumerate(["a.a", "b.b", "a.a", "b.b"], start=1):
            event = a_stored_event(
                planned(str(number)), event=an_event(f"event-{number}", event_type=kind)
            )
            at = NOW + number * SECOND
            await append(store, event, at)
        await claim(store, now=NOW + MINUTE, limit=1)
        await settle(store, a_settlement("1"))
        asked = [
            await stats(store, event_type="a.a"),
            await stats(store, created_since=NOW + 2 * SECOND),
            await stats(store, created_since=NOW + 2 * SECOND, created_until=NOW + 4 * SECOND),
            await stats(store, created_until=NOW + 2 * SECOND, target_id="101"),
            await stats(store, event_type="a.a", target_id="102"),
        ]

        assert [
            {"PENDING": 1, "DELIVERED": 1},
            {"PENDING": 3},
            {"PENDING": 2},
            {"DELIVERED": 1},
            {},
        ] == [named(result.counts) for result in asked]
        assert NOW + 3 * SECOND == asked[0].oldest_open_at
        assert [((), {}, False)] * 5 == [
            (tuple(result.rates), result.outcomes, result.is_partial) for result in asked
        ]
        assert MAX_SCANNED > len(asked)

    async def test_rates_are_of_the_last_minutes(self, store: Store) -> None:
        """A minute, five, and an hour, each up to twenty seconds ago."""
        settled = {1: timedelta(minutes=50), 2: timedelta(minutes=4), 3: 40 * SECOND, 4: 5 * SECOND}
        now = NOW + timedelta(hours=2)
        await add_pending(store, *(planned(str(number)) for number in range(1, 6)))
        await claim(store)
        for number, ago in settled.items():
            await settle(store, a_settlement(str(number)), now=now - ago)
        await settle(store, a_settlement("5", DeliveryState.DEAD), now=now - 45 * SECOND)
        await roll_up(store, now)
        result = await stats(store, now=now)

        assert [(1 / 60, 1 / 60), (2 / 300, 1 / 300), (3 / 3600, 1 / 3600)] == [
            (rate.delivered, rate.dead) for rate in result.rates
        ]
        assert {"DELIVERED": 4, "DEAD": 1} == named(result.counts)
        assert not any(
            rate.delivered for rate in (await stats(store, now=now, target_id="102")).rates
        )

    async def test_outcomes_are_of_last_attempts(self, store: Store) -> None:
        """Why deliveries died within the hour; what was never tried has none."""
        await add_pending(store, *(planned(str(number)) for number in range(1, 5)))
        await claim(store)
        refused = an_attempt(1, Outcome.REFUSED)
        retry = a_settlement("2", DeliveryState.RETRYING, attempt=refused, due_at=NOW)
        await settle(store, a_settlement("1"), retry)
        await cancel(store, "4")
        await settle(store, a_settlement("4", DeliveryState.RETRYING, due_at=NOW))
        await claim(store, limit=1)
        unreachable = an_attempt(2, Outcome.UNREACHABLE)
        await settle(store, a_settlement("2", DeliveryState.DEAD, attempt=unreachable))
        await add_pending(store, planned("5"), event="untried")
        await cancel(store, "5")
        soon, later = NOW + 2 * MINUTE, NOW + timedelta(hours=2)
        await roll_up(store, soon)

        assert {Outcome.ACCEPTED: 1, Outcome.FAILED: 1, Outcome.UNREACHABLE: 1} == (
            await stats(store, now=soon)
        ).outcomes
        await roll_up(store, later)
        assert {} == (await stats(store, now=later)).outcomes
