"""The rows of ZITADEL's own tests that are about interceptions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from adapters.http.hostile import refusing_port
from outrider.domain.ids import TargetId
from outrider.domain.interception.payload import InterceptedCall
from outrider.domain.outcome import Outcome
from outrider.domain.targets.target import TargetType
from outrider.errors import OutriderError
from outrider.testing.receiver import Answer, ReceivedCall, Receiver
from outrider_api.zitadel.action.v2.action_service_pb import GetTargetRequest
from support.builders import SIGNING_KEY
from usecases.interception.harness import CALL, FUNCTION, KINDS, METHOD, Harness, call_target
from usecases.interception.messages import GET_TARGET

CALL_TARGET, WEBHOOK = TargetType.REST_CALL, TargetType.REST_WEBHOOK
ASYNC = TargetType.REST_ASYNC
SENT, CHANGED, AGAIN = {"request": "content"}, {"request": "changed"}, {"request": "again"}
FAILED = "EXEC-dra6yamk98"


@dataclass(frozen=True)
class Step:
    """One target of the list, and what its receiver does."""

    response: Answer
    interrupts: bool = True
    type: TargetType = CALL_TARGET
    seconds: float = 5.0


def ok(body: Any = b"", status: int = 200) -> Answer:
    return Answer(
        status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode()
    )


# No call waits this long: the receiver ends with its test.
SLOW = Answer(delay=3600, body=json.dumps(CHANGED).encode())
BAD, BROKEN = ok(CHANGED, 400), ok(CHANGED, 500)
PATIENCE = 0.05

# What is called, what becomes of the message (text: the error's id), and how many are called.
ROWS: dict[str, tuple[list[Step], Any, int]] = {
    "an execution without targets": ([], SENT, 0),
    "400 without interrupt": ([Step(BAD, interrupts=False)], SENT, 1),
    "400 with interrupt": ([Step(BAD)], FAILED, 1),
    "too slow, interrupt": ([Step(SLOW, seconds=PATIENCE)], FAILED, 1),
    "too slow, no interrupt": ([Step(SLOW, interrupts=False, seconds=PATIENCE)], SENT, 1),
    "the receiver rejects the payload": ([Step(BROKEN)], FAILED, 1),
    "ok": ([Step(ok(CHANGED))], CHANGED, 1),
    "ok without a body": ([Step(ok())], SENT, 1),
    "ok with 299": ([Step(ok(CHANGED, 299))], CHANGED, 1),
    "async, slow": ([Step(SLOW, type=ASYNC, seconds=PATIENCE)], SENT, 0),
    "async, ok": ([Step(ok(CHANGED), type=ASYNC)], SENT, 0),
    "webhook, 500 with interrupt": ([Step(BROKEN, type=WEBHOOK)], FAILED, 1),
    "webhook, 500 without": ([Step(BROKEN, interrupts=False, type=WEBHOOK)], SENT, 1),
    "webhook, too slow": ([Step(SLOW, type=WEBHOOK, seconds=PATIENCE)], FAILED, 1),
    "webhook, ok with a body": ([Step(ok(CHANGED), type=WEBHOOK)], SENT, 1),
    "webhook, ok with a body that is not JSON": ([Step(ok(b"no"), type=WEBHOOK)], SENT, 1),
    "three, the second answers 400": ([Step(ok(CHANGED)), Step(BAD), Step(ok(AGAIN))], FAILED, 2),
    "three, the second is too slow": (
        [Step(ok(CHANGED)), Step(SLOW, seconds=PATIENCE), Step(ok(AGAIN))],
        FAILED,
        2,
    ),
    "three in a row": ([Step(ok(CHANGED)), Step(ok()), Step(ok(AGAIN))], AGAIN, 3),
    "one fails without interrupt, the next with": (
        [Step(BROKEN, interrupts=False), Step(BROKEN)],
        FAILED,
        2,
    ),
    "two fail without interrupt": (
        [Step(BROKEN, interrupts=False), Step(BAD, interrupts=False)],
        SENT,
        2,
    ),
    "ok, then no JSON with interrupt": (
        [Step(ok(CHANGED), interrupts=False), Step(ok(b"no JSON"))],
        FAILED,
        2,
    ),
    "ok, then no JSON without": (
        [Step(ok(CHANGED)), Step(ok(b"no JSON"), interrupts=False)],
        CHANGED,
        2,
    ),
    "a forwarded error without interrupt is no data": (
        [Step(ok({"forwardedStatusCode": 403, **CHANGED}), interrupts=False)],
        SENT,
        1,
    ),
    "forwarded 403": (
        [Step(ok({"forwardedStatusCode": 403, "forwardedErrorMessage": "forbidden"}))],
        "EXEC-reUaUZCzCp",
        1,
    ),
    "forwarded 500 by a webhook": (
        [Step(ok({"forwardedStatusCode": 500, "forwardedErrorMessage": "internal"}), type=WEBHOOK)],
        "EXEC-bmhNhpcqpF",
        1,
    ),
    "forwarded 308": (
        [Step(ok({"forwardedStatusCode": 308, "forwardedErrorMessage": "redirect"}))],
        "EXEC-bmhNhpcqpF",
        1,
    ),
}


def by_path(steps: list[Step]) -> Callable[[ReceivedCall], Answer]:
    """Each target has its number as its path."""
    return lambda call: steps[int(call.path.rpartition("/")[2])].response


async def bound(harness: Harness, kind: str, receiver: Receiver, steps: list[Step]) -> None:
    """The targets of the row, in its order."""
    targets = [
        call_target(
            f"{receiver.url}/{number}",
            str(101 + number),
            seconds=step.seconds,
            type=step.type,
            interrupt_on_error=step.interrupts,
        )
        for number, step in enumerate(steps)
    ]
    await harness.bind(kind, *targets)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("kind", ["request", "response"])
async def test_a_list_of_targets_does_what_zitadels_does(harness, kind, row):
    """
    Receivers that were written for it must meet nothing new.
    """
    steps, expected, called = ROWS[row]
    async with Receiver(by_path(steps), signing_keys=[SIGNING_KEY], now=harness.clock) as receiver:
        await bound(harness, kind, receiver, steps)
        try:
            done = await harness.run(kind, dict(SENT))
            outcome, named = done.message, ""
        except OutriderError as error:
            outcome, named = error.id, error.target_id

        assert expected == outcome
        assert called == len(receiver.calls)
        # What interrupts is the last that was called.
        assert named == (str(100 + called) if isinstance(expected, str) else "")
        assert all(call.verified for call in receiver.calls)


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_that_listens(harness, kind):
    """
    The address and the reason stay with the operator.
    """
    with refusing_port() as port:
        await harness.bind(kind, call_target(f"http://127.0.0.1:{port}/hook"))
        with pytest.raises(OutriderError) as refused:
            await harness.run(kind)

    assert f"Execution failed ({FAILED})" == str(refused.value)
    assert TargetId("101") == refused.value.target_id
    [(_, _, fields)] = harness.log.kept
    assert "refused" in fields["error"]


@pytest.mark.parametrize("kind", KINDS)
async def test_without_an_execution_the_message_is_the_same_object(harness, kind):
    """
    Most calls match nothing: they must cost nothing.
    """
    sent = dict(SENT)
    done = await harness.run(kind, sent)

    assert (None, ()) == (done.execution, done.calls)
    assert {} == done.message if kind == "function" else sent is done.message


@pytest.mark.parametrize("kind", ["request", "response"])
async def test_each_target_gets_what_the_ones_before_it_made_of_the_message(harness, kind):
    """
    Also an asynchronous one: its delivery has the body as it was at its turn.
    """
    steps = [
        Step(ok(CHANGED)),
        Step(ok(AGAIN), type=WEBHOOK),
        Step(ok(), type=ASYNC),
        Step(BAD, interrupts=False),
        Step(ok({})),
        Step(ok()),
    ]
    async with Receiver(by_path(steps)) as receiver:
        await bound(harness, kind, receiver, steps)
        done = await harness.run(kind, dict(SENT))
        bodies = [json.loads(call.body)[kind] for call in receiver.calls]

    assert {} == done.message
    assert [SENT, CHANGED, CHANGED, CHANGED, {}] == bodies
    assert [str(101 + number) for number in range(6)] == [call.target_id for call in done.calls]
    outcomes = [call.outcome and call.outcome.name for call in done.calls]
    assert ["ACCEPTED", "ACCEPTED", None, "REFUSED", "ACCEPTED", "ACCEPTED"] == outcomes


@pytest.mark.parametrize("kind", KINDS)
async def test_each_call_has_its_own_id_and_is_no_delivery(harness, receiver, kind):
    """
    Receivers know repetitions by it; nothing is to be found in the delivery log.
    """
    await harness.bind(kind, call_target(receiver.url, "101"), call_target(receiver.url, "102"))
    await harness.run(kind)
    ids = {call.header("webhook-id") for call in receiver.calls}
    about_deliveries = {call.header("outrider-delivery") for call in receiver.calls}

    assert 2 == len(ids - {None})
    assert {None} == about_deliveries
    assert {"application/json"} == {call.header("content-type") for call in receiver.calls}


async def test_the_responses_to_a_function_add_up(harness):
    """
    The second target gets what the first one answered.
    """
    first, second = {"append_log_claims": ["a"], "append_claims": []}, {"append_log_claims": ["b"]}
    steps = [
        Step(ok(first)),
        Step(ok(b"null")),
        Step(ok(b"[]"), interrupts=False),
        Step(ok(second)),
    ]
    async with Receiver(by_path(steps)) as receiver:
        await bound(harness, "function", receiver, steps)
        done = await harness.run("function", {"user": {"id": "1"}})
        bodies = [json.loads(call.body) for call in receiver.calls]

    alone = {"function": f"function/{FUNCTION}", "user": {"id": "1"}}
    assert {**first, **second} == done.message
    assert [alone, *[{**alone, "response": first}] * 3] == bodies


async def test_a_typed_request_and_its_response(harness):
    """
    The first row: the caller asks for a wrong id and gets what receivers made of it.

    ZITADEL's test intercepts GetTarget itself; here calls of its service are exempt.
    """
    call = InterceptedCall(
        full_method=METHOD,
        org_id="2",
        project_id="5",
        user_id="4",
        headers={"Content-Type": ["application/json"], "Authorization": ["Bearer s3cret"]},
    )
    async with Receiver([ok({"id": "right"}), ok({"id": "made by the receiver"})]) as receiver:
        for number, kind in (("101", "request"), ("102", "response")):
            await harness.bind(kind, call_target(receiver.url, number))
        request = await harness.run("request", GetTargetRequest(id="wrong"), GET_TARGET, call=call)
        response = await harness.interceptions.response(
            "instance-a",
            call,
            GetTargetRequest(id="r"),
            GET_TARGET,
            request=GET_TARGET.render(request.message),
        )
        bodies = [received.body.decode() for received in receiver.calls]

    assert ("right", "made by the receiver") == (request.message.id, response.message.id)
    who = '"instanceID":"instance-a","orgID":"2","projectID":"5","userID":"4"'
    tail = '"headers":{"Content-Type":["application/json"]}}'
    assert [
        f'{{"fullMethod":"{METHOD}",{who},"request":{{"id":"wrong"}},{tail}',
        f'{{"fullMethod":"{METHOD}",{who},"request":{{"id":"right"}},"response":{{"id":"r"}},{tail}',
    ] == bodies


async def test_null_leaves_an_empty_typed_message(harness):
    """
    As in ZITADEL: it is reset before the error is found, and the call continues with that.
    """
    async with Receiver([ok(b"null")]) as receiver:
        await harness.bind("request", call_target(receiver.url, interrupt_on_error=False))
        done = await harness.run("request", GetTargetRequest(id="1"), GET_TARGET)

    assert GetTargetRequest() == done.message
    assert ["FAILED"] == [call.outcome.name for call in done.calls]


@pytest.mark.parametrize("message", [{"a": float("nan")}, {"a": "\ud800"}, {"a": {1, 2}}])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_that_is_no_json_is_the_callers_mistake(harness, receiver, kind, message):
    """
    It gets the error before any target is called; where nothing matches nothing is checked.
    """
    if kind != "function":
        assert message is (await harness.run(kind, message)).message
    await harness.bind(kind, call_target(receiver.url))
    with pytest.raises(OutriderError, match="the message must be JSON") as refused:
        await harness.run(kind, message)

    assert "invalid_argument" == refused.value.code
    assert [] == receiver.calls


class Brittle:
    """A kind of message with faults: an application's code."""

    def __init__(self, *, fails_in: str) -> None:
        self.fails_in = fails_in

    def render(self, message: dict, /) -> str:
        if self.fails_in == "render" and message != SENT:
            raise ZeroDivisionError
        return json.dumps(message)

    def parse(self, body: bytes, /) -> dict:
        if self.fails_in == "parse":
            raise ZeroDivisionError
        return json.loads(body)

    def empty(self) -> dict:
        return {}


@pytest.mark.parametrize("fails_in", ["parse", "render"])
@pytest.mark.parametrize("interrupts", [True, False])
async def test_a_fault_of_an_applications_own_code_is_a_failure_of_the_target(
    harness, fails_in, interrupts
):
    """
    The caller hears of it in the usual words, and the operator in a traceback.
    """
    second = WEBHOOK if interrupts else ASYNC
    steps = [Step(ok(CHANGED), interrupts=False), Step(ok(), interrupts=interrupts, type=second)]
    if fails_in == "parse":
        steps[0] = Step(ok(CHANGED), interrupts=interrupts)
    async with Receiver(by_path(steps)) as receiver:
        await bound(harness, "request", receiver, steps)
        running = harness.run("request", dict(SENT), Brittle(fails_in=fails_in), call=CALL)
        if interrupts:
            with pytest.raises(OutriderError, match=FAILED):
                await running
        else:
            outcomes = [call.outcome for call in (await running).calls]
            parsed, rendered = [Outcome.FAILED, None], [Outcome.ACCEPTED, Outcome.BUILD_FAILED]
            assert {"parse": parsed, "render": rendered}[fails_in] == outcomes

    assert ["interception.internal_error"] == harness.log.events("exception")
