"""A worker that died, or was thought dead: who gets its deliveries, and whose word counts."""

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
from outrider.usecases.ports.store import Store, Unit
from outrider.worker.rescuer import Rescuer
from outrider.worker.worker import LEASE
from support.builders import (
    INSTANCE,
    a_stored_event,
    a_target,
    planned,
    planned_line,
)
from support.runtime import NOW
from worker.faulty_store import Door, StoreDown
from worker.harness import Harness, Held, working

MICROSECOND = timedelta(microseconds=1)
HOOK = a_target().endpoint
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
T = TypeVar("T")


async def died_with(rig: Harness, *, owner: str = "worker-a") -> None:
    """A worker claims what is due, and is never heard of again."""
    now = rig.clock()
    await rig.store.write(lambda unit: unit.leases.renew(owner, now + LEASE))
    await claim(rig.store, owner, now=now, limit=1000)


def lines(rig: Harness) -> list[dict[str, Any]]:
    """The lines of attempts."""
    return [fields for _, event, fields in rig.log.kept if event == "delivery.attempted"]


class Stumbling(Door):
    """A store that takes back the first unit when its work is done, and runs the second twice."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._taken_back = 0

    async def write(self, work: Callable[[Unit], T], *, shared: bool = False) -> T:
        """See the port."""

        def stumble(unit: Unit) -> T:
            work(unit)
            raise StoreDown

        self._taken_back += 1
        with suppress(StoreDown) if self._taken_back > 1 else nullcontext():
            return await super().write(stumble, shared=shared)
        return await super().write(work, shared=shared)


async def rescue(rig: Harness) -> int:
    """What a rescuer does when it looks; how many it has found."""
    return await rig.store.write(rig.rescuer().rescue)


async def test_what_a_dead_worker_held_is_lost_and_due(rig: Harness):
    """
    As soon as its lease is over, and not before: a living worker must not be robbed.
    """
    await rig.owe(planned("1"), planned("2"))
    await died_with(rig)
    rig.clock.advance(LEASE - MICROSECOND)
    too_early = await rescue(rig)
    rig.clock.advance(2 * MICROSECOND)
    rescued = await rescue(rig)
    delivery = await rig.delivery()
    [attempt] = delivery.attempts

    assert (0, 2) == (too_early, rescued)
    assert {"1": "RETRYING", "2": "RETRYING"} == await states(rig.store)
    assert ("LOST", NOW, 0) == (attempt.outcome.name, attempt.started_at, attempt.status_code)
    assert "the node died between sending and recording" == attempt.error
    assert delivery.next_attempt_at <= rig.clock()


async def test_a_rescuer_gives_back_any_number_without_a_pause(rig: Harness):
    """
    A node that died under load held thousands.
    """
    await rig.owe(*(planned(str(number)) for number in range(1, 1002)))
    await claim(rig.store, "worker-a", limit=2000)
    rescuer = rig.rescuer()
    running = asyncio.create_task(rescuer.run())
    async with asyncio.timeout(5):
        rescued = [await rescuer.rescued_signal.wait() for _ in range(3)]
    running.cancel()

    assert [500, 500, 1] == rescued
    assert ["delivery.rescued"] * 3 == rig.log.events("warning")
    assert {"delivery.attempted"} == set(rig.log.events("info"))
    assert 1001 == len({line["delivery"] for line in lines(rig)}) == len(lines(rig))


async def test_a_lost_attempt_has_the_line_that_every_attempt_has(rig: Harness):
    """
    Who counts attempts in the log, or looks for those of a delivery, finds this one, too.
    """
    await add_targets(rig.store, a_target())
    stored = replace(a_stored_event(planned("1")), trace=TRACE)
    await rig.store.write(lambda unit: unit.events.append(INSTANCE, [stored], NOW))
    await died_with(rig)
    rig.clock.advance(2 * LEASE)
    await rig.rescuer().look()
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

    assert [("info", "delivery.attempted", expected)] == rig.log.kept


async def test_a_look_that_is_not_committed_leaves_no_line(rig: Harness):
    """
    A store may run a unit again: an attempt is told of once, and not before it is recorded.
    """
    await rig.owe(planned("1"), planned("2"))
    await died_with(rig)
    rig.clock.advance(2 * LEASE)
    rescuer = Rescuer(Stumbling(rig.store), rig.runtime, rig.rescuer().schedule, rig.log)
    with pytest.raises(StoreDown):
        await rescuer.look()
    before = list(rig.log.kept)
    await rescuer.look()

    assert [] == before
    assert ["1", "2"] == [line["delivery"] for line in lines(rig)]


async def test_the_delivery_of_a_deleted_target_has_no_attempt_and_no_line(rig: Harness):
    """
    One line for each attempt in the log, not for each delivery that was given back.
    """
    await rig.owe(planned("1"))
    await died_with(rig)
    await delete_target(rig.store, "101")
    rig.clock.advance(2 * LEASE)

    assert 1 == await rig.rescuer().look()
    assert [] == rig.log.kept


async def test_of_two_rescuers_one_records_it(rig: Harness):
    """
    One runs beside every worker.
    """
    await rig.owe(planned("1"))
    await died_with(rig)
    rig.clock.advance(2 * LEASE)
    rescued = await asyncio.gather(*(rig.rescuer().look() for _ in range(3)))

    assert 1 == sum(rescued) == len(lines(rig))
    assert ["LOST"] == await rig.attempts()


async def test_a_worker_that_was_thought_dead_settles_nothing(rig: Harness):
    """
    Its computer slept. Meanwhile somebody else has delivered it: that is what the log tells.
    """
    release = asyncio.Event()
    await rig.owe(planned("1"))
    rig.caller.script(HOOK, Held(release, Response(410, (), b"")))
    async with working(sleeper := rig.worker("worker-a")):
        await rig.caller.reached(1)
        rig.clock.advance(2 * LEASE)
        await rescue(rig)
        sleeper.stop()
        async with working(another := rig.worker("worker-b")):
            await rig.reaches(another, "DELIVERED")
        release.set()

    assert {"1": "DELIVERED"} == await states(rig.store)
    assert ["LOST", "ACCEPTED"] == await rig.attempts()


async def test_a_worker_that_gets_its_own_delivery_again_settles_the_second_attempt(rig: Harness):
    """
    The first one is on record as LOST, whatever its answer says by now.
    """
    first, second = asyncio.Event(), asyncio.Event()
    await rig.owe(planned("1"))
    rig.caller.script(HOOK, Held(first, Response(410, (), b"")), Held(second))
    async with working(worker := rig.worker("worker-a")):
        await rig.caller.reached(1)
        rig.clock.advance(2 * LEASE)
        await rescue(rig)
        await rig.caller.reached(2)
        first.set()
        await worker.settled_signal.wait()
        await worker.settled_signal.wait()
        meanwhile = await states(rig.store)
        second.set()
        await rig.reaches(worker, "DELIVERED")

    assert {"1": "DELIVERING"} == meanwhile
    assert ["LOST", "ACCEPTED"] == await rig.attempts()


async def test_a_delivery_that_kills_its_node_ends(rig: Harness):
    """
    An answer that crashes the process must not crash it for ever.
    """
    await rig.owe(planned("1"))
    for number in range(10):
        await died_with(rig, owner=f"worker-{number}")
        rig.clock.advance(2 * LEASE)
        await rescue(rig)

    assert {"1": "DEAD"} == await states(rig.store)
    assert ["LOST"] * 10 == await rig.attempts()


@pytest.mark.parametrize(
    ("interrupts", "expected"), [(True, ["PENDING"] * 2), (False, ["DELIVERED"] * 2)]
)
async def test_those_behind_a_lost_attempt_are_treated_as_after_any_failure(
    rig: Harness, interrupts, expected
):
    """
    Held by a target that interrupts, released by one that does not.
    """
    first = a_target(interrupt_on_error=interrupts, endpoint="https://first.example/")
    targets = [first, a_target("102"), a_target("103")]
    await rig.owe(*planned_line(("1", "101"), ("2", "102"), ("3", "103")), targets=targets)
    await died_with(rig)
    rig.clock.advance(2 * LEASE)
    await rescue(rig)
    rig.caller.script(first.endpoint, Response(500, (), b""))
    async with working(worker := rig.worker()):
        await rig.tried(worker, 2)
        await rig.reaches(worker, "RETRYING", *expected)

    assert ["LOST", "FAILED"] == await rig.attempts()


async def test_the_delivery_of_a_deleted_target_is_cancelled(rig: Harness):
    """
    The node died while it called a target, and the operator deleted it meanwhile.
    """
    await rig.owe(planned("1"))
    await died_with(rig)
    await delete_target(rig.store, "101")
    rig.clock.advance(2 * LEASE)
    rescued = await rescue(rig)

    assert 1 == rescued
    assert {"1": "CANCELLED"} == await states(rig.store)
