"""Polls, rescues and the end of a worker when one transaction cannot hold what is to be recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.store.delivery.bounds import add_in_front_of, count
from contracts.store.steps import add_pending, add_targets, claim
from outrider.adapters.sql.delivery.transitions import MOVED_AT_ONCE
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.usecases.delivery.operator_events import record_and_notify
from outrider.usecases.ports.store import Store, Unit
from support.builders import INSTANCE, a_settlement, a_target, an_execution, planned
from support.runtime import NOW
from support.sqlite_databases import empty_sqlite
from worker.harness import DelayedResponse, Harness, working

DEPENDENTS = MOVED_AT_ONCE // 2 + 1
FIRSTS = [1000, 2000, 3000]
HOOK = "https://first.example/hook"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A database: the store that forgets has all in one."""
    async with empty_sqlite(tmp_path / "outrider.db") as opened:
        yield opened


@pytest.fixture
async def in_front(store: Store) -> Store:
    """Three deliveries with enough behind each that a transaction holds two."""
    await add_targets(store, a_target("101", endpoint=HOOK), a_target("102"))
    await add_in_front_of(store, DEPENDENTS, FIRSTS)
    return store


@pytest.mark.usefixtures("in_front")
async def test_what_did_not_fit_is_recorded_by_the_next_poll(harness: Harness):
    """
    Else it is attempted again when the lease ends: the receiver would get it twice.
    """
    answered = asyncio.Event()
    harness.client.script(HOOK, *[DelayedResponse(answered)] * len(FIRSTS))
    async with working(harness.worker(concurrency=16)):
        await harness.client.reached(len(FIRSTS))
        answered.set()
        await harness.client.reached(len(FIRSTS) * (1 + DEPENDENTS))

    assert len(FIRSTS) * (1 + DEPENDENTS) == await count(harness.store, DeliveryState.DELIVERED)
    assert [] == harness.client.doubled
    assert [] == harness.log.events("warning", "exception")


@pytest.mark.usefixtures("in_front")
async def test_a_worker_that_ends_records_all_before_its_lease_does(harness: Harness):
    """
    In as many transactions as it takes.
    """
    answered = asyncio.Event()
    harness.client.script(HOOK, *[DelayedResponse(answered)] * len(FIRSTS))
    async with working(worker := harness.worker(concurrency=16)):
        await harness.client.reached(len(FIRSTS))
        worker.stop()
        answered.set()

    assert len(FIRSTS) == await count(harness.store, DeliveryState.DELIVERED)
    assert 0 == await count(harness.store, DeliveryState.DELIVERING)


@pytest.mark.usefixtures("in_front")
async def test_orphans_with_many_behind_them_are_rescued_in_parts(harness: Harness):
    """
    What is left is found again by the next check.
    """
    await claim(harness.store, "worker-dead")
    rescuer = harness.rescuer()

    assert [2, 1, 0] == [await rescuer.check() for _ in range(3)]
    assert ["delivery.attempted"] * 3 == harness.log.events("info")


async def test_deaths_that_many_are_told_of_are_recorded_in_parts(store: Store, harness: Harness):
    """
    An operator event is as large as its execution, and comes with each death.
    """
    targets = [str(number) for number in range(101, 101 + DEPENDENTS)]
    condition = Condition(ConditionKind.EVENT, Scope.GROUP, "outrider")

    def listen(unit: Unit) -> None:
        for target in targets:
            unit.targets.add(INSTANCE, a_target(target))
        unit.executions.put(INSTANCE, replace(an_execution(*targets), condition=condition))

    await store.write(listen)
    await add_pending(store, planned("1"), planned("2"), planned("3"))
    await claim(store, "worker-a")
    rest = [a_settlement(number, DeliveryState.DEAD) for number in "123"]
    parts, runtime = [], harness.runtime
    while rest:
        recorded = await store.write(
            lambda unit, rest=rest: record_and_notify(unit, runtime, "worker-a", rest, NOW)
        )
        parts.append(recorded.count)
        rest = recorded.rest

    assert [1, 1, 1] == parts
    assert 3 * DEPENDENTS == await count(store, DeliveryState.PENDING)
