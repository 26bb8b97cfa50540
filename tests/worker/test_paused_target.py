"""A worker and a target that is paused."""

from __future__ import annotations

from datetime import timedelta

from contracts.store.steps import add_pending
from contracts.store.targets.policies import pause, resume
from outrider.domain.calls.request import Response
from support.builders import a_target, planned
from worker.harness import Harness, working

HOOK = a_target().endpoint
OTHER = a_target("102", endpoint="https://other.example/")


async def test_a_paused_target_is_not_called_until_it_is_resumed(harness: Harness):
    """
    Others get theirs meanwhile; then it gets its own with its first attempt.
    """
    await harness.add_pending(planned("1"), planned("2", "102"), targets=[a_target(), OTHER])
    await pause(harness.store)
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "PENDING", "DELIVERED")

        assert [OTHER.endpoint] == [call.url for call in harness.client.calls]

        await resume(harness.store)
        await harness.reaches(worker, "DELIVERED", "DELIVERED")

    assert ["ACCEPTED"] == await harness.attempts("1")


async def test_a_retry_waits_for_the_end_of_a_pause(harness: Harness):
    """
    However long it is over its time, no attempt is used up.
    """
    harness.client.script(HOOK, Response(500, (), b""))
    await harness.add_pending(planned("1"), planned("2", "102"), targets=[a_target(), OTHER])
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING", "DELIVERED")
        await pause(harness.store)
        harness.clock.advance(timedelta(days=30))
        await add_pending(harness.store, planned("3", "102"), event="event-2")
        await harness.reaches(worker, "RETRYING", "DELIVERED", "DELIVERED")

        assert ["FAILED"] == await harness.attempts("1")

        await resume(harness.store)
        await harness.reaches(worker, "DELIVERED", "DELIVERED", "DELIVERED")

    assert ["FAILED", "ACCEPTED"] == await harness.attempts("1")
