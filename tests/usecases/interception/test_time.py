"""One budget for all targets of a run: no caller waits longer, and no target is starved."""

from __future__ import annotations

import asyncio
import re

import pytest

from adapters.http.hostile import Hostile, answer, hangs, sends
from outrider.domain.targets.target import TargetType
from outrider.errors import OutriderError
from outrider.testing.receiver import Receiver
from usecases.interception.harness import KINDS, call_target, open_harness

# What a busy machine may add to a time-out, or take of one before its target is called.
A_LITTLE = 2.0


def durations(done) -> list[float]:
    return [call.duration.total_seconds() for call in done.calls]


def allowed(done) -> list[float]:
    """The seconds that each call had, according to its error."""
    return [seconds_in(call.error) for call in done.calls]


def seconds_in(error: str) -> float:
    return float(re.fullmatch(r"time-out after (.+) s while waiting for the answer", error)[1])


@pytest.mark.parametrize("kind", KINDS)
async def test_three_that_hang_share_what_there_is(harness, kind):
    """
    Each with a time-out of half a minute: the caller has 1.2 s, and each gets its part of it.
    """
    async with Hostile(hangs) as server:
        await harness.bind(
            kind,
            call_target(server.url(), "101", seconds=30, interrupt_on_error=False),
            call_target(server.url(), "102", seconds=30, interrupt_on_error=False),
            call_target(server.url(), "103", seconds=60, interrupt_on_error=False),
        )
        began = asyncio.get_running_loop().time()
        done = await harness.run(kind, seconds=1.2)
        took = asyncio.get_running_loop().time() - began

        assert 1.15 <= took <= 1.2 + A_LITTLE
        assert 3 == len(server.requests)
    assert ["UNREACHABLE"] * 3 == [call.outcome.name for call in done.calls]
    # A quarter of what there is, and of what is left; the last one has all the rest.
    first, second, third = allowed(done)
    assert 0.2 <= first <= 0.3
    assert first <= third
    assert first + second + third <= 1.201
    assert all(
        took >= had - 0.005 for took, had in zip(durations(done), allowed(done), strict=True)
    )


async def test_a_fast_one_leaves_its_time_to_the_others(harness):
    """
    The one that hangs is heard out for nearly the whole budget instead of half of it.
    """
    async with Hostile(sends(answer())) as fast, Hostile(hangs) as slow:
        await harness.bind(
            "request",
            call_target(fast.url(), "101", seconds=30),
            call_target(slow.url(), "102", seconds=30, interrupt_on_error=False),
        )
        done = await harness.run("request", seconds=1.2)

    assert ["ACCEPTED", "UNREACHABLE"] == [call.outcome.name for call in done.calls]
    assert durations(done)[1] > 0.6


async def test_an_asynchronous_target_has_no_part_of_the_time(harness):
    """
    However long its own time-out is, and wherever it stands.
    """
    async with Hostile(hangs) as server:
        asynchronous = {"seconds": 270, "type": TargetType.REST_ASYNC}
        await harness.bind(
            "request",
            call_target(server.url(), "101", **asynchronous),
            call_target(server.url(), "102", seconds=30, interrupt_on_error=False),
            call_target(server.url(), "103", **asynchronous),
        )
        done = await harness.run("request", seconds=0.6)

    [error] = [call.error for call in done.calls if call.error]
    assert "102" == done.calls[1].target_id
    assert 0.3 < seconds_in(error) <= 0.6


async def test_a_target_has_its_own_time_where_there_is_enough_for_all(harness):
    """
    A generous caller does not make a target slower.
    """
    async with Hostile(hangs) as server:
        await harness.bind(
            "request", call_target(server.url(), seconds=0.5, interrupt_on_error=False)
        )
        done = await harness.run("request", seconds=30)

    [seconds] = allowed(done)
    assert 0.1 < seconds <= 0.5


@pytest.mark.parametrize("seconds", [0.0, -1.0])
@pytest.mark.parametrize("interrupts", [True, False])
async def test_a_caller_without_time(harness, receiver, seconds, interrupts):
    """
    No target is called, and the rules for the unreachable hold.
    """
    await harness.bind("request", call_target(receiver.url, interrupt_on_error=interrupts))
    if interrupts:
        with pytest.raises(OutriderError, match="Execution failed"):
            await harness.run("request", seconds=seconds)
    else:
        done = await harness.run("request", seconds=seconds)
        assert ["the caller's time was over before it was this target's turn"] == [
            call.error for call in done.calls
        ]

    assert [] == receiver.calls


@pytest.mark.parametrize("seconds", [None, 3600.0])
async def test_no_caller_waits_longer_than_the_longest_run(seconds):
    """
    Whatever the caller and the targets would agree to.
    """
    async with Hostile(hangs) as server, open_harness(longest=0.5) as harness:
        await harness.bind(
            "request", call_target(server.url(), seconds=270, interrupt_on_error=False)
        )
        done = await harness.run("request", seconds=seconds)

    [had] = allowed(done)
    assert 0.1 < had <= 0.5


async def test_waiting_for_a_permit_counts(harness):
    """
    A full target takes no more of the caller's time than a slow one.
    """
    async with Hostile(hangs) as server, Receiver() as free:
        await harness.bind(
            "request",
            call_target(server.url(), "101", seconds=30, interrupt_on_error=False),
            call_target(free.url, "102", seconds=30),
        )
        await harness.policy("101", max_concurrency=1)
        first = asyncio.create_task(harness.run("request", seconds=30))
        await server.heard.wait()
        done = await harness.run("request", seconds=1.5)

        assert 1 == len(server.requests)
        first.cancel()
        await asyncio.wait([first])
    assert ["UNREACHABLE", "ACCEPTED"] == [call.outcome.name for call in done.calls]
    assert done.calls[0].error.startswith(
        "reached the limit of 1 concurrent calls to this target; no permit was released within 0."
    )
