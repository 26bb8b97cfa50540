"""Sample calls: however one ends, the operator gets an attempt."""

from __future__ import annotations

import pytest

from outrider.bootstrap.http_client import ENCODERS
from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.calls.request_builder import RequestBuilder
from outrider.domain.outcome import Outcome
from outrider.domain.targets.target import PayloadType
from outrider.errors import NotFound
from outrider.usecases.calls.target_client import TargetClient
from outrider.usecases.interception.concurrency_limits import Bulkheads
from outrider.usecases.interception.target_chain import TargetChain
from outrider.usecases.targets.sample_call import TestTarget
from support.builders import INSTANCE, a_target, an_actor
from worker.harness import LogRecorder

GIVEN = {"a": 1}


class FailingClient:
    """Raises the same failure for every request."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    async def send(self, request: OutboundRequest) -> Response:
        raise self.failure


def broken_encoder(*_: object) -> bytes:
    raise ZeroDivisionError("with a secret in it")


@pytest.fixture
def log() -> LogRecorder:
    return LogRecorder()


@pytest.fixture
def calling(store, runtime, routing, log):
    """A use case whose requests fail, after it has a target."""

    async def prepare(failure: Exception, encoders=ENCODERS) -> TestTarget:
        await store.write(lambda unit: unit.targets.add(INSTANCE, a_target()))
        target_client = TargetClient(RequestBuilder(encoders), FailingClient(failure), log)
        chain = TargetChain(runtime, target_client, Bulkheads(), log)
        return TestTarget(store, runtime, routing, chain)

    return prepare


@pytest.mark.parametrize(
    ("encoders", "expected"),
    [
        (
            {PayloadType.UNSPECIFIED: broken_encoder},
            (
                Outcome.BUILD_FAILED,
                Stage.BUILD,
                "the call could not be built: ZeroDivisionError",
            ),
        ),
        (
            ENCODERS,
            (Outcome.UNREACHABLE, Stage.SEND, "the call broke inside outrider: RuntimeError"),
        ),
    ],
)
async def test_a_bug_is_an_attempt_too(calling, log, encoders, expected):
    """
    As for deliveries and interceptions: the operator reads what failed, we read the log.
    """
    test_target = await calling(RuntimeError("with a secret in it"), encoders)
    result = await test_target(an_actor(), "101", GIVEN)
    attempt = result.attempt

    assert expected == (attempt.outcome, attempt.stage, attempt.error)
    assert b'{"a":1}' == result.body
    assert ["interception.internal_error"] == log.events("exception")


async def test_no_response_is_an_attempt_with_the_reason(calling, log):
    """
    It is what the operator wants to find out.
    """
    test_target = await calling(RequestError(Outcome.BLOCKED, Stage.GUARD, "not allowed"))
    result = await test_target(an_actor(), "101", None)

    assert (Outcome.BLOCKED, "not allowed") == (result.attempt.outcome, result.attempt.error)
    assert [] == log.kept


async def test_a_target_that_does_not_exist_is_not_found(calling):
    """
    As for every other call.
    """
    test_target = await calling(RuntimeError())
    with pytest.raises(NotFound):
        await test_target(an_actor(), "102", GIVEN)
