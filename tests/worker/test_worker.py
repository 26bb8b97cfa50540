"""Many deliveries at once: how many, whose, and what becomes of them when the worker stops."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from contracts.store.steps import add_targets, claimed_ids, owe, states
from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.stores.sqlite import open_sqlite
from outrider.domain.calls.request import Response
from support.builders import a_target, planned, planned_line
from support.runtime import NOW
from worker.faulty_store import Door
from worker.harness import Harness, Held, header, working

HOOK = a_target().endpoint


def many(count: int, target: str = "101", first: int = 1) -> list:
    """Deliveries that do not wait for each other."""
    return [planned(str(number), target) for number in range(first, first + count)]


async def test_no_more_calls_than_allowed_are_under_way(rig: Harness):
    """
    The operator's number protects the receivers and our file descriptors.
    """
    targets = [a_target(str(number)) for number in range(101, 111)]
    await rig.owe(*(planned(str(n), str(101 + n % 10)) for n in range(1, 201)), targets=targets)
    async with working(worker := rig.worker(concurrency=7)):
        await rig.reaches(worker, *["DELIVERED"] * 200)

    assert 7 == rig.caller.most_at_once
    assert 200 == len({header(call, "webhook-id") for call in rig.caller.calls})
    assert 200 == len(rig.caller.calls)


async def test_a_target_that_hangs_does_not_stop_the_others(rig: Harness):
    """
    As long as one call is left over: every delivery of the others goes through it.
    """
    silence = asyncio.Event()
    hanging = a_target("102", endpoint="https://hanging.example/")
    await rig.owe(*many(3, "102"), *many(50, first=4), targets=[a_target(), hanging])
    rig.caller.script(hanging.endpoint, *[Held(silence)] * 3)
    async with working(worker := rig.worker(concurrency=4)):
        await rig.reaches(worker, *["DELIVERING"] * 3, *["DELIVERED"] * 50)
        silence.set()
        await rig.reaches(worker, *["DELIVERED"] * 53)


async def test_what_is_published_while_a_worker_sleeps_is_delivered(rig: Harness):
    """
    It asks the store often whether something has changed.
    """
    await rig.owe(planned("1"))
    async with working(worker := rig.worker()):
        await rig.reaches(worker, "DELIVERED")
        await owe(rig.store, planned("2"), event="event-2")
        await rig.reaches(worker, "DELIVERED", "DELIVERED")


async def test_a_worker_that_is_told_of_news_need_not_look(tmp_path):
    """
    A publish would wait for the next look; by itself a worker takes a turn once a second only.
    """
    path, sealing = tmp_path / "outrider.db", Sealing(bytes(32))
    async with (
        open_sqlite(path, sealing, now=NOW) as store,
        open_sqlite(path, sealing, now=NOW) as another,
    ):
        rig, blind = Harness(store), Door(another)
        blind.sees_changes = False
        await rig.owe(planned("1"))
        async with working(worker := rig.worker(store=blind)):
            await rig.reaches(worker, "DELIVERED")
            async with asyncio.timeout(6):
                for number in range(2, 12):
                    await owe(store, planned(str(number)), event=f"event-{number}")
                    await rig.reaches(worker, *["DELIVERED"] * number)


async def test_two_workers_never_attempt_the_same_delivery(tmp_path):
    """
    A receiver may see a delivery twice, but only after somebody died.
    """
    path, sealing = tmp_path / "outrider.db", Sealing(bytes(32))
    async with (
        open_sqlite(path, sealing, now=NOW) as store,
        open_sqlite(path, sealing, now=NOW) as another,
    ):
        rig = Harness(store)
        release = asyncio.Event()
        await rig.owe(*many(300))
        rig.caller.script(HOOK, *[Held(release)] * 16)
        first = rig.worker("worker-a", concurrency=8)
        second = rig.worker("worker-b", concurrency=8, store=another)
        async with working(first, second):
            # Each keeps some of its eight for other targets.
            await rig.caller.reached(10)
            release.set()
            await rig.reaches(first, *["DELIVERED"] * 300)

    assert [] == rig.caller.doubled
    assert 300 == len(rig.caller.calls) == len({header(c, "webhook-id") for c in rig.caller.calls})
    assert 10 <= rig.caller.most_at_once <= 14
    assert [] == rig.log.events("warning", "error", "exception")


async def test_a_worker_that_stops_finishes_what_runs_and_gives_the_rest_back(rig: Harness):
    """
    A deploy costs nobody an attempt.
    """
    release = asyncio.Event()
    await rig.owe(*many(10))
    rig.caller.script(HOOK, *[Held(release)] * 10)
    worker = rig.worker(concurrency=5)
    running = asyncio.create_task(worker.run())
    await rig.caller.reached(3)
    held = await states(rig.store)
    worker.stop()
    worker.stop()
    release.set()
    await running

    assert ["DELIVERING"] * 4 == list(held.values())[:4]
    assert ["DELIVERED"] * 3 + ["PENDING"] * 7 == list((await states(rig.store)).values())
    assert 3 == len(rig.caller.calls)
    # Nobody has a lease on them: the next one gets them at once.
    assert 7 == len(await claimed_ids(rig.store, "worker-b"))


async def test_what_does_not_end_in_time_is_lost_and_due_at_once(rig: Harness):
    """
    The receiver may have it, or not: it is called again, with the same id.
    """
    await rig.owe(*many(2))
    rig.caller.script(HOOK, Held(asyncio.Event()), Held(asyncio.Event()))
    worker = rig.worker(drain_timeout=0.01)
    running = asyncio.create_task(worker.run())
    await rig.caller.reached(2)
    worker.stop()
    await running
    delivery = await rig.delivery()

    assert {"1": "RETRYING", "2": "RETRYING"} == await states(rig.store)
    assert (["LOST"], NOW) == (await rig.attempts(), delivery.next_attempt_at)
    assert "the worker stopped before the answer came" == delivery.attempts[0].error


async def test_a_worker_that_is_hurried_does_not_wait_any_longer(rig: Harness):
    """
    Its parent died while it finished what runs.
    """
    await rig.owe(planned("1"))
    rig.caller.script(HOOK, Held(asyncio.Event()))
    worker = rig.worker(drain_timeout=3600)
    running = asyncio.create_task(worker.run())
    await rig.caller.reached(1)
    worker.stop()
    worker.stop(within=0.01)
    # An earlier end counts, a later one does not.
    worker.stop(within=60)
    async with asyncio.timeout(5):
        await running

    assert ["LOST"] == await rig.attempts()


async def test_a_worker_that_is_stopped_before_it_runs_claims_nothing(rig: Harness):
    """
    A signal may come first.
    """
    await rig.owe(planned("1"))
    worker = rig.worker()
    worker.stop()
    await worker.run()

    assert {"1": "PENDING"} == await states(rig.store)


async def test_a_change_of_other_targets_does_not_forget_what_is_under_way(rig: Harness):
    """
    What was cut off has to be tried again. It was once taken for the delivery of a deleted target.
    """
    await rig.owe(planned("1"), targets=[a_target(), a_target("102")])
    rig.caller.script(HOOK, Held(asyncio.Event()))
    worker = rig.worker(drain_timeout=0.01)
    running = asyncio.create_task(worker.run())
    await rig.caller.reached(1)
    changed = a_target("102", name="renamed")
    await rig.store.write(lambda unit: unit.targets.replace("instance-a", changed))
    await owe(rig.store, planned("2", "102"), event="event-2")
    await rig.reaches(worker, "DELIVERING", "DELIVERED")
    worker.stop()
    await running

    assert {"1": "RETRYING", "2": "DELIVERED"} == await states(rig.store)
    assert ["LOST"] == await rig.attempts()
    assert [("1", "lost", "the worker stopped before the answer came")] == [
        (line["delivery"], line["outcome"], line["error"])
        for _, event, line in rig.log.kept
        if event == "delivery.attempted" and line["outcome"] != "accepted"
    ]


async def test_a_change_of_other_targets_does_not_forget_what_is_about_to_begin(rig: Harness):
    """
    Claimed and not begun: its target is read anew with the next turn, or it would look deleted.
    """
    release = asyncio.Event()
    await rig.owe(planned("1"), planned("2", "102"), targets=[a_target(), a_target("102")])
    rig.caller.script(HOOK, Held(release))
    async with working(worker := rig.worker(concurrency=1)):
        await rig.caller.reached(1)
        await rig.reaches(worker, "DELIVERING", "DELIVERING")
        await add_targets(rig.store, a_target("103"))
        await worker.settled_signal.wait()
        await worker.settled_signal.wait()
        release.set()
        await rig.reaches(worker, "DELIVERED", "DELIVERED")


async def test_targets_change_under_load_and_no_turn_fails(rig: Harness):
    """
    A turn runs in the store's thread, while attempts begin and end in the loop's.
    """
    await rig.owe(*many(2000))
    async with working(worker := rig.worker(concurrency=64)):
        for number in range(20):
            changed = a_target(name=f"renamed {number}")
            await rig.store.write(
                lambda unit, each=changed: unit.targets.replace("instance-a", each)
            )
            await worker.settled_signal.wait()
        while {"DELIVERED"} != {*(await states(rig.store)).values()}:
            await worker.settled_signal.wait()

    assert [] == rig.log.events("error", "exception")
    assert 2000 == len(rig.caller.calls)


async def test_followers_are_released_by_the_first_attempt(rig: Harness):
    """
    A failure that does not interrupt holds nobody, and retries on its own.
    """
    targets = [a_target(number, endpoint=f"https://{number}.example/") for number in ("101", "102")]
    await rig.owe(*planned_line(("1", "101"), ("2", "102")), targets=targets)
    rig.caller.script(targets[0].endpoint, Response(500, (), b""))
    async with working(worker := rig.worker()):
        await rig.reaches(worker, "RETRYING", "DELIVERED")

    assert [target.endpoint for target in targets] == [call.url for call in rig.caller.calls]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([500, 200], ["DELIVERED", "DELIVERED", "DELIVERED"], id="recovers"),
        pytest.param([500, 410], ["DEAD", "CANCELLED", "CANCELLED"], id="dies"),
        pytest.param([500] * 10, ["DEAD", "CANCELLED", "CANCELLED"], id="gives up"),
    ],
)
async def test_an_interrupting_target_holds_those_behind_it(rig: Harness, answers, expected):
    """
    Until it has it, or never will.
    """
    first = a_target(interrupt_on_error=True, endpoint="https://first.example/")
    targets = [first, a_target("102"), a_target("103")]
    await rig.owe(*planned_line(("1", "101"), ("2", "102"), ("3", "103")), targets=targets)
    rig.caller.script(first.endpoint, *(Response(status, (), b"") for status in answers))
    async with working(worker := rig.worker()):
        for number in range(1, len(answers)):
            await rig.tried(worker, number)
            held = list((await states(rig.store)).values())
            assert ["RETRYING", "PENDING", "PENDING"] == held
            rig.clock.advance(timedelta(days=2))
        await rig.reaches(worker, *expected)

    reached = [call.url for call in rig.caller.calls]
    assert [first.endpoint] * len(answers) == reached[: len(answers)]
    assert expected.count("DELIVERED") == len(reached) - len(answers) + (expected[0] == "DELIVERED")
