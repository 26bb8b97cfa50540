"""A bad receiver hurts no other; limits, breakers and pauses, seen from real receivers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from contracts.store.delivery.target_queues import add_many_pending, set_policy
from contracts.store.steps import add_pending, add_targets, states
from outrider.adapters.http.client import EgressClient
from outrider.domain.ids import TargetId
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile
from outrider.domain.targets.policy import Breaker, Ordering, RetryPolicy, TargetPolicy
from outrider.runtime import utc_now
from outrider.testing.receiver import Answer, Receiver
from support.builders import (
    INSTANCE,
    a_stored_event,
    a_target,
    an_event,
    an_event_condition,
    an_execution,
    planned,
)
from worker.harness import Harness, working

GONE, BAD, BUSY = Answer(status=410), Answer(status=500), Answer(status=503)
AT_ONCE = RetryPolicy(waits=(timedelta(milliseconds=20),) * 50, jitter=0.0)


@pytest.fixture
async def live(harness: Harness) -> AsyncIterator[Harness]:
    """A harness whose calls leave, and whose clock runs."""
    client = EgressClient(EgressPolicy(EgressProfile.DEV, ()), user_agent="outrider/test")
    harness.client, harness.clock = client, utc_now
    yield harness
    await client.aclose()


@pytest.mark.parametrize("concurrency", [4, 64])
async def test_a_target_that_hangs_leaves_slots_from_the_first_moment(live: Harness, concurrency):
    """
    No policy, a backlog in front, its time-out not known yet: others are called immediately.
    """
    silence = asyncio.Event()
    async with Receiver(lambda _: Answer(hang_until=silence)) as hanging, Receiver() as well:
        targets = [a_target(endpoint=hanging.url), a_target("102", endpoint=well.url)]
        await add_targets(live.store, *targets)
        await add_many_pending(live.store, 600, "101", first=1000, now=utc_now())
        async with working(live.worker(concurrency=concurrency)):
            await hanging.wait_for(1)
            took = []
            for number in range(1, 6):
                began = time.perf_counter()
                await add_pending(live.store, planned(str(number), "102"), event=f"quick-{number}")
                await well.wait_for(number, within=5)
                took.append(time.perf_counter() - began)
            silence.set()

    # A worker that knows nothing of its store's changes polls once a second.
    assert max(took) < 2
    assert len(hanging.calls) <= 600


async def test_many_targets_that_hang_leave_slots(live: Harness):
    """
    Each has one slot at least; those that are known to answer have a quarter for themselves.
    """
    silence = asyncio.Event()
    async with Receiver(lambda _: Answer(hang_until=silence)) as hanging, Receiver() as well:
        bad = [a_target(str(number), endpoint=hanging.url) for number in range(201, 241)]
        await add_targets(live.store, a_target(endpoint=well.url), *bad)
        await add_pending(live.store, planned("1"), event="first")
        async with working(live.worker(concurrency=16)):
            await well.wait_for(1)
            await add_pending(
                live.store, *(planned(target.id, target.id) for target in bad), event="bad"
            )
            await hanging.wait_for(12)
            await add_pending(live.store, planned("2"), event="second")
            await well.wait_for(2, within=5)
            silence.set()


async def test_a_rate_is_kept_at_the_receiver(live: Harness):
    """
    In no window are there more than the rate and its small burst.
    """
    arrived: list[float] = []

    def answer(_):
        arrived.append(time.perf_counter())
        return Answer()

    async with Receiver(answer) as receiver:
        await add_targets(live.store, a_target(endpoint=receiver.url))
        await set_policy(live.store, TargetPolicy(rate_per_second=20), now=utc_now())
        await add_many_pending(live.store, 30, first=100, now=utc_now())
        async with working(live.worker()):
            await receiver.wait_for(30)

    # The burst is four; what comes late leaves a little less time to the next.
    assert arrived[-1] - arrived[0] >= (30 - 4 - 1) / 20 - 0.05
    assert arrived[-1] - arrived[0] < 10
    for first, last in zip(arrived, arrived[14:], strict=False):
        assert last - first >= (14 - 4 - 1) / 20 - 0.2


async def test_no_more_concurrent_calls_than_the_target_allows(live: Harness):
    """
    Though the worker has slots for more.
    """
    under_way = most = 0

    async with Receiver(lambda _: Answer(delay=0.01)) as receiver:
        seen = []
        send = live.client.send

        class CountingClient:
            async def send(self, call):
                nonlocal under_way
                under_way += 1
                seen.append(under_way)
                try:
                    return await send(call)
                finally:
                    under_way -= 1

        await add_targets(live.store, a_target(endpoint=receiver.url))
        await set_policy(live.store, TargetPolicy(max_concurrency=2))
        await add_many_pending(live.store, 20, first=100, now=utc_now())
        async with working(live.worker(concurrency=16, client=CountingClient())):
            await receiver.wait_for(20)
        most = max(seen)

    assert 2 == most


async def test_a_breaker_spares_a_receiver_and_closes_by_itself(live: Harness):
    """
    Three failures, a rest, one probe, and then everything: no operator had to do anything.
    """
    script = [BAD, BUSY, BAD]
    async with Receiver(script) as receiver:
        await add_targets(live.store, a_target(endpoint=receiver.url))
        breaker = Breaker(3, timedelta(milliseconds=300))
        policy = TargetPolicy(retry=AT_ONCE, breaker=breaker, max_concurrency=1)
        await set_policy(live.store, policy)
        await add_many_pending(live.store, 10, first=100, now=utc_now())
        async with working(worker := live.worker()):
            await receiver.wait_for(3)
            opened = time.perf_counter()
            await receiver.wait_for(4)
            rested = time.perf_counter() - opened
            await live.reaches(worker, *["DELIVERED"] * 10)

    assert rested >= 0.28
    assert 13 == len(receiver.calls)


async def test_410_pauses_the_target_and_notifies_the_operator(live: Harness):
    """
    The rest waits, without an attempt; the operator's own target hears of death and pause.
    """
    async with Receiver([GONE]) as gone, Receiver() as operator:
        targets = [a_target(endpoint=gone.url), a_target("102", endpoint=operator.url)]
        await add_targets(live.store, *targets)
        ours = an_execution("102", condition=an_event_condition("outrider.target.paused"))
        deaths = an_execution("102", condition=an_event_condition("outrider.delivery.dead"))
        await live.store.write(lambda unit: unit.executions.put(INSTANCE, ours))
        await live.store.write(lambda unit: unit.executions.put(INSTANCE, deaths))
        await set_policy(live.store, TargetPolicy(max_concurrency=1))
        await add_many_pending(live.store, 3, first=1, now=utc_now())
        async with working(worker := live.worker()):
            await live.reaches(worker, "DEAD", "PENDING", "PENDING", "DELIVERED", "DELIVERED")
        bodies = sorted(call.body for call in operator.calls)
        stored = await live.store.read(lambda unit: unit.policies.get(INSTANCE, TargetId("101")))

    assert stored is not None
    assert stored.paused_at is not None
    assert 1 == len(gone.calls)
    assert b'"event_type":"outrider.delivery.dead"' in bodies[0]
    assert b'"statusCode":410' in bodies[0]
    assert b'"event_type":"outrider.target.paused"' in bodies[1]
    assert b'"reason":"gone"' in bodies[1]


async def test_operator_events_make_no_operator_events(live: Harness):
    """
    Not even when everything is bound to the target that fails: a death is reported once.
    """
    everything = an_execution("101", condition=an_event_condition("outrider.delivery.dead"))
    never = RetryPolicy(waits=(timedelta(milliseconds=1),), jitter=0.0)
    async with Receiver(lambda _: BAD) as receiver:
        await add_targets(live.store, a_target(endpoint=receiver.url))
        await live.store.write(lambda unit: unit.executions.put(INSTANCE, everything))
        await set_policy(live.store, TargetPolicy(retry=never))
        await add_many_pending(live.store, 1, first=1, now=utc_now())
        async with working(worker := live.worker()):
            await live.reaches(worker, "DEAD", "DEAD")
            await worker.settled_signal.wait()

    assert 2 == len(await states(live.store))
    assert 4 == len(receiver.calls)


async def test_aggregates_keep_their_order_whatever_fails(live: Harness):
    """
    A failing aggregate delays only itself: of each, the first deliveries come in order.
    """
    accepted: dict[bytes, list[int]] = {}

    def answer(call):
        event = call.body
        name = event[event.index(b'"aggregateID"') :][:20]
        number = int(event[event.index(b'"sequence":') + 11 :].split(b",")[0])
        # Every third call fails, by its number: different aggregates, again and again.
        if call.number % 3 == 0:
            return BAD
        accepted.setdefault(name, []).append(number)
        return Answer()

    async with Receiver(answer) as receiver:
        await add_targets(live.store, a_target(endpoint=receiver.url))
        policy = TargetPolicy(retry=AT_ONCE, ordering=Ordering.BY_AGGREGATE)
        await set_policy(live.store, policy)
        for number in range(1, 31):
            event = an_event(f"e-{number}", aggregate_id=f"agg-{number % 4}", sequence=number)
            stored = a_stored_event(planned(str(number)), event=event)
            now = utc_now()
            await live.store.write(
                lambda unit, stored=stored, now=now: unit.events.append(INSTANCE, [stored], now)
            )
        async with working(worker := live.worker()):
            await live.reaches(worker, *["DELIVERED"] * 30)

    assert 4 == len(accepted)
    assert [sorted(numbers) for numbers in accepted.values()] == list(accepted.values())
    assert 30 == sum(map(len, accepted.values()))
