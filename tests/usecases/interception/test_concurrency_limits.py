"""Bulkheads: a target that hangs takes its own permits alone, and no permit is ever lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.hostile import Hostile, answer, hangs, sends
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.ids import TargetId
from outrider.domain.outcome import Outcome
from outrider.usecases.interception.concurrency_limits import DEFAULT_MAX_CONCURRENCY, Bulkheads
from support.builders import ANOTHER_INSTANCE, INSTANCE
from usecases.interception.harness import call_target

TARGET = TargetId("101")
LONG = 60.0


class PermitHolder:
    """A task that acquires a permit, and holds it until it may release it."""

    def __init__(
        self, bulkheads: Bulkheads, limit: int = 1, seconds: float = LONG, **where
    ) -> None:
        self.has_permit = asyncio.Event()
        self.may_release = asyncio.Event()
        self.target_key = (where.get("instance", INSTANCE), where.get("target", TARGET))
        self.task = asyncio.create_task(self.hold(bulkheads, limit, seconds))

    async def hold(self, bulkheads: Bulkheads, limit: int, seconds: float) -> None:
        async with bulkheads.acquire(*self.target_key, limit, seconds):
            self.has_permit.set()
            await self.may_release.wait()
        self.has_permit.clear()

    async def release(self) -> None:
        self.may_release.set()
        await asyncio.wait([self.task])

    async def cancel(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def permitted(holders: list[PermitHolder]) -> list[int]:
    await settled()
    return [number for number, holder in enumerate(holders) if holder.has_permit.is_set()]


async def test_the_longest_waiter_is_next():
    """
    A newcomer does not overtake, even when a permit is free in the moment it comes.
    """
    bulkheads = Bulkheads()
    holders = [PermitHolder(bulkheads, 2) for _ in range(5)]
    assert [0, 1] == await permitted(holders)
    holders[0].may_release.set()
    holders.append(PermitHolder(bulkheads, 2))
    assert [1, 2] == await permitted(holders)
    await holders[2].release()
    assert [1, 3] == await permitted(holders)
    for holder in holders:
        await holder.release()

    assert len(bulkheads) == 0


async def test_without_a_limit_there_are_many_permits():
    """
    A policy without a limit is no invitation to take everything that the process has.
    """
    bulkheads = Bulkheads()
    holders = [PermitHolder(bulkheads, 0) for _ in range(DEFAULT_MAX_CONCURRENCY + 2)]
    assert list(range(DEFAULT_MAX_CONCURRENCY)) == await permitted(holders)
    for holder in holders:
        await holder.release()

    assert len(bulkheads) == 0


async def test_every_target_of_every_instance_has_its_own_bulkhead():
    """
    No other target is slower for it.
    """
    bulkheads = Bulkheads()
    holders = [
        PermitHolder(bulkheads),
        PermitHolder(bulkheads, target=TargetId("102")),
        PermitHolder(bulkheads, instance=ANOTHER_INSTANCE),
        PermitHolder(bulkheads),
    ]
    assert [0, 1, 2] == await permitted(holders)
    assert len(bulkheads) == 3
    for holder in holders:
        await holder.release()

    assert len(bulkheads) == 0


async def test_a_call_without_a_permit_in_time_has_not_reached_the_target():
    """
    The error says so, and the call is no longer in the way.
    """
    bulkheads = Bulkheads()
    holders = [
        PermitHolder(bulkheads),
        PermitHolder(bulkheads, seconds=0.02),
        PermitHolder(bulkheads),
    ]
    await asyncio.wait([holders[1].task])
    failure = holders[1].task.exception()

    assert isinstance(failure, RequestError)
    assert (Outcome.UNREACHABLE, Stage.CONNECT) == (failure.outcome, failure.stage)
    assert (
        "reached the limit of 1 concurrent calls to this target;"
        " no permit was released within 0.02 s"
    ) == failure.reason
    assert "<Bulkheads 1 targets [in use 1 | waiting 1]>" == repr(bulkheads)
    await holders[0].release()
    assert [2] == await permitted(holders)
    await holders[2].release()
    assert len(bulkheads) == 0


@pytest.mark.parametrize("is_another_waiting", [True, False])
async def test_cancelled_in_the_moment_of_being_admitted(is_another_waiting):
    """
    The permit that came too late is the next one's, or the bulkhead vanishes with it.
    """
    bulkheads = Bulkheads()
    holders = [PermitHolder(bulkheads), PermitHolder(bulkheads)]
    holders += [PermitHolder(bulkheads)] if is_another_waiting else []
    await settled()
    holders[0].may_release.set()
    # The first releases in this step of the loop; the second is admitted, and has not run yet.
    await asyncio.sleep(0)
    holders[1].task.cancel()
    await asyncio.wait([holders[1].task])
    assert holders[1].task.cancelled()
    assert ([2] if is_another_waiting else []) == await permitted(holders)
    for holder in holders:
        await holder.release()

    assert len(bulkheads) == 0


@pytest.mark.parametrize("waiting", [1, 3])
async def test_all_that_wait_are_cancelled(waiting):
    """
    A server that stops drops them all.
    """
    bulkheads = Bulkheads()
    holders = [PermitHolder(bulkheads) for _ in range(1 + waiting)]
    await settled()
    for holder in holders:
        holder.task.cancel()
    await asyncio.wait([holder.task for holder in holders])

    assert len(bulkheads) == 0


async def test_a_policy_with_a_higher_limit_admits_waiters():
    """
    An operator raises the limit while a target is at it: no waiter needs a release.
    """
    bulkheads = Bulkheads()
    holders = [PermitHolder(bulkheads, 1) for _ in range(3)]
    assert [0] == await permitted(holders)
    holders.append(PermitHolder(bulkheads, 3))
    assert [0, 1, 2] == await permitted(holders)
    holders.append(PermitHolder(bulkheads, 1))
    await holders[0].release()
    await holders[1].release()
    assert [2] == await permitted(holders)
    for holder in holders:
        await holder.release()

    assert len(bulkheads) == 0


async def test_an_error_inside_releases_the_permit():
    """
    Calls fail all the time.
    """
    bulkheads = Bulkheads()
    with pytest.raises(ZeroDivisionError):
        async with bulkheads.acquire(INSTANCE, TARGET, 1, LONG):
            raise ZeroDivisionError

    assert len(bulkheads) == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "release", "cancel", "step"]),
        st.integers(0, 9),
        st.integers(1, 3),
    ),
    max_size=40,
)


@given(STEPS)
def test_in_every_order_of_steps_no_permit_is_lost(steps):
    """
    Never more than the limit, never fewer while a task waits, and none is in use in the end.
    """
    asyncio.run(taken(steps))


async def taken(steps: list[tuple[str, int, int]]) -> None:
    bulkheads, holders, limit = Bulkheads(), [], 1
    for what, number, new_limit in steps:
        if what == "acquire":
            limit = new_limit
            holders.append(PermitHolder(bulkheads, new_limit))
        elif what == "step":
            await asyncio.sleep(0)
        elif holders:
            holder = holders[number % len(holders)]
            # Only asked to: it happens in the middle of whatever comes next.
            holder.may_release.set() if what == "release" else holder.task.cancel()
    in_use = len(await permitted(holders))
    alive = Counter(holder.task.done() for holder in holders)[False]
    assert min(limit, alive) <= in_use
    for holder in holders:
        await holder.cancel()
    assert len(bulkheads) == 0


async def test_a_target_that_hangs_takes_its_own_permits_alone(harness):
    """
    Through the engine: others are called as if nothing were.
    """
    async with Hostile(hangs) as stuck, Hostile(sends(answer())) as quick:
        await harness.bind("request", call_target(stuck.url(), "101"))
        await harness.bind("response", call_target(quick.url(), "102"))
        await harness.policy("101", max_concurrency=2)
        await harness.policy("102", max_concurrency=2)
        hanging = [asyncio.create_task(harness.run("request")) for _ in range(5)]
        await stuck.heard.wait()
        done = await asyncio.gather(*(harness.run("response") for _ in range(10)))

        assert {"ACCEPTED"} == {call.outcome.name for result in done for call in result.calls}
        assert stuck.connections <= 2
        assert quick.connections <= 2
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)
