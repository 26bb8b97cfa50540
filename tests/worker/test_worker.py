"""Many concurrent deliveries: how many, whose, and what becomes of them when the worker stops."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from contracts.store.steps import add_pending, add_targets, claimed_ids, states
from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.stores.sqlite import open_sqlite
from outrider.domain.calls.request import Response
from support.builders import a_target, planned, planned_chain
from support.runtime import NOW
from worker.faulty_store import FaultyStore
from worker.harness import DelayedResponse, Harness, header, working

HOOK = a_target().endpoint


def many(count: int, target: str = "101", first: int = 1) -> list:
    """Deliveries that do not wait for each other."""
    return [planned(str(number), target) for number in range(first, first + count)]


async def test_no_more_calls_than_allowed_are_in_flight(harness: Harness):
    """
    The operator's number protects the receivers and our file descriptors.
    """
    targets = [a_target(str(number)) for number in range(101, 111)]
    await harness.add_pending(
        *(planned(str(n), str(101 + n % 10)) for n in range(1, 201)), targets=targets
    )
    async with working(worker := harness.worker(concurrency=7)):
        await harness.reaches(worker, *["DELIVERED"] * 200)

    assert 7 == harness.client.most_at_once
    assert 200 == len({header(call, "webhook-id") for call in harness.client.calls})
    assert 200 == len(harness.client.calls)


async def test_a_target_that_hangs_does_not_stop_the_others(harness: Harness):
    """
    As long as one call is left over: every delivery of the others goes through it.
    """
    silence = asyncio.Event()
    hanging = a_target("102", endpoint="https://hanging.example/")
    await harness.add_pending(*many(3, "102"), *many(50, first=4), targets=[a_target(), hanging])
    harness.client.script(hanging.endpoint, *[DelayedResponse(silence)] * 3)
    async with working(worker := harness.worker(concurrency=4)):
        await harness.reaches(worker, *["DELIVERING"] * 3, *["DELIVERED"] * 50)
        silence.set()
        await harness.reaches(worker, *["DELIVERED"] * 53)


async def test_what_is_published_while_a_worker_sleeps_is_delivered(harness: Harness):
    """
    It asks the store often whether something has changed.
    """
    await harness.add_pending(planned("1"))
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "DELIVERED")
        await add_pending(harness.store, planned("2"), event="event-2")
        await harness.reaches(worker, "DELIVERED", "DELIVERED")


async def test_a_worker_that_gets_notifications_need_not_check(tmp_path):
    """
    A publish would wait for the next check; by itself a worker polls once a second only.
    """
    path, sealing = tmp_path / "outrider.db", Sealing(bytes(32))
    async with (
        open_sqlite(path, sealing, now=NOW) as store,
        open_sqlite(path, sealing, now=NOW) as another,
    ):
        harness, blind = Harness(store), FaultyStore(another)
        blind.sees_changes = False
        await harness.add_pending(planned("1"))
        async with working(worker := harness.worker(store=blind)):
            await harness.reaches(worker, "DELIVERED")
            async with asyncio.timeout(6):
                for number in range(2, 12):
                    await add_pending(store, planned(str(number)), event=f"event-{number}")
                    await harness.reaches(worker, *["DELIVERED"] * number)


async def test_two_workers_never_attempt_the_same_delivery(tmp_path):
    """
    A receiver may see a delivery twice, but only after a node died.
    """
    path, sealing = tmp_path / "outrider.db", Sealing(bytes(32))
    async with (
        open_sqlite(path, sealing, now=NOW) as store,
        open_sqlite(path, sealing, now=NOW) as another,
    ):
        harness = Harness(store)
        release = asyncio.Event()
        await harness.add_pending(*many(300))
        harness.client.script(HOOK, *[DelayedResponse(release)] * 16)
        first = harness.worker("worker-a", concurrency=8)
        second = harness.worker("worker-b", concurrency=8, store=another)
        async with working(first, second):
            # Each keeps some of its eight for other targets.
            await harness.client.reached(10)
            release.set()
            await harness.reaches(first, *["DELIVERED"] * 300)

    assert [] == harness.client.doubled
    assert (
        300
        == len(harness.client.calls)
        == len({header(c, "webhook-id") for c in harness.client.calls})
    )
    assert 10 <= harness.client.most_at_once <= 14
    assert [] == harness.log.events("warning", "error", "exception")


async def test_a_worker_that_stops_finishes_what_runs_and_releases_the_rest(harness: Harness):
    """
    A deploy costs no delivery an attempt.
    """
    release = asyncio.Event()
    await harness.add_pending(*many(10))
    harness.client.script(HOOK, *[DelayedResponse(release)] * 10)
    worker = harness.worker(concurrency=5)
    running = asyncio.create_task(worker.run())
    await harness.client.reached(3)
    during = await states(harness.store)
    worker.stop()
    worker.stop()
    release.set()
    await running

    assert ["DELIVERING"] * 4 == list(during.values())[:4]
    assert ["DELIVERED"] * 3 + ["PENDING"] * 7 == list((await states(harness.store)).values())
    assert 3 == len(harness.client.calls)
    # No lease covers them: the next worker gets them immediately.
    assert 7 == len(await claimed_ids(harness.store, "worker-b"))


async def test_what_does_not_end_in_time_is_lost_and_due_immediately(harness: Harness):
    """
    The receiver may have it, or not: it is called again, with the same id.
    """
    await harness.add_pending(*many(2))
    harness.client.script(HOOK, DelayedResponse(asyncio.Event()), DelayedResponse(asyncio.Event()))
    worker = harness.worker(drain_timeout=0.01)
    running = asyncio.create_task(worker.run())
    await harness.client.reached(2)
    worker.stop()
    await running
    delivery = await harness.delivery()

    assert {"1": "RETRYING", "2": "RETRYING"} == await states(harness.store)
    assert (["LOST"], NOW) == (await harness.attempts(), delivery.next_attempt_at)
    assert "the worker stopped before the answer came" == delivery.attempts[0].error


async def test_a_worker_that_is_hurried_does_not_wait_any_longer(harness: Harness):
    """
    Its parent died while it finished what runs.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(HOOK, DelayedResponse(asyncio.Event()))
    worker = harness.worker(drain_timeout=3600)
    running = asyncio.create_task(worker.run())
    await harness.client.reached(1)
    worker.stop()
    worker.stop(within=0.01)
    # An earlier end counts, a later one does not.
    worker.stop(within=60)
    async with asyncio.timeout(5):
        await running

    assert ["LOST"] == await harness.attempts()


async def test_a_worker_that_is_stopped_before_it_runs_claims_nothing(harness: Harness):
    """
    A signal may come first.
    """
    await harness.add_pending(planned("1"))
    worker = harness.worker()
    worker.stop()
    await worker.run()

    assert {"1": "PENDING"} == await states(harness.store)


async def test_a_change_of_other_targets_does_not_forget_what_is_in_flight(harness: Harness):
    """
    What was cut off has to be tried again. It was once taken for the delivery of a deleted target.
    """
    await harness.add_pending(planned("1"), targets=[a_target(), a_target("102")])
    harness.client.script(HOOK, DelayedResponse(asyncio.Event()))
    worker = harness.worker(drain_timeout=0.01)
    running = asyncio.create_task(worker.run())
    await harness.client.reached(1)
    changed = a_target("102", name="renamed")
    await harness.store.write(lambda unit: unit.targets.replace("instance-a", changed))
    await add_pending(harness.store, planned("2", "102"), event="event-2")
    await harness.reaches(worker, "DELIVERING", "DELIVERED")
    worker.stop()
    await running

    assert {"1": "RETRYING", "2": "DELIVERED"} == await states(harness.store)
    assert ["LOST"] == await harness.attempts()
    assert [("1", "lost", "the worker stopped before the answer came")] == [
        (fields["delivery"], fields["outcome"], fields["error"])
        for _, event, fields in harness.log.kept
        if event == "delivery.attempted" and fields["outcome"] != "accepted"
    ]


async def test_a_change_of_other_targets_does_not_forget_what_is_about_to_begin(harness: Harness):
    """
    Claimed and not begun: its target is loaded again with the next poll, or it would look deleted.
    """
    release = asyncio.Event()
    await harness.add_pending(
        planned("1"), planned("2", "102"), targets=[a_target(), a_target("102")]
    )
    harness.client.script(HOOK, DelayedResponse(release))
    async with working(worker := harness.worker(concurrency=1)):
        await harness.client.reached(1)
        await harness.reaches(worker, "DELIVERING", "DELIVERING")
        await add_targets(harness.store, a_target("103"))
        await worker.settled_signal.wait()
        await worker.settled_signal.wait()
        release.set()
        await harness.reaches(worker, "DELIVERED", "DELIVERED")


async def test_targets_change_under_load_and_no_poll_fails(harness: Harness):
    """
    A poll runs in the store's thread, while attempts begin and end in the loop's.
    """
    await harness.add_pending(*many(2000))
    async with working(worker := harness.worker(concurrency=64)):
        for number in range(20):
            changed = a_target(name=f"renamed {number}")
            await harness.store.write(
                lambda unit, target=changed: unit.targets.replace("instance-a", target)
            )
            await worker.settled_signal.wait()
        while {"DELIVERED"} != {*(await states(harness.store)).values()}:
            await worker.settled_signal.wait()

    assert [] == harness.log.events("error", "exception")
    assert 2000 == len(harness.client.calls)


async def test_dependents_are_released_by_the_first_attempt(harness: Harness):
    """
    A failure that does not interrupt delays no other, and retries on its own.
    """
    targets = [a_target(number, endpoint=f"https://{number}.example/") for number in ("101", "102")]
    await harness.add_pending(*planned_chain(("1", "101"), ("2", "102")), targets=targets)
    harness.client.script(targets[0].endpoint, Response(500, (), b""))
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING", "DELIVERED")

    assert [target.endpoint for target in targets] == [call.url for call in harness.client.calls]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([500, 200], ["DELIVERED", "DELIVERED", "DELIVERED"], id="recovers"),
        pytest.param([500, 410], ["DEAD", "CANCELLED", "CANCELLED"], id="dies"),
        pytest.param([500] * 10, ["DEAD", "CANCELLED", "CANCELLED"], id="gives up"),
    ],
)
async def test_an_interrupting_target_keeps_dependents_waiting(harness: Harness, answers, expected):
    """
    Until it has it, or never will.
    """
    first = a_target(interrupt_on_error=True, endpoint="https://first.example/")
    targets = [first, a_target("102"), a_target("103")]
    await harness.add_pending(
        *planned_chain(("1", "101"), ("2", "102"), ("3", "103")), targets=targets
    )
    harness.client.script(first.endpoint, *(Response(status, (), b"") for status in answers))
    async with working(worker := harness.worker()):
        for number in range(1, len(answers)):
            await harness.tried(worker, number)
            during = list((await states(harness.store)).values())
            assert ["RETRYING", "PENDING", "PENDING"] == during
            harness.clock.advance(timedelta(days=2))
        await harness.reaches(worker, *expected)

    reached = [call.url for call in harness.client.calls]
    assert [first.endpoint] * len(answers) == reached[: len(answers)]
    assert expected.count("DELIVERED") == len(reached) - len(answers) + (expected[0] == "DELIVERED")
