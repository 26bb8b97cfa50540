"""From the queue to a socket: the real client, and receivers that behave as badly as real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from adapters.http.hostile import Hostile, answer, sends
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


HEAD = b"HTTP/1.1 503 Busy\r\n"


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (
            Answer(status=503, body=b"half of it", cut_at=4),
            "connection closed in the middle of the answer's body, after 4 of 10 bytes",
        ),
        (
            Answer(raw=HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
            "connection closed in the middle of the answer's body, after 4 bytes",
        ),
        (
            Answer(raw=HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nof it\r\n"),
            "answer is not valid HTTP: the size of a chunk is 'of it'",
        ),
        (Answer(raw=HEAD + b"\r\nhalf" + bytes(21 << 20)), "answer larger than 20 MiB"),
    ],
    ids=["cut", "cut in chunks", "broken", "too large"],
)
async def test_what_came_of_a_bad_answer_is_in_the_attempt(over_http: Harness, response, error):
    """
    The status and the first bytes are what an operator finds the receiver's mistake by.
    """
    async with Receiver([response]) as receiver:
        await over_http.add_pending(planned("1"), targets=[a_target(endpoint=receiver.url)])
        async with working(worker := over_http.worker()):
            await over_http.reaches(worker, "RETRYING")
    [attempt] = (await over_http.delivery()).attempts

    assert ("UNREACHABLE", "answer", 503, error) == (
        attempt.outcome.name,
        attempt.stage,
        attempt.status_code,
        attempt.error,
    )
    assert attempt.body_prefix.startswith(b"half")
    assert len(attempt.body_prefix) in {4, 2048}


async def test_what_came_of_a_slow_answer_is_in_the_attempt(over_http: Harness):
    """
    An endless answer is a stream, and its beginning says of what.
    """
    async with Hostile(sends(HEAD + b"\r\nevent: hello")) as server:
        target = a_target(endpoint=server.url(), timeout=timedelta(seconds=0.3))
        await over_http.add_pending(planned("1"), targets=[target])
        async with working(worker := over_http.worker()):
            await over_http.reaches(worker, "RETRYING")
    [attempt] = (await over_http.delivery()).attempts

    assert (503, b"event: hello") == (attempt.status_code, attempt.body_prefix)
    assert (
        attempt.error == "time-out after 0.3 s in the middle of the answer's body, after 12 bytes"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 204 No Content\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nX-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["line feeds alone", "a length twice", "length and chunks", "a folded field"],
)
async def test_a_sloppy_receiver_gets_each_event_once(over_http: Harness, data):
    """
    It has done its work, and would do it again with every repetition.
    """
    async with Hostile(sends(data)) as server:
        targets = [a_target(endpoint=server.url())]
        await over_http.add_pending(planned("1"), planned("2"), targets=targets)
        async with working(worker := over_http.worker()):
            await over_http.reaches(worker, "DELIVERED", "DELIVERED")

    assert 2 == len(server.requests) == server.connections


async def test_header_names_are_spelled_as_go_and_the_contract_spell_them(over_http: Harness):
    """
    Names have no case, and some receivers compare it.
    """
    async with Hostile(sends(answer())) as server:
        targets = [a_target(endpoint=server.url())]
        await over_http.add_pending(planned("1"), targets=targets)
        async with working(worker := over_http.worker()):
            await over_http.reaches(worker, "DELIVERED")

    assert [
        "Host",
        "User-Agent",
        "Accept",
        "Content-Type",
        "Zitadel-Signature",
        "X-Zitadel-Signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "Outrider-Delivery",
        "Outrider-Attempt",
        "Outrider-Event",
        "Outrider-Hops",
        "Content-Length",
    ] == [name for name, _ in server.requests[0].headers]


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
    Names and networks are repaired while deliveries wait.
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
