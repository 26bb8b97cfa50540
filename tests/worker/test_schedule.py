"""When a delivery is tried again, to the microsecond, and what is the same on every attempt."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import pytest

from outrider.domain.calls.request import Response
from outrider.domain.targets.retry_schedule import DEFAULT_WAITS
from outrider.domain.targets.target import PayloadType, SigningKey
from outrider.worker.worker import Worker
from outrider_receiver import verify
from support.builders import (
    INSTANCE,
    SIGNING_KEY,
    a_stored_event,
    a_target,
    an_event,
    planned,
)
from support.runtime import NOW
from worker.harness import Harness, header, working

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
HOOK = a_target().endpoint
FAILURE = Response(500, (), b"")


async def next_attempt_at(harness: Harness):
    """When the delivery will be tried again."""
    return (await harness.delivery()).next_attempt_at


async def wait_of(harness: Harness) -> timedelta:
    """How long it waits from the end of its last attempt."""
    delivery = await harness.delivery()
    last = delivery.attempts[-1]
    return delivery.next_attempt_at - last.started_at - last.duration


async def polled(harness: Harness, worker: Worker, number: str) -> None:
    """Return when the worker has delivered something else: what was due, it has seen."""
    stored = a_stored_event(planned(number, "102"), event=an_event(f"event-{number}"))
    now = harness.clock()
    await harness.store.write(lambda unit: unit.events.append(INSTANCE, [stored], now))
    while "DELIVERED" != (await harness.delivery(number)).state.name:
        await worker.settled_signal.wait()


async def test_a_retry_comes_at_its_time_and_not_before(harness: Harness):
    """
    A receiver that asked for time gets it.
    """
    await harness.add_pending(planned("1"), targets=[a_target(), a_target("102")])
    harness.client.script(HOOK, FAILURE)
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING")
        due_at = await next_attempt_at(harness)
        harness.clock.advance(due_at - harness.clock() - MICROSECOND)
        await polled(harness, worker, "2")
        before = await harness.attempts()
        harness.clock.advance(MICROSECOND)
        await harness.reaches(worker, "DELIVERED", "DELIVERED")

    assert ["FAILED"] == before
    assert ["FAILED", "ACCEPTED"] == await harness.attempts()


async def test_after_the_last_wait_it_is_dead(harness: Harness):
    """
    Three days are enough; from then on a person decides.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, *[FAILURE] * 10)
    waits = []
    async with working(worker := harness.worker()):
        # A worker that only polled once a second would be late nine times.
        async with asyncio.timeout(6):
            for number in range(1, 10):
                await harness.tried(worker, number)
                waits.append(await wait_of(harness))
                harness.clock.advance(await next_attempt_at(harness) - harness.clock())
            await harness.reaches(worker, "DEAD")
    delivery = await harness.delivery()

    assert list(DEFAULT_WAITS) == waits
    assert [*range(1, 11)] == [attempt.number for attempt in delivery.attempts]
    assert (None, 10) == (delivery.next_attempt_at, delivery.attempt_count)
    assert harness.clock() == delivery.finished_at


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param("90", timedelta(seconds=90), id="seconds"),
        pytest.param(
            format_datetime(NOW + timedelta(minutes=10), usegmt=True), timedelta(0), id="date"
        ),
        pytest.param("1", timedelta(seconds=5), id="less than the schedule says"),
        pytest.param("31536000", timedelta(hours=24), id="a year is cut"),
        pytest.param("soon", timedelta(seconds=5), id="nonsense"),
        pytest.param("-5", timedelta(seconds=5), id="negative"),
    ],
)
async def test_a_receiver_may_ask_for_more_time(harness: Harness, asked, expected):
    """
    It may slow us down, it may not delay a delivery for a year.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, Response(503, (("retry-after", asked),), b""))
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING")
    due_at = await next_attempt_at(harness)

    if expected:
        assert expected == await wait_of(harness)
    else:
        assert due_at.replace(microsecond=0) == (NOW + timedelta(minutes=10)).replace(microsecond=0)


async def test_410_is_final_whatever_it_asks_for(harness: Harness):
    """
    Gone is gone.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, Response(410, (("retry-after", "60"),), b""))
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "DEAD")


async def test_every_attempt_sends_the_same_bytes_under_a_new_signature(harness: Harness):
    """
    Receivers tell a repetition by its id, and refuse signatures that are old.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, FAILURE, FAILURE)
    signed_at = []
    async with working(worker := harness.worker()):
        for number in range(1, 4):
            await harness.client.reached(number)
            signed_at.append(harness.clock())
            await harness.tried(worker, number)
            harness.clock.advance(timedelta(hours=1))
        await harness.reaches(worker, "DELIVERED")
    verified = [
        verify(call.body, call.headers, signing_keys=SIGNING_KEY, now=at.timestamp())
        for call, at in zip(harness.client.calls, signed_at, strict=True)
    ]

    assert {a_stored_event().body} == {call.body for call in harness.client.calls}
    assert [(number, "1") for number in (1, 2, 3)] == [
        (delivery.attempt, delivery.delivery_id) for delivery in verified
    ]
    assert [at.replace(microsecond=0) for at in signed_at] == [
        delivery.signed_at for delivery in verified
    ]
    assert 3 == len({header(call, "webhook-signature") for call in harness.client.calls})


async def test_the_target_is_taken_as_it_is_when_the_attempt_is_made(harness: Harness):
    """
    A corrected endpoint, key or payload type counts for deliveries that wait for their retry.
    """
    await harness.add_pending(planned("1"), targets=[a_target(payload_type=PayloadType.JWT)])
    corrected = a_target(
        endpoint="https://corrected.example/hook",
        timeout=timedelta(seconds=3),
        signing_keys=[SigningKey("another key"), SigningKey(SIGNING_KEY, NOW + SECOND)],
    )
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING")
        await harness.store.write(lambda unit: unit.targets.replace(INSTANCE, corrected))
        harness.clock.advance(await next_attempt_at(harness) - harness.clock())
        await harness.reaches(worker, "DELIVERED")
    [call] = harness.client.calls

    assert ("https://corrected.example/hook", 3.0) == (call.url, call.timeout)
    # The replaced key has expired by now.
    assert 1 == header(call, "zitadel-signature").count("v1=")
    assert verify(
        call.body, call.headers, signing_keys="another key", now=harness.clock().timestamp()
    )


async def test_a_clock_that_goes_back_loses_nothing(harness: Harness):
    """
    Time servers correct clocks in both directions.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, FAILURE)
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING")
        due_at = await next_attempt_at(harness)
        harness.clock.advance(-timedelta(hours=1))
        await worker.settled_signal.wait()
        harness.clock.advance(due_at - harness.clock())
        await harness.reaches(worker, "DELIVERED")
