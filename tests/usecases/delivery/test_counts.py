"""Many open deliveries: what a view that asks every second costs, and what it shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from contracts.store.steps import add_pending, add_targets, claim, settle
from outrider.domain.delivery.stats import StatsSearch
from outrider.usecases.delivery.deliveries import CountDeliveries
from support.builders import ANOTHER_INSTANCE, a_settlement, an_actor, planned
from support.runtime import NOW

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)
COUNTING_S = 3.0


@dataclass
class SlowCounts:
    """A store's counts, whose counting of what is open takes three seconds and is recorded."""

    inner: object
    watch: SlowStore

    def open(self, instance, target):
        self.watch.now += COUNTING_S
        self.watch.counted.append(target)
        return self.inner.open(instance, target)

    def get(self, *arguments):
        return self.inner.get(*arguments)


@dataclass
class SlowStore:
    """A store in front of another one, with a clock of durations."""

    store: object
    now: float = 100.0
    counted: list = field(default_factory=list)

    async def read(self, work):
        return await self.store.read(
            lambda unit: work(
                type("Unit", (), {"delivery_counts": SlowCounts(unit.delivery_counts, self)})
            )
        )


@pytest.fixture
async def watch(store) -> SlowStore:
    """Deliveries 1 to 3 are open, of two targets."""
    await add_targets(store)
    await add_pending(store, planned("1"), planned("2"), planned("3", "102"))
    return SlowStore(store)


def counting(watch, runtime, many=2) -> CountDeliveries:
    return CountDeliveries(watch, runtime, many, lambda: watch.now)


async def numbers(count, actor=ACTOR, **query) -> dict[str, int]:
    stats = await count(actor, StatsSearch(**query))
    return {state.name: number for state, number in stats.counts.items()}


async def test_many_are_counted_again_after_ten_times_as_long_as_it_took(store, watch, runtime):
    """
    So that a view that asks all the time costs a tenth of a core, however much is open.
    """
    count = counting(watch, runtime)
    first = await numbers(count)
    await claim(store, limit=1)
    await settle(store, a_settlement("1"))
    watch.now += 10 * COUNTING_S - 0.1
    kept, times = await numbers(count), len(watch.counted)
    watch.now += 0.2
    then = await numbers(count)

    assert {"PENDING": 3} == first
    assert ({"PENDING": 3, "DELIVERED": 1}, 1) == (kept, times)
    assert ({"PENDING": 2, "DELIVERED": 1}, 2) == (then, len(watch.counted))


async def test_few_are_counted_every_time(store, watch, runtime):
    """
    A caller that has just published something sees it.
    """
    count = counting(watch, runtime, many=4)
    first = await numbers(count)
    await add_pending(store, planned("4"), event="another")
    second = await numbers(count)

    assert ({"PENDING": 3}, {"PENDING": 4}) == (first, second)
    assert 2 == len(watch.counted)


async def test_each_question_has_its_own_answer(watch, runtime):
    """
    Of one target, of another instance, of a time: none gets what was counted for another.
    """
    count = counting(watch, runtime, many=0)
    await numbers(count)
    asked = [
        await numbers(count, target_id="102"),
        await numbers(count, STRANGER),
        await numbers(count, created_since=NOW),
        await numbers(count, target_id="102"),
        await numbers(count),
    ]

    assert [{"PENDING": 1}, {}, {"PENDING": 3}, {"PENDING": 1}, {"PENDING": 3}] == asked
    assert [None, "102", None] == watch.counted


async def test_what_is_over_is_not_kept(watch, runtime):
    """
    A hundred thousand targets that were once asked for are not a hundred thousand answers.
    """
    count = counting(watch, runtime, many=0)
    for _ in range(5):
        await numbers(count, target_id="101")
        watch.now += 11 * COUNTING_S
        await numbers(count, target_id="102")
        watch.now += 11 * COUNTING_S

    assert 1 == len(count._kept)
