"""The one way to call a target: every failure is a `RequestError`, and bugs are in the log."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from outrider.bootstrap.http_client import REQUEST_BUILDER
from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.calls.request_builder import RequestBuilder, RequestBuildError
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.outcome import Outcome
from outrider.domain.targets.target import PayloadType
from outrider.errors import Internal
from outrider.usecases.calls.target_client import TargetClient
from support.builders import a_target
from support.runtime import NOW
from worker.harness import OK, LogRecorder, header

RESOLVED = ResolvedTarget(a_target(timeout=timedelta(seconds=10)))
BODY = b'{"a":1}'
UNREACHABLE = RequestError(Outcome.UNREACHABLE, Stage.CONNECT, "refused")


class FakeClient:
    """Keeps the requests; returns or raises its result."""

    def __init__(self, result: Response | BaseException = OK) -> None:
        self.result = result
        self.requests: list[OutboundRequest] = []

    async def send(self, request: OutboundRequest) -> Response:
        self.requests.append(request)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


def broken_encoder(*_: object) -> bytes:
    raise ZeroDivisionError("with a secret in it")


BROKEN_BUILDER = RequestBuilder({PayloadType.UNSPECIFIED: broken_encoder})
DELIVERY_LINE = ("exception", "delivery.internal_error")
INTERCEPTION_LINE = ("exception", "interception.internal_error", {})


async def sent(client: FakeClient, *, builder=REQUEST_BUILDER, log=None, **changes) -> Response:
    target_client = TargetClient(builder, client, log or LogRecorder())
    return await target_client.send(RESOLVED, BODY, **({"message_id": "5", "now": NOW} | changes))


async def failure_of(client: FakeClient, **changes) -> RequestError:
    with pytest.raises(RequestError) as failed:
        await sent(client, **changes)
    return failed.value


async def test_the_response_comes_back_whatever_its_status():
    """
    What it means is for the caller to decide: deliveries and interceptions differ.
    """
    client = FakeClient(Response(500, (), b"no"))
    response = await sent(client, attempt_number=2)
    [request] = client.requests

    assert client.result is response
    assert (BODY, "5", "2") == (
        request.body,
        header(request, "webhook-id"),
        header(request, "outrider-attempt"),
    )


async def test_a_sample_call_says_so():
    """
    Receivers may answer it without doing anything.
    """
    client = FakeClient()
    await sent(client, is_test=True)

    assert "true" == header(client.requests[0], "outrider-test")


async def test_no_response_is_raised_as_the_client_raised_it():
    """
    It knows the stage and the reason, and nothing of it is a bug.
    """
    log = LogRecorder()

    assert UNREACHABLE is await failure_of(FakeClient(UNREACHABLE), log=log)
    assert [] == log.kept


async def test_what_cannot_be_built_is_never_sent():
    """
    The error for the caller of an interception comes along.
    """
    client, error = FakeClient(), Internal("No active web key found", "QUERY-Opoh7")

    def refuse(*_: object) -> bytes:
        raise RequestBuildError("no key", error)

    log = LogRecorder()
    failure = await failure_of(
        client, builder=RequestBuilder({PayloadType.UNSPECIFIED: refuse}), log=log
    )

    assert (Outcome.BUILD_FAILED, Stage.BUILD, "no key", error) == (
        failure.outcome,
        failure.stage,
        failure.reason,
        failure.error,
    )
    assert ([], []) == (client.requests, log.kept)


@pytest.mark.parametrize("attempt_number", [1, None])
@pytest.mark.parametrize(
    ("builder", "result", "expected"),
    [
        (
            BROKEN_BUILDER,
            OK,
            (
                Outcome.BUILD_FAILED,
                Stage.BUILD,
                "the call could not be built: ZeroDivisionError",
                None,
            ),
        ),
        (
            REQUEST_BUILDER,
            RuntimeError("with a secret in it"),
            (
                Outcome.UNREACHABLE,
                Stage.SEND,
                "the call broke inside outrider: RuntimeError",
                None,
            ),
        ),
    ],
)
async def test_a_bug_is_a_failure_of_the_call_and_a_line_in_the_log(
    builder, result, expected, attempt_number
):
    """
    Its text may quote anything: the receiver's owner reads the reason, we read the log.
    """
    client, log = FakeClient(result), LogRecorder()
    failure = await failure_of(client, builder=builder, log=log, attempt_number=attempt_number)
    delivery_line = (*DELIVERY_LINE, {"delivery": "5", "stage": failure.stage.value})

    assert expected == (failure.outcome, failure.stage, failure.reason, failure.error)
    assert [INTERCEPTION_LINE if attempt_number is None else delivery_line] == log.kept


async def test_a_cancelled_call_is_cancelled():
    """
    It is no failure of the target, and nothing for the log.
    """
    log = LogRecorder()
    with pytest.raises(asyncio.CancelledError):
        await sent(FakeClient(asyncio.CancelledError()), log=log)

    assert [] == log.kept


@pytest.mark.parametrize(("left", "expected"), [(None, 10), (60, 10), (10, 10), (2, 2), (-1, -1)])
async def test_a_deadline_shortens_the_time_out_and_never_extends_it(left, expected):
    """
    The caller of an interception waits no longer, and a patient one makes no target slower.
    """
    client = FakeClient()
    now = asyncio.get_running_loop().time()
    await sent(client, deadline=None if left is None else now + left)

    assert expected == pytest.approx(client.requests[0].timeout, abs=0.5)
    assert client.requests[0].timeout <= 10
