"""Calls of asynchronous targets become deliveries."""

from __future__ import annotations

import json

import pytest

from outrider.domain.delivery.delivery import Delivery
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.interception.message import JSON_OBJECTS
from outrider.domain.interception.payload import InterceptedCall
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.domain.targets.target import PayloadType, TargetType
from outrider.testing.receiver import Answer, Receiver
from support.builders import ANOTHER_INSTANCE, INSTANCE, SIGNING_KEY
from usecases.interception.barriers import BarrierStore
from usecases.interception.faults import new_web_key
from usecases.interception.harness import (
    CALL,
    CONDITIONS,
    FUNCTION,
    KINDS,
    METHOD,
    Harness,
    call_target,
    open_harness,
)
from worker.harness import Harness as WorkerHarness
from worker.harness import working

ASYNC = TargetType.REST_ASYNC
LOOKUPS = {
    "request": f"request{METHOD}",
    "response": f"response{METHOD}",
    "function": f"function/{FUNCTION}",
}
for_every_kind = pytest.mark.parametrize("kind", KINDS)


async def deliveries(harness: Harness) -> list[Delivery]:
    """All deliveries, oldest first, with attempts and payload."""

    def load(unit) -> list[Delivery]:
        found = unit.deliveries.search(INSTANCE, DeliverySearch(limit=100))
        return [unit.deliveries.get(INSTANCE, row.id) for row in reversed(found)]

    return await harness.store.read(load)


async def worked(harness: Harness, *expected: str) -> None:
    """Let a worker deliver until the deliveries stand like this."""
    workers = WorkerHarness(harness.store, clock=harness.clock, client=harness.http_client)
    async with working(worker := workers.worker()):
        await workers.reaches(worker, *expected)


@for_every_kind
async def test_it_is_stored_and_a_worker_signs_it(stored_harness, kind):
    """
    Tried again like an event's, and found in the delivery log under the id that was looked up.
    """
    harness = stored_harness
    async with Receiver(
        [Answer(status=500)], signing_keys=[SIGNING_KEY], now=harness.clock
    ) as receiver:
        await harness.bind(kind, call_target(receiver.url, type=ASYNC))
        done = await harness.run(kind)
        assert [] == receiver.calls
        await harness.enqueuer.aclose()
        [delivery] = await deliveries(harness)
        await worked(harness, "DELIVERED")
        [call] = receiver.calls

    assert [("101", None, "")] == [
        (called.target_id, called.outcome, called.error) for called in done.calls
    ]
    assert call.verified.delivery_id == delivery.id
    assert delivery.payload == call.body
    assert (LOOKUPS[kind], CONDITIONS[kind].execution_id) == (
        delivery.event_type,
        delivery.execution,
    )
    body = json.loads(call.body)
    assert body["function" if kind == "function" else "fullMethod"].endswith(
        FUNCTION if kind == "function" else METHOD
    )


async def test_the_log_tells_the_call_from_the_execution(harness, receiver):
    """
    The execution is the broad one that matched; the event type says what for.
    """
    await harness.bind(
        Condition(ConditionKind.REQUEST, Scope.ALL), call_target(receiver.url, type=ASYNC)
    )
    done = await harness.run("request")
    await harness.enqueuer.aclose()
    [delivery] = await deliveries(harness)

    assert ("request", "request") == (done.execution, delivery.execution)
    assert LOOKUPS["request"] == delivery.event_type
    assert harness.clock() == delivery.created_at


@for_every_kind
async def test_the_caller_does_not_wait_for_the_disk(store, kind):
    """
    To be sure, close the enqueuer, which waits.
    """
    barrier_store = BarrierStore(store)
    async with Receiver() as receiver, open_harness(barrier_store) as harness:
        await harness.bind(
            kind, call_target(receiver.url, "101", type=ASYNC), call_target(receiver.url, "102")
        )
        barrier_store.is_open.clear()
        done = await harness.run(kind)
        assert [None, "ACCEPTED"] == [call.outcome and call.outcome.name for call in done.calls]
        assert [] == await deliveries(harness)
        barrier_store.is_open.set()
        await harness.enqueuer.aclose()

        assert ["101"] == [delivery.target_id for delivery in await deliveries(harness)]


@for_every_kind
async def test_a_store_that_fails_costs_the_delivery_and_not_the_call(store, kind):
    """
    No caller waits for it, so only the log has it.
    """
    barrier_store = BarrierStore(store)
    async with Receiver() as receiver, open_harness(barrier_store) as harness:
        await harness.bind(kind, call_target(receiver.url, type=ASYNC))
        barrier_store.fails = True
        await harness.run(kind)
        await harness.enqueuer.aclose()

        assert ["interception.enqueue_failed"] == harness.log.events("exception")
        assert [] == await deliveries(harness)


@for_every_kind
@pytest.mark.parametrize("payload_type", [PayloadType.JWT, PayloadType.JWE])
async def test_a_missing_key_never_disturbs_the_caller(stored_harness, kind, payload_type):
    """
    The delivery is made all the same, and repaired by the key that is added.
    """
    harness = stored_harness
    async with Receiver() as receiver:
        asynchronous = call_target(receiver.url, "101", type=ASYNC, payload_type=payload_type)
        await harness.bind(kind, asynchronous, call_target(receiver.url, "102"))
        if payload_type is PayloadType.JWE:
            await new_web_key(harness)
        done = await harness.run(kind)
        await harness.enqueuer.aclose()
        await worked(harness, "RETRYING")

        assert 1 == len(receiver.calls)
    assert [None, "ACCEPTED"] == [call.outcome and call.outcome.name for call in done.calls]
    [delivery] = await deliveries(harness)
    assert ["BUILD_FAILED"] == [attempt.outcome.name for attempt in delivery.attempts]


async def test_calls_of_a_paused_target_stay_pending(stored_harness):
    """
    A pause suspends deliveries of every origin.
    """
    harness = stored_harness
    async with Receiver() as receiver:
        await harness.bind("request", call_target(receiver.url, type=ASYNC))
        await harness.store.write(
            lambda unit: unit.policies.pause(INSTANCE, "101", harness.clock())
        )
        await harness.routing.refresh()
        await harness.run("request")
        await harness.enqueuer.aclose()
        claimed = await harness.store.write(
            lambda unit: unit.deliveries.claim("w", harness.clock(), 10)
        )
        assert [] == list(claimed)
        await harness.store.write(lambda unit: unit.policies.resume(INSTANCE, "101"))
        await worked(harness, "DELIVERED")

        assert 1 == len(receiver.calls)


async def test_two_instances_do_not_see_each_others(harness, receiver):
    """
    The delivery belongs to the instance whose call it was.
    """
    await harness.bind("request", call_target(receiver.url, type=ASYNC))
    other = await harness.interceptions.request(
        ANOTHER_INSTANCE, InterceptedCall(full_method=METHOD), {}, JSON_OBJECTS
    )
    await harness.run("request", call=CALL)
    await harness.enqueuer.aclose()

    assert (None, ()) == (other.execution, other.calls)
    assert 1 == len(await deliveries(harness))
