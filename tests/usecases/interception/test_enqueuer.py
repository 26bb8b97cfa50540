"""Calls that nobody waits for become deliveries."""

from __future__ import annotations

import json

import pytest

from outrider.domain.delivery.delivery import Delivery
from outrider.domain.interception.message import JSON_OBJECTS
from outrider.domain.interception.payload import InterceptedCall
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.domain.search import DeliverySearch
from outrider.domain.targets.target import PayloadType, TargetType
from outrider.testing.receiver import Answer, Receiver
from support.builders import ANOTHER_INSTANCE, INSTANCE, SIGNING_KEY
from usecases.interception.barriers import GatedStore
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
from worker.harness import Harness as WorkerRig
from worker.harness import working

ASYNC = TargetType.REST_ASYNC
LOOKUPS = {
    "request": f"request{METHOD}",
    "response": f"response{METHOD}",
    "function": f"function/{FUNCTION}",
}
for_every_kind = pytest.mark.parametrize("kind", KINDS)


async def deliveries(rig: Harness) -> list[Delivery]:
    """Everything that is owed or was, oldest first, with attempts and payload."""

    def load(unit) -> list[Delivery]:
        found = unit.deliveries.search(INSTANCE, DeliverySearch(limit=100))
        return [unit.deliveries.get(INSTANCE, each.id) for each in reversed(found)]

    return await rig.store.read(load)


async def worked(rig: Harness, *expected: str) -> None:
    """Let a worker deliver until the deliveries stand like this."""
    workers = WorkerRig(rig.store, clock=rig.clock, client=rig.caller)
    async with working(worker := workers.worker()):
        await workers.reaches(worker, *expected)


@for_every_kind
async def test_it_is_stored_and_a_worker_signs_it(stored_rig, kind):
    """
    Tried again like an event's, and found in the delivery log under the id that was looked up.
    """
    rig = stored_rig
    async with Receiver(
        [Answer(status=500)], signing_keys=[SIGNING_KEY], now=rig.clock
    ) as receiver:
        await rig.bind(kind, call_target(receiver.url, type=ASYNC))
        done = await rig.run(kind)
        assert [] == receiver.calls
        await rig.enqueuer.aclose()
        [owed] = await deliveries(rig)
        await worked(rig, "DELIVERED")
        [call] = receiver.calls

    assert [("101", None, "")] == [
        (each.target_id, each.outcome, each.error) for each in done.calls
    ]
    assert call.verified.delivery_id == owed.id
    assert owed.payload == call.body
    assert (LOOKUPS[kind], CONDITIONS[kind].execution_id) == (owed.event_type, owed.execution)
    told = json.loads(call.body)
    assert told["function" if kind == "function" else "fullMethod"].endswith(
        FUNCTION if kind == "function" else METHOD
    )


async def test_the_log_tells_the_call_from_the_execution(rig, receiver):
    """
    The execution is the broad one that fired; the event type says what for.
    """
    await rig.bind(
        Condition(ConditionKind.REQUEST, Scope.ALL), call_target(receiver.url, type=ASYNC)
    )
    done = await rig.run("request")
    await rig.enqueuer.aclose()
    [owed] = await deliveries(rig)

    assert ("request", "request") == (done.execution, owed.execution)
    assert LOOKUPS["request"] == owed.event_type
    assert rig.clock() == owed.created_at


@for_every_kind
async def test_the_caller_does_not_wait_for_the_disk(store, kind):
    """
    Whoever wants to be sure closes the handover, which waits.
    """
    gated = GatedStore(store)
    async with Receiver() as receiver, open_harness(gated) as rig:
        await rig.bind(
            kind, call_target(receiver.url, "101", type=ASYNC), call_target(receiver.url, "102")
        )
        gated.is_open.clear()
        done = await rig.run(kind)
        assert [None, "ACCEPTED"] == [call.outcome and call.outcome.name for call in done.calls]
        assert [] == await deliveries(rig)
        gated.is_open.set()
        await rig.enqueuer.aclose()

        assert ["101"] == [delivery.target_id for delivery in await deliveries(rig)]


@for_every_kind
async def test_a_store_that_fails_costs_the_delivery_and_not_the_call(store, kind):
    """
    Nobody waits, so nobody can be told: it is in the log.
    """
    gated = GatedStore(store)
    async with Receiver() as receiver, open_harness(gated) as rig:
        await rig.bind(kind, call_target(receiver.url, type=ASYNC))
        gated.fails = True
        await rig.run(kind)
        await rig.enqueuer.aclose()

        assert ["interception.enqueue_failed"] == rig.log.events("exception")
        assert [] == await deliveries(rig)


@for_every_kind
@pytest.mark.parametrize("payload_type", [PayloadType.JWT, PayloadType.JWE])
async def test_a_missing_key_never_disturbs_the_caller(stored_rig, kind, payload_type):
    """
    The delivery is made all the same, and mended by the key that comes.
    """
    rig = stored_rig
    async with Receiver() as receiver:
        asynchronous = call_target(receiver.url, "101", type=ASYNC, payload_type=payload_type)
        await rig.bind(kind, asynchronous, call_target(receiver.url, "102"))
        if payload_type is PayloadType.JWE:
            await new_web_key(rig)
        done = await rig.run(kind)
        await rig.enqueuer.aclose()
        await worked(rig, "RETRYING")

        assert 1 == len(receiver.calls)
    assert [None, "ACCEPTED"] == [call.outcome and call.outcome.name for call in done.calls]
    [owed] = await deliveries(rig)
    assert ["BUILD_FAILED"] == [attempt.outcome.name for attempt in owed.attempts]


async def test_a_paused_target_is_owed_its_calls(stored_rig):
    """
    A pause holds deliveries, wherever they come from.
    """
    rig = stored_rig
    async with Receiver() as receiver:
        await rig.bind("request", call_target(receiver.url, type=ASYNC))
        await rig.store.write(lambda unit: unit.policies.pause(INSTANCE, "101", rig.clock()))
        await rig.routing.refresh()
        await rig.run("request")
        await rig.enqueuer.aclose()
        claimed = await rig.store.write(lambda unit: unit.deliveries.claim("w", rig.clock(), 10))
        assert [] == list(claimed)
        await rig.store.write(lambda unit: unit.policies.resume(INSTANCE, "101"))
        await worked(rig, "DELIVERED")

        assert 1 == len(receiver.calls)


async def test_two_instances_do_not_see_each_others(rig, receiver):
    """
    The delivery belongs to the instance whose call it was.
    """
    await rig.bind("request", call_target(receiver.url, type=ASYNC))
    other = await rig.interceptions.request(
        ANOTHER_INSTANCE, InterceptedCall(full_method=METHOD), {}, JSON_OBJECTS
    )
    await rig.run("request", call=CALL)
    await rig.enqueuer.aclose()

    assert (None, ()) == (other.execution, other.calls)
    assert 1 == len(await deliveries(rig))
