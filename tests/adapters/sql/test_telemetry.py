"""Every store keeps the trace of an event, when a delivery was due, and what is suspended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.store.steps import WORKER, add_targets, claim, settle
from fakes.memory.store import MemoryStore
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.stats import SuspendedTargets
from outrider.domain.ids import TargetId
from outrider.domain.targets.policy import Breaker, TargetPolicy
from support.builders import INSTANCE, a_settlement, a_stored_event, planned
from support.runtime import NOW
from support.sqlite_databases import empty_sqlite

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 a=1"
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def memory_store():
    return MemoryStore()


@pytest.fixture
async def sqlite_store(tmp_path):
    async with empty_sqlite(tmp_path / "db") as opened:
        yield opened


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request):
    return request.getfixturevalue(f"{request.param}_store")


async def publish(store, trace: str) -> None:
    await add_targets(store)
    stored = replace(a_stored_event(planned("1")), trace=trace)
    await store.write(lambda unit: unit.events.append(INSTANCE, [stored], NOW))


@pytest.mark.parametrize("trace", ["", TRACE])
async def test_every_attempt_knows_the_trace_of_the_publish(store, trace: str):
    """
    The receiver's spans belong to the request that caused the event, on the tenth try as well.
    """
    await publish(store, trace)
    first = await claim(store)
    await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=LATER))
    second = await claim(store, now=LATER + timedelta(seconds=1))

    assert [trace, trace] == [delivery.trace for delivery in (*first, *second)]
    assert [NOW, LATER] == [delivery.due_at for delivery in (*first, *second)]


async def test_an_orphan_knows_its_trace_and_no_time(store):
    """
    Its LOST attempt is not a call any more.
    """
    await publish(store, TRACE)
    await claim(store)
    orphans = await store.write(lambda unit: unit.leases.orphans(LATER, 10))

    assert [(WORKER, TRACE, None)] == [
        (orphan.owner, orphan.claimed.trace, orphan.claimed.due_at) for orphan in orphans
    ]


async def test_suspended_targets_are_counted(store):
    """
    An operator paused them, or they fail: that explains a growing backlog.
    """
    await publish(store, "")
    await claim(store)

    def suspend(unit) -> None:
        breaker = TargetPolicy(breaker=Breaker(1, timedelta(minutes=1)))
        unit.policies.put(INSTANCE, TargetId("101"), breaker, NOW)
        unit.policies.put(INSTANCE, TargetId("103"), TargetPolicy(max_concurrency=1), NOW)
        unit.policies.pause(INSTANCE, TargetId("102"), NOW)

    await store.write(suspend)
    await settle(store, a_settlement("1", DeliveryState.RETRYING, due_at=LATER))
    found = [
        await store.read(lambda unit, at=at: unit.delivery_counts.suspended_targets(at))
        for at in (NOW + timedelta(seconds=30), LATER)
    ]

    assert [SuspendedTargets(1, 1, 3), SuspendedTargets(1, 0, 3)] == found
