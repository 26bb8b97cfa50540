"""Room at each target: one that hangs fills its own, and no place is ever lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.hostile import Hostile, answer, hangs, says
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.ids import TargetId
from outrider.domain.outcome import Outcome
from outrider.usecases.interception.concurrency_limits import DEFAULT_ROOM, Bulkheads
from support.builders import ANOTHER_INSTANCE, INSTANCE
from usecases.interception.harness import call_target

TARGET = TargetId("101")
LONG = 60.0


class Guest:
    """Somebody who takes a place, and holds it until told to leave."""

    def __init__(
        self, bulkheads: Bulkheads, places: int = 1, seconds: float = LONG, **where
    ) -> None:
        self.is_in = asyncio.Event()
        self.may_leave = asyncio.Event()
        self.where = (where.get("instance", INSTANCE), where.get("target", TARGET))
        self.task = asyncio.create_task(self.stay(bulkheads, places, seconds))

    async def stay(self, bulkheads: Bulkheads, places: int, seconds: float) -> None:
        async with bulkheads.place(*self.where, places, seconds):
            self.is_in.set()
            await self.may_leave.wait()
        self.is_in.clear()

    async def leave(self) -> None:
        self.may_leave.set()
        await asyncio.wait([self.task])

    async def cancel(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def settled() -> None:
    """Let everybody go as far as he can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def who_is_in(guests: list[Guest]) -> list[int]:
    await settled()
    return [number for number, each in enumerate(guests) if each.is_in.is_set()]


async def test_who_waits_longest_is_next():
    """
    A newcomer does not overtake, even when a place is free in the moment he comes.
    """
    bulkheads = Bulkheads()
    guests = [Guest(bulkheads, 2) for _ in range(5)]
    assert [0, 1] == await who_is_in(guests)
    guests[0].may_leave.set()
    guests.append(Guest(bulkheads, 2))
    assert [1, 2] == await who_is_in(guests)
    await guests[2].leave()
    assert [1, 3] == await who_is_in(guests)
    for guest in guests:
        await guest.leave()

    assert len(bulkheads) == 0


async def test_without_a_number_there_are_many_places():
    """
    A policy without a limit is no invitation to hold everything that the process has.
    """
    bulkheads = Bulkheads()
    guests = [Guest(bulkheads, 0) for _ in range(DEFAULT_ROOM + 2)]
    assert list(range(DEFAULT_ROOM)) == await who_is_in(guests)
    for guest in guests:
        await guest.leave()

    assert len(bulkheads) == 0


async def test_every_target_of_every_instance_has_its_own_room():
    """
    Nobody else is slower for it.
    """
    bulkheads = Bulkheads()
    guests = [
        Guest(bulkheads),
        Guest(bulkheads, target=TargetId("102")),
        Guest(bulkheads, instance=ANOTHER_INSTANCE),
        Guest(bulkheads),
    ]
    assert [0, 1, 2] == await who_is_in(guests)
    assert len(bulkheads) == 3
    for guest in guests:
        await guest.leave()

    assert len(bulkheads) == 0


async def test_who_gets_no_place_in_time_has_not_reached_the_target():
    """
    He is told so, and is no longer in the way.
    """
    bulkheads = Bulkheads()
    guests = [Guest(bulkheads), Guest(bulkheads, seconds=0.02), Guest(bulkheads)]
    await asyncio.wait([guests[1].task])
    failure = guests[1].task.exception()

    assert isinstance(failure, RequestError)
    assert (Outcome.UNREACHABLE, Stage.CONNECT) == (failure.outcome, failure.stage)
    assert "all 1 places at this target were taken for 0.02 s" == failure.reason
    assert "<Bulkheads 1 rooms [taken 1 | waiting 1]>" == repr(bulkheads)
    await guests[0].leave()
    assert [2] == await who_is_in(guests)
    await guests[2].leave()
    assert len(bulkheads) == 0


@pytest.mark.parametrize("is_another_waiting", [True, False])
async def test_cancelled_in_the_moment_of_being_admitted(is_another_waiting):
    """
    The place that came too late is the next one's, or the room vanishes with it.
    """
    bulkheads = Bulkheads()
    guests = [Guest(bulkheads), Guest(bulkheads)]
    guests += [Guest(bulkheads)] if is_another_waiting else []
    await settled()
    guests[0].may_leave.set()
    # The first leaves in this turn of the loop; the second is admitted, and has not run yet.
    await asyncio.sleep(0)
    guests[1].task.cancel()
    await asyncio.wait([guests[1].task])
    assert guests[1].task.cancelled()
    assert ([2] if is_another_waiting else []) == await who_is_in(guests)
    for guest in guests:
        await guest.leave()

    assert len(bulkheads) == 0


@pytest.mark.parametrize("waiting", [1, 3])
async def test_everybody_who_waits_is_cancelled(waiting):
    """
    A server that stops drops them all.
    """
    bulkheads = Bulkheads()
    guests = [Guest(bulkheads) for _ in range(1 + waiting)]
    await settled()
    for guest in guests:
        guest.task.cancel()
    await asyncio.wait([guest.task for guest in guests])

    assert len(bulkheads) == 0


async def test_a_policy_that_makes_room_lets_waiters_in():
    """
    An operator raises the limit while a target is full: nobody waits for somebody to leave.
    """
    bulkheads = Bulkheads()
    guests = [Guest(bulkheads, 1) for _ in range(3)]
    assert [0] == await who_is_in(guests)
    guests.append(Guest(bulkheads, 3))
    assert [0, 1, 2] == await who_is_in(guests)
    guests.append(Guest(bulkheads, 1))
    await guests[0].leave()
    await guests[1].leave()
    assert [2] == await who_is_in(guests)
    for guest in guests:
        await guest.leave()

    assert len(bulkheads) == 0


async def test_an_error_inside_gives_the_place_back():
    """
    Calls fail all the time.
    """
    bulkheads = Bulkheads()
    with pytest.raises(ZeroDivisionError):
        async with bulkheads.place(INSTANCE, TARGET, 1, LONG):
            raise ZeroDivisionError

    assert len(bulkheads) == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["come", "leave", "cancel", "turn"]), st.integers(0, 9), st.integers(1, 3)
    ),
    max_size=40,
)


@given(STEPS)
def test_however_guests_come_and_go_no_place_is_lost(steps):
    """
    Never more than there are, never fewer while somebody waits, and nothing is left in the end.
    """
    asyncio.run(visited(steps))


async def visited(steps: list[tuple[str, int, int]]) -> None:
    bulkheads, guests, places = Bulkheads(), [], 1
    for what, number, wanted in steps:
        if what == "come":
            places = wanted
            guests.append(Guest(bulkheads, wanted))
        elif what == "turn":
            await asyncio.sleep(0)
        elif guests:
            guest = guests[number % len(guests)]
            # Only asked to: it happens in the middle of whatever comes next.
            guest.may_leave.set() if what == "leave" else guest.task.cancel()
    inside = len(await who_is_in(guests))
    there = Counter(each.task.done() for each in guests)[False]
    assert min(places, there) <= inside
    for each in guests:
        await each.cancel()
    assert len(bulkheads) == 0


async def test_one_that_hangs_fills_its_own_room_alone(rig):
    """
    Through the engine: others are called as if nothing were.
    """
    async with Hostile(hangs) as stuck, Hostile(says(answer())) as quick:
        await rig.bind("request", call_target(stuck.url(), "101"))
        await rig.bind("response", call_target(quick.url(), "102"))
        await rig.policy("101", max_concurrency=2)
        await rig.policy("102", max_concurrency=2)
        hanging = [asyncio.create_task(rig.run("request")) for _ in range(5)]
        await stuck.heard.wait()
        done = await asyncio.gather(*(rig.run("response") for _ in range(10)))

        assert {"ACCEPTED"} == {call.outcome.name for each in done for call in each.calls}
        assert stuck.connections <= 2
        assert quick.connections <= 2
        for each in hanging:
            each.cancel()
        await asyncio.wait(hanging)
