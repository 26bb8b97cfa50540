"""From the queue to a socket: the real client, and receivers that behave as badly as real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from outrider.adapters.http.client import EgressClient
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile
from outrider.testing.receiver import Answer, Receiver
from support.builders import SIGNING_KEY, a_stored_event, a_target, planned
from worker.harness import Harness, working

CUT = Answer(body=b"x" * 200, cut_at=100)


@pytest.fixture
async def over_http(harness: Harness) -> AsyncIterator[Harness]:
    """A harness whose calls leave."""
    client = EgressClient(EgressPolicy(EgressProfile.DEV, ()), user_agent="outrider/test")
    harness.client = client
    yield harness
    await client.aclose()


async def test_what_arrives_is_signed_and_says_what_it_is(over_http: Harness):
    """
    The receiver's own library accepts it, and reads the delivery and the attempt from it.
    """
    async with Receiver(signing_keys=[SIGNING_KEY], now=over_http.clock) as receiver:
        await over_http.add_pending(planned("1"), targets=[a_target(endpoint=receiver.url)])
        async with working(worker := over_http.worker()):
            await over_http.reaches(worker, "DELIVERED")
    [call] = receiver.calls

    assert ("1", 1) == (call.verified.delivery_id, call.verified.attempt)
    assert ("POST", a_stored_event().body) == (call.method, call.body)
    assert ("application/json", "outrider/test") == (
        call.header("content-type"),
        call.header("user-agent"),
    )
    assert call.header("zitadel-signature") == call.header("x-zitadel-signature")


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param(Answer(status=503), ("OVERLOADED", "answer", 503), id="overloaded"),
        pytest.param(CUT, ("UNREACHABLE", "answer", 200), id="cut answer"),
        pytest.param(Answer(reset=True), ("UNREACHABLE", "answer", 0), id="reset"),
        pytest.param(Answer(raw=b"SSH-2.0\r\n\r\n"), ("UNREACHABLE", "answer", 0), id="no HTTP"),
        pytest.param(Answer(delay=3600), ("UNREACHABLE", "answer", 0), id="too slow"),
    ],
)
async def test_a_bad_answer_is_a_failed_attempt(over_http: Harness, response, expected):
    """
    And the next attempt is made as if it were the first, on a connection that works.
    """
    async with Receiver([response]) as receiver:
        target = a_target(endpoint=receiver.url, timeout=timedelta(seconds=0.3))
        await over_http.add_pending(planned("1"), targets=[target])
        async with working(worker := over_http.worker()):
            await over_http.reaches(worker, "RETRYING")
            over_http.clock.advance(timedelta(minutes=1))
            await over_http.reaches(worker, "DELIVERED")
    first, second = (await over_http.delivery()).attempts

    assert expected == (first.outcome.name, first.stage, first.status_code)
    assert first.error
    assert "ACCEPTED" == second.outcome.name
    assert 1 == len({call.header("webhook-id") for call in receiver.calls})


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://169.254.169.254/latest", ("BLOCKED", "guard")),
        ("http://127.0.0.1:1/", ("UNREACHABLE", "connect")),
        ("http://nowhere.invalid/", ("UNREACHABLE", "resolve")),
    ],
)
async def test_a_target_that_cannot_be_reached_is_tried_again(
    over_http: Harness, endpoint, expected
):
    """
    Names and networks are mended while deliveries wait.
    """
    await over_http.add_pending(planned("1"), targets=[a_target(endpoint=endpoint)])
    async with working(worker := over_http.worker()):
        await over_http.reaches(worker, "RETRYING")
    [attempt] = (await over_http.delivery()).attempts

    assert expected == (attempt.outcome.name, attempt.stage)


async def test_a_receiver_that_hangs_delays_no_other(over_http: Harness):
    """
    Each target has its own connections, and a call that waits costs next to nothing.
    """
    silence = asyncio.Event()
    async with Receiver(lambda _: Answer(hang_until=silence)) as hanging, Receiver() as well:
        targets = [a_target(endpoint=well.url), a_target("102", endpoint=hanging.url)]
        slow = [planned(str(number), "102") for number in range(1, 4)]
        quick = [planned(str(number)) for number in range(4, 104)]
        await over_http.add_pending(*slow, *quick, targets=targets)
        async with working(worker := over_http.worker(concurrency=4)):
            await over_http.reaches(worker, *["DELIVERING"] * 3, *["DELIVERED"] * 100)
            silence.set()
            await over_http.reaches(worker, *["DELIVERED"] * 103)
