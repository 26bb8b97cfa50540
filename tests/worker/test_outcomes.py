"""What each end of an attempt means for the delivery and in its log."""

from __future__ import annotations

import asyncio

import pytest

from contracts.store.steps import delete_target
from outrider.domain.calls.request import RequestError, Response, Stage
from outrider.domain.outcome import Outcome
from outrider.domain.targets.target import TargetType
from support.builders import a_target, planned
from support.runtime import NOW
from worker.harness import DelayedResponse, Harness, working

FORWARDED = b'{"forwardedStatusCode":403,"forwardedErrorMessage":"not you"}'


def failed(outcome: Outcome, stage: Stage) -> RequestError:
    """A call without an answer."""
    return RequestError(outcome, stage, "it did not work")


@pytest.mark.parametrize(
    ("step", "state", "expected"),
    [
        (Response(200, (), b""), "DELIVERED", ("ACCEPTED", "answer", 200)),
        (Response(204, (), b""), "DELIVERED", ("ACCEPTED", "answer", 204)),
        (Response(200, (), b"not JSON"), "DELIVERED", ("ACCEPTED", "answer", 200)),
        (Response(200, (), FORWARDED), "RETRYING", ("FAILED", "answer", 200)),
        (Response(302, (), b""), "RETRYING", ("FAILED", "answer", 302)),
        (Response(400, (), b""), "RETRYING", ("REFUSED", "answer", 400)),
        (Response(404, (), b""), "RETRYING", ("REFUSED", "answer", 404)),
        (Response(408, (), b""), "RETRYING", ("OVERLOADED", "answer", 408)),
        (Response(425, (), b""), "RETRYING", ("OVERLOADED", "answer", 425)),
        (Response(429, (), b""), "RETRYING", ("OVERLOADED", "answer", 429)),
        (Response(500, (), b""), "RETRYING", ("FAILED", "answer", 500)),
        (Response(503, (), b""), "RETRYING", ("OVERLOADED", "answer", 503)),
        (Response(410, (), b""), "DEAD", ("REFUSED", "answer", 410)),
        (failed(Outcome.UNREACHABLE, Stage.RESOLVE), "RETRYING", ("UNREACHABLE", "resolve", 0)),
        (failed(Outcome.UNREACHABLE, Stage.TLS), "RETRYING", ("UNREACHABLE", "tls", 0)),
        (failed(Outcome.BLOCKED, Stage.GUARD), "RETRYING", ("BLOCKED", "guard", 0)),
        (RuntimeError("a bug of ours"), "RETRYING", ("UNREACHABLE", "send", 0)),
    ],
)
async def test_what_an_end_means(harness: Harness, step, state, expected):
    """
    The log shows which of them it was, and whether it will be tried again.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(a_target().endpoint, step)
    async with working(worker := harness.worker()):
        await harness.reaches(worker, state)
    delivery = await harness.delivery()
    [attempt] = delivery.attempts

    assert expected == (attempt.outcome.name, attempt.stage, attempt.status_code)
    assert (1, NOW) == (attempt.number, attempt.started_at)
    assert (state == "RETRYING") == (delivery.next_attempt_at is not None)
    assert (state != "RETRYING") == (delivery.finished_at is not None)
    assert (state == "DELIVERED") == (attempt.error == "")


async def test_the_start_of_an_answer_is_kept(harness: Harness):
    """
    It often says what is wrong. All of it could be 20 MiB.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(a_target().endpoint, Response(400, (), b"x" * 2048 + b"y"))
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING")
    [attempt] = (await harness.delivery()).attempts

    assert b"x" * 2048 == attempt.body_prefix


async def test_a_bug_in_a_caller_is_logged_and_costs_one_attempt(harness: Harness):
    """
    Its text may quote anything: the receiver's owner reads the attempt, we read the log.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(a_target().endpoint, RuntimeError("with a secret in it"))
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING")
    [attempt] = (await harness.delivery()).attempts

    assert "the call broke inside outrider: RuntimeError" == attempt.error
    assert ["delivery.internal_error"] == harness.log.events("exception")


@pytest.mark.parametrize("status", [200, 404, 410, 500])
async def test_any_answer_of_a_rest_async_target_will_do(harness: Harness, status):
    """
    Its answer is not checked, as the API reference says; the log shows what it was.
    """
    target = a_target(type=TargetType.REST_ASYNC)
    await harness.add_pending(planned("1"), targets=[target])
    harness.client.script(target.endpoint, Response(status, (), b""))
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "DELIVERED")
    [attempt] = (await harness.delivery()).attempts

    assert status == attempt.status_code


async def test_a_rest_async_target_that_does_not_answer_is_tried_again(harness: Harness):
    """
    Not to be waited for is not to be forgotten.
    """
    target = a_target(type=TargetType.REST_ASYNC)
    await harness.add_pending(planned("1"), targets=[target])
    harness.client.script(target.endpoint, failed(Outcome.UNREACHABLE, Stage.CONNECT))
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING")


async def test_an_unknown_payload_type_is_reported(harness: Harness):
    """
    Nothing leaves, least of all in plain text; and it is tried again, for a release that can.
    """
    await harness.add_pending(planned("1"), targets=[a_target(payload_type=9)])
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "RETRYING")
    [attempt] = (await harness.delivery()).attempts

    assert ("BUILD_FAILED", "build") == (attempt.outcome.name, attempt.stage)
    assert "payload type 9 cannot be sent by this release" == attempt.error
    assert [] == harness.client.calls


async def test_a_delivery_to_a_deleted_target_is_cancelled(harness: Harness):
    """
    Its target was deleted after it was claimed and before it was begun, or never was.
    """
    await harness.add_pending(planned("1", "999"), planned("2"))
    async with working(worker := harness.worker()):
        await harness.reaches(worker, "CANCELLED", "DELIVERED")

    assert [] == await harness.attempts("1")
    assert 1 == len(harness.client.calls)


async def test_a_target_that_is_deleted_while_it_is_called_is_not_called_again(harness: Harness):
    """
    The attempt in flight is recorded; there will be no second one.
    """
    await harness.add_pending(planned("1"))
    harness.client.script(
        a_target().endpoint, delayed := DelayedResponse(asyncio.Event(), Response(500, (), b""))
    )
    async with working(worker := harness.worker()):
        await harness.client.reached(1)
        await delete_target(harness.store, "101")
        delayed.until.set()
        await harness.reaches(worker, "CANCELLED")

    assert ["FAILED"] == await harness.attempts()
