"""A worker and a target that is paused."""

from __future__ import annotations

from datetime import timedelta

from contracts.store.steps import owe
from contracts.store.targets.policies import pause, resume
from outrider.domain.calls.request import Response
from support.builders import a_target, planned
from worker.harness import Harness, working

HOOK = a_target().endpoint
OTHER = a_target("102", endpoint="https://other.example/")


async def test_a_paused_target_is_not_called_until_it_goes_on(rig: Harness):
    """
    Others get theirs meanwhile; then it gets its own with its first attempt.
    """
    await rig.owe(planned("1"), planned("2", "102"), targets=[a_target(), OTHER])
    await pause(rig.store)
    async with working(worker := rig.worker()):
        await rig.reaches(worker, "PENDING", "DELIVERED")

        assert [OTHER.endpoint] == [call.url for call in rig.caller.calls]

        await resume(rig.store)
        await rig.reaches(worker, "DELIVERED", "DELIVERED")

    assert ["ACCEPTED"] == await rig.attempts("1")


async def test_a_retry_waits_for_the_end_of_a_pause(rig: Harness):
    """
    However long it is over its time, no attempt is used up.
    """
    rig.caller.script(HOOK, Response(500, (), b""))
    await rig.owe(planned("1"), planned("2", "102"), targets=[a_target(), OTHER])
    async with working(worker := rig.worker()):
        await rig.reaches(worker, "RETRYING", "DELIVERED")
        await pause(rig.store)
        rig.clock.advance(timedelta(days=30))
        await owe(rig.store, planned("3", "102"), event="event-2")
        await rig.reaches(worker, "RETRYING", "DELIVERED", "DELIVERED")

        assert ["FAILED"] == await rig.attempts("1")

        await resume(rig.store)
        await rig.reaches(worker, "DELIVERED", "DELIVERED", "DELIVERED")

    assert ["FAILED", "ACCEPTED"] == await rig.attempts("1")
