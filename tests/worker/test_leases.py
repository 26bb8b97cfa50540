"""A worker that died, or was thought dead: what becomes of its deliveries, and which report counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from contracts.store.steps import add_targets, claim, delete_target, states
from outrider.domain.calls.request import Response
from outrider.usecases.ports.store import LIGHT, Load, Store, Unit
from outrider.worker.rescuer import Rescuer
from outrider.worker.worker import LEASE
from support.builders import (
    INSTANCE,
    a_stored_event,
    a_target,
    planned,
    planned_chain,
)
from support.runtime import NOW
from worker.faulty_store import FaultyStore, StoreDown
from worker.harness import DelayedResponse, Harness, working

MICROSECOND = timedelta(microseconds=1)
HOOK = a_target().endpoint
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
T = TypeVar("T")


async def died_with(harness: Harness, *, owner: str = "worker-a") -> None:
    """A worker claims what is due, and is never heard of again."""
    now = harness.clock()
    await harness.store.write(lambda unit: unit.leases.renew(owner, now + LEASE))
    await claim(harness.store, owner, now=now, limit=1000)


def attempt_events(harness: Harness) -> list[dict[str, Any]]:
    """The log events of attempts."""
    return [fields for _, event, fields in harness.log.kept if event == "delivery.attempted"]


class StumblingStore(FaultyStore):
    """A store that rolls back the first unit when its work is done, and runs the second twice."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._rolled_back = 0

    async def write(
        self, work: Callable[[Unit], T], *, shared: bool = False, load: Load = LIGHT
    ) -> T:

        def stumble(unit: Unit) -> T:
            work(unit)
            raise StoreDown

        self._rolled_back += 1
        with suppress(StoreDown) if self._rolled_back > 1 else nullcontext():
            return await super().write(stumble, shared=shared)
        return await super().write(work, shared=shared, load=load)


async def rescue(harness: Harness) -> int:
    """What a rescuer does when it checks; how many it has found."""
    return await harness.store.write(harness.rescuer().rescue)


async def test_what_a_dead_worker_had_claimed_is_lost_and_due(harness: Harness):
    """
    As soon as its lease is over, and not before: a living worker must not be robbed.
    """
    await harness.add_pending(planned("1"), planned("2"))
    await died_with(harness)
    harness.clock.advance(LEASE - MICROSECOND)
    too_early = await rescue(harness)
    harness.clock.advance(2 * MICROSECOND)
    rescued = await rescue(harness)
    delivery = await harness.delivery()
    [attempt] = delivery.attempts

    assert (0, 2) == (too_early, rescued)
    assert {"1": "RETRYING", "2": "RETRYING"} == await states(harness.store)
    assert ("LOST", NOW, 0) == (attempt.outcome.name, attempt.started_at, attempt.status_code)
    assert "the node died between sending and recording" == attempt.error
    assert delivery.next_attempt_at <= harness.clock()


async def test_a_rescuer_rescues_any_number_without_a_pause(harness: Harness):
    """
    A node that died under load had claimed thousands.
    """
    await harness.add_pending(*(planned(str(number)) for number in range(1, 1002)))
    await claim(harness.store, "worker-a", limit=2000)
    rescuer = harness.rescuer()
    running = asyncio.create_task(rescuer.run())
    async with asyncio.timeout(5):
        rescued = [await rescuer.rescued_signal.wait() for _ in range(3)]
    running.cancel()

    assert [500, 500, 1] == rescued
    assert ["delivery.rescued"] * 3 == harness.log.events("warning")
    assert {"delivery.attempted"} == set(harness.log.events("info"))
    assert (
        1001
        == len({fields["delivery"] for fields in attempt_events(harness)})
        == len(attempt_events(harness))
    )


async def test_a_lost_attempt_has_the_log_event_that_every_attempt_has(harness: Harness):
    """
    A count of attempts in the log, or a search for those of a delivery, finds this one, too.
    """
    await add_targets(harness.store, a_target())
    stored = replace(a_stored_event(planned("1")), trace=TRACE)
    await harness.store.write(lambda unit: unit.events.append(INSTANCE, [stored], NOW))
    await died_with(harness)
    harness.clock.advance(2 * LEASE)
    await harness.rescuer().check()
    expected = {
        "delivery": "1",
        "instance": INSTANCE,
        "target": "101",
        "attempt": 1,
        "outcome": "lost",
        "stage": "send",
        "status": 0,
        "ms": 0.0,
        "error": "the node died between sending and recording",
        "trace": TRACE.split("-")[1],
    }

    assert [("info", "delivery.attempted", expected)] == harness.log.kept


async def test_a_check_that_is_not_committed_leaves_no_log_event(harness: Harness):
    """
    A store may run a unit again: an attempt is logged once, and not before it is recorded.
    """
    await harness.add_pending(planned("1"), planned("2"))
    await died_with(harness)
    harness.clock.advance(2 * LEASE)
    rescuer = Rescuer(
        StumblingStore(harness.store), harness.runtime, harness.rescuer().schedule, harness.log
    )
    with pytest.raises(StoreDown):
        await rescuer.check()
    before = list(harness.log.kept)
    await rescuer.check()

    assert [] == before
    assert ["1", "2"] == [fields["delivery"] for fields in attempt_events(harness)]


async def test_the_delivery_of_a_deleted_target_has_no_attempt_and_no_log_event(harness: Harness):
    """
    One log event for each attempt, not for each delivery that was rescued.
    """
    await harness.add_pending(planned("1"))
    await died_with(harness)
    await delete_target(harness.store, "101")
    harness.clock.advance(2 * LEASE)

    assert 1 == await harness.rescuer().check()
    assert [] == harness.log.kept


async def test_of_two_rescuers_one_records_it(harness: Harness):
    """
    One runs in every worker.
    """
    await harness.add_pending(planned("1"))
    await died_with(harness)
    harness.clock.advance(2 * LEASE)
    rescued = await asyncio.gather(*(harness.rescuer().check() for _ in range(3)))

    assert 1 == sum(rescued) == len(attempt_events(harness))
    assert ["LOST"] == await harness.attempts()


async def test_a_worker_that_was_thought_dead_settles_nothing(harness: Harness):
    """
    Its computer slept. Meanwhile another worker has delivered it: that is what the log shows.
    """
    release = asyncio.Event()
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, DelayedResponse(release, Response(410, (), b"")))
    async with working(sleeper := harness.worker("worker-a")):
        await harness.client.reached(1)
        harness.clock.advance(2 * LEASE)
        await rescue(harness)
        sleeper.stop()
        async with working(another := harness.worker("worker-b")):
            await harness.reaches(another, "DELIVERED")
        release.set()

    assert {"1": "DELIVERED"} == await states(harness.store)
    assert ["LOST", "ACCEPTED"] == await harness.attempts()


async def test_a_worker_that_gets_its_own_delivery_again_settles_the_second_attempt(
    harness: Harness,
):
    """
    The first one is on record as LOST, whatever its answer says by now.
    """
    first, second = asyncio.Event(), asyncio.Event()
    await harness.add_pending(planned("1"))
    harness.client.script(
        HOOK, DelayedResponse(first, Response(410, (), b"")), DelayedResponse(second)
    )
    async with working(worker := harness.worker("worker-a")):
        await harness.client.reached(1)
        harness.clock.advance(2 * LEASE)
        await rescue(harness)
        await harness.client.reached(2)
        first.set()
        await worker.settled_signal.wait()
        await worker.settled_signal.wait()
        meanwhile = await states(harness.store)
        second.set()
        await harness.reaches(worker, "DELIVERED")

    assert {"1": "DELIVERING"} == meanwhile
    assert ["LOST", "ACCEPTED"] == await harness.attempts()


async def test_a_delivery_that_kills_its_node_ends(harness: Harness):
    """
    An answer that crashes the process must not crash it for ever.
    """
    await harness.add_pending(planned("1"))
    for number in range(10):
        await died_with(harness, owner=f"worker-{number}")
        harness.clock.advance(2 * LEASE)
        await rescue(harness)

    assert {"1": "DEAD"} == await states(harness.store)
    assert ["LOST"] * 10 == await harness.attempts()


@pytest.mark.parametrize(
    ("interrupts", "expected"), [(True, ["PENDING"] * 2), (False, ["DELIVERED"] * 2)]
)
async def test_dependents_of_a_lost_attempt_are_treated_as_after_any_failure(
    harness: Harness, interrupts, expected
):
    """
    They wait for a target that interrupts, and are released by one that does not.
    """
    first = a_target(interrupt_on_error=interrupts, endpoint="https://first.example/")
    targets = [first, a_target("102"), a_target("103")]
    await harness.add_pending(
        *planned_chain(("1", "101"), ("2", "102"), ("3", "103")), targets=targets
    )
    await died_with(harness)
    harness.clock.advance(2 * LEASE)
    await rescue(harness)
    harness.client.script(first.endpoint, Response(500, (), b""))
    async with working(worker := harness.worker()):
        await harness.tried(worker, 2)
        await harness.reaches(worker, "RETRYING", *expected)

    assert ["LOST", "FAILED"] == await harness.attempts()


async def test_the_delivery_of_a_deleted_target_is_cancelled(harness: Harness):
    """
    The node died while it called a target, and the operator deleted it meanwhile.
    """
    await harness.add_pending(planned("1"))
    await died_with(harness)
    await delete_target(harness.store, "101")
    harness.clock.advance(2 * LEASE)
    rescued = await rescue(harness)

    assert 1 == rescued
    assert {"1": "CANCELLED"} == await states(harness.store)
