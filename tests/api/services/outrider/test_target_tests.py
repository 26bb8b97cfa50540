"""TestTarget: calls that try a target out."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from api.calls.intercepting import NOT_ALLOWED, bound
from api.calls.matching import A_DATE, A_DURATION, NOW, Bytes, JsonBytes, Like
from api.calls.receiver import HOST, LONG, NOBODY, answering, forwarding
from api.calls.runner import check, each_row
from api.calls.service import Service, running
from api.calls.steps import (
    EVENT_TYPE,
    FUNCTION,
    KNOWN,
    METHOD,
    create,
    delete,
    of_type,
    on_event,
    on_function,
    on_request,
    on_response,
    responder,
    set_targets,
    webhook,
)
from api.calls.table import ALL_BUT_REST, Call, Caller, ExpectedError, Row
from api.wires import HttpRequest
from outrider.adapters.crypto.jose import KeyPairs
from outrider.domain.interception.function_example import FUNCTION_EXAMPLES
from outrider.testing.receiver import Answer, Receiver
from outrider.usecases.access.web_keys import ManageWebKeys

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEST = Call("TestTarget", {"targetId": "$target"})
NOT_FOUND = ExpectedError("not_found", "Target not found", "QUERY-hj5oaniyrz")
GIVEN = {"list": [1, 2.5, None, "<a & b>"]}
GIVEN_TEXT = r'{"list":[1,2.5,null,"\u003ca \u0026 b\u003e"]}'
FINE_BODY = b'{"fine":true}'
OK = responder(endpoint=answering(FINE_BODY))


def sending(payload: Mapping[str, Any]) -> Call:
    """Send this."""
    return Call("TestTarget", {"targetId": "$target", "payload": payload})


def attempt(outcome: str = "ACCEPTED", stage: str = "answer", **fields: Any) -> dict[str, Any]:
    """How the call ended."""
    seen = {"number": 1, "startedAt": NOW, "duration": A_DURATION, "stage": stage}
    return {**seen, "outcome": f"OUTCOME_{outcome}", **fields}


def saying(text: str) -> Like:
    """An error that contains this."""
    return Like(f"text with {text}", lambda error: isinstance(error, str) and text in error)


FINE = attempt(statusCode=200, responseBodyPrefix=Bytes(FINE_BODY.decode()))


def sample(
    title: str,
    given: Sequence[Call],
    payload: Mapping[str, Any],
    execution: str = "",
    after: Sequence[Call] = (),
) -> Row:
    """A target that is sent a sample of what it gets from an execution."""
    expected: dict[str, Any] = {"attempt": FINE, "payload": JsonBytes(payload)}
    if execution:
        expected["execution"] = execution
    return Row(title, TEST, expected, given, after)


def described(kind: str, name: str) -> Call:
    """The catalogue has an example."""
    entry = {"kind": f"CATALOGUE_KIND_{kind}", "name": name, "example": {"from": "catalogue"}}
    return Call("AddEntries", {"entries": [entry]})


def call_sample(method: str, message: Mapping[str, Any], *, response: bool = False) -> Any:
    """What the target of a request is sent, or that of a response."""
    caller = {"instanceID": "$instance", "userID": "sample-user"}
    found = {"fullMethod": method, **caller, "request": message}
    return {**found, "response": message} if response else found


def event_sample(event_type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the target of an event is sent."""
    return {
        "aggregateID": "sample-aggregate",
        "aggregateType": "sample",
        "resourceOwner": "sample-organization",
        "instanceID": "$instance",
        "version": "v1",
        "sequence": 1,
        "event_type": event_type,
        "created_at": A_DATE,
        "userID": "sample-user",
        "event_payload": payload,
    }


MADE_UP, DESCRIBED = {"sample": True}, {"from": "catalogue"}
ZITADELS = "/zitadel.org.v2beta.OrganizationService/DeactivateOrganization"
HOOK = create(webhook(endpoint=answering(FINE_BODY)), "target")
BOTH_DESCRIBED = Call(
    "AddEntries",
    {
        "entries": [
            {
                "kind": "CATALOGUE_KIND_METHOD",
                "name": METHOD,
                "example": DESCRIBED,
                "responseExample": {"of": "response"},
            }
        ]
    },
)
EVERYTHING = {"request": {"all": True}}
SAMPLES = [
    sample("nothing asks for it", [OK], event_sample("outrider.test", MADE_UP)),
    sample(
        "a request",
        bound(on_request(), OK),
        call_sample(METHOD, MADE_UP),
        f"request{METHOD}",
    ),
    sample(
        "a request that the catalogue describes",
        [*bound(on_request(), OK), described("METHOD", METHOD)],
        call_sample(METHOD, DESCRIBED),
        f"request{METHOD}",
    ),
    sample(
        "a response",
        bound(on_response(), OK),
        call_sample(METHOD, MADE_UP, response=True),
        f"response{METHOD}",
    ),
    sample(
        "a response that the catalogue describes",
        [*bound(on_response(), OK), described("METHOD", METHOD)],
        call_sample(METHOD, DESCRIBED, response=True),
        f"response{METHOD}",
    ),
    sample(
        "a response whose messages the catalogue describes",
        [*bound(on_response(), OK), BOTH_DESCRIBED],
        {**call_sample(METHOD, DESCRIBED), "response": {"of": "response"}},
        f"response{METHOD}",
    ),
    sample(
        "a response of ZITADEL, whose target does not answer with the message",
        bound(on_response(ZITADELS), HOOK),
        {**call_sample(ZITADELS, {"id": "id"}), "response": {"changeDate": "2030-01-31T12:00:00Z"}},
        f"response{ZITADELS}",
        [Call("SetExecution", {"condition": on_response(ZITADELS)})],
    ),
    sample(
        "the requests of a service",
        bound({"request": {"service": "$unique.Service"}}, OK),
        call_sample("/$unique.Service/DoSomething", MADE_UP),
        "request/$unique.Service",
    ),
    sample(
        "every request",
        bound(EVERYTHING, OK),
        call_sample("/outrider.sample.SampleService/DoSomething", MADE_UP),
        "request",
        [Call("SetExecution", {"condition": EVERYTHING})],
    ),
    sample(
        "a function",
        bound(on_function(), OK),
        {"function": f"function/{FUNCTION}", **FUNCTION_EXAMPLES["preuserinfo"]},
        f"function/{FUNCTION}",
    ),
    sample(
        "a function that the catalogue describes",
        [*bound(on_function(), OK), described("FUNCTION", FUNCTION)],
        {"function": f"function/{FUNCTION}", **DESCRIBED},
        f"function/{FUNCTION}",
    ),
    sample(
        "an assertion",
        bound(on_function("presamlresponse"), OK),
        {"function": "function/presamlresponse", **FUNCTION_EXAMPLES["presamlresponse"]},
        "function/presamlresponse",
    ),
    sample(
        "an event",
        [KNOWN, *bound(on_event(), OK)],
        event_sample(EVENT_TYPE, MADE_UP),
        f"event/{EVENT_TYPE}",
    ),
    sample(
        "an event that the catalogue describes",
        [KNOWN, *bound(on_event(), OK), described("EVENT_TYPE", EVENT_TYPE)],
        event_sample(EVENT_TYPE, DESCRIBED),
        f"event/{EVENT_TYPE}",
    ),
    sample(
        "a group of events",
        [KNOWN, *bound({"event": {"group": "$unique"}}, OK)],
        event_sample("outrider.test", MADE_UP),
        "event/$unique.*",
    ),
    sample(
        "several executions: the first by its name",
        [*bound(on_request(), OK), set_targets(on_response()), set_targets(on_function())],
        {"function": f"function/{FUNCTION}", **FUNCTION_EXAMPLES["preuserinfo"]},
        f"function/{FUNCTION}",
    ),
]

REFUSED = {"statusCode": 418, "error": saying("418"), "responseBodyPrefix": Bytes("no")}
FORWARDED = {"statusCode": 200, "error": saying("the error 403: no")}
OUTCOMES = [
    Row(
        "what was given is sent, as Go writes JSON",
        sending(GIVEN),
        {"attempt": FINE, "payload": Bytes(GIVEN_TEXT)},
        [OK],
    ),
    Row(
        "nothing is given, and that is something",
        sending({}),
        {"attempt": FINE, "payload": Bytes("{}")},
        [OK],
    ),
    Row(
        "no more than the first 2 KiB of the answer come back",
        sending({}),
        {
            "attempt": attempt(statusCode=200, responseBodyPrefix=Bytes("x" * 2048)),
            "payload": Bytes("{}"),
        },
        [responder(endpoint=f"{LONG}2049")],
    ),
    Row(
        "the target refuses",
        sending({}),
        {"attempt": attempt("REFUSED", **REFUSED), "payload": Bytes("{}")},
        [responder(endpoint=answering(b"no", 418))],
    ),
    Row(
        "the target forwards an error",
        sending({}),
        {
            "attempt": attempt(
                "FAILED",
                **FORWARDED,
                responseBodyPrefix=JsonBytes(
                    {"forwardedStatusCode": 403, "forwardedErrorMessage": "no"}
                ),
            ),
            "payload": Bytes("{}"),
        },
        [responder(endpoint=forwarding(403, "no"))],
    ),
    Row(
        "nobody is there",
        sending({}),
        {
            "attempt": attempt("UNREACHABLE", "connect", error=saying("refused")),
            "payload": Bytes("{}"),
        },
        [responder(endpoint=NOBODY)],
    ),
    Row(
        "an address that is not allowed",
        sending({}),
        {"attempt": attempt("BLOCKED", "guard", error=saying("127.0.0.1")), "payload": Bytes("{}")},
        [responder(endpoint="http://localhost:9/hook")],
    ),
    Row(
        "nothing can be encrypted",
        sending({}),
        {"attempt": attempt("BUILD_FAILED", "build", error=saying("key")), "payload": Bytes("{}")},
        [responder(payloadType="PAYLOAD_TYPE_JWE", endpoint=NOBODY)],
    ),
    Row(
        "a pause is for deliveries",
        sending({}),
        {"attempt": FINE, "payload": Bytes("{}")},
        [OK, Call("PauseTarget", {"targetId": "$target"})],
    ),
    Row(
        "the log of deliveries knows nothing of it",
        Call("ListDeliveries", {"targetId": "$target"}),
        {},
        [KNOWN, *bound(on_event(), OK), TEST, sending({})],
    ),
]

FAILED_TEXT = "Execution failed (EXEC-dra6yamk98)"


def applied(
    title: str,
    condition: Mapping[str, Any],
    answer: bytes,
    error: str,
    caller_error: Mapping[str, Any] | None,
    *,
    type_: str = "restCall",
    interrupts: bool = True,
    call: Call = TEST,
) -> Row:
    """A target of an execution, whose answer a real call could not use."""
    target = create(of_type(type_, interrupts=interrupts, endpoint=answering(answer)))
    seen = {"statusCode": 200, "responseBodyPrefix": Bytes(answer.decode()), "error": saying(error)}
    expected: dict[str, Any] = {"attempt": attempt("FAILED", **seen), "payload": ANYTHING}
    expected["execution"] = ANYTHING
    if caller_error is not None:
        expected["callerError"] = caller_error
    return Row(title, call, expected, bound(condition, target))


ANYTHING = Like("anything", lambda value: value is not None)
STOPPED = {"code": "failed_precondition", "message": FAILED_TEXT}
FORBIDDEN = b'{"forwardedStatusCode":403,"forwardedErrorMessage":"not you"}'
APPLIED = [
    applied("a request's answer is no JSON", on_request(), b"fine", "not JSON", STOPPED),
    applied("a response's answer is a list", on_response(), b"[]", "not a JSON object", STOPPED),
    applied("a request's answer is null", on_request(), b"null", "the answer is null", STOPPED),
    applied(
        "a function's answer is no JSON",
        on_function(),
        b"fine",
        "not JSON",
        {"code": "failed_precondition", "message": "Response is not valid JSON (ACTION-4m9s2)"},
    ),
    applied(
        "a list of an assertion has the wrong type",
        on_function("presamlresponse"),
        b'{"append_attribute":{}}',
        "append_attribute of the answer is not a list",
        STOPPED,
    ),
    applied(
        "an error is forwarded to the caller",
        on_request(),
        FORBIDDEN,
        "the error 403: not you",
        {"code": "permission_denied", "message": "not you (EXEC-reUaUZCzCp)"},
    ),
    applied(
        "a webhook forwards one",
        on_request(),
        FORBIDDEN,
        "the error 403: not you",
        {"code": "permission_denied", "message": "not you (EXEC-reUaUZCzCp)"},
        type_="restWebhook",
    ),
    applied(
        "a target that does not interrupt fails without an error for the caller",
        on_request(),
        b"fine",
        "not JSON",
        None,
        interrupts=False,
    ),
    applied(
        "an answer to what was given is applied, too",
        on_request(),
        b"fine",
        "not JSON",
        STOPPED,
        call=sending(GIVEN),
    ),
    Row(
        "an unreachable target stops the caller as well",
        TEST,
        {
            "attempt": attempt("UNREACHABLE", "connect", error=saying("refused")),
            "payload": ANYTHING,
            "execution": f"request{METHOD}",
            "callerError": STOPPED,
        },
        bound(on_request(), create(of_type("restCall", interrupts=True, endpoint=NOBODY))),
    ),
    Row(
        "what a webhook answers is not applied",
        TEST,
        {
            "attempt": attempt(statusCode=200, responseBodyPrefix=Bytes("fine")),
            "payload": ANYTHING,
            "execution": f"request{METHOD}",
        },
        bound(on_request(), create(of_type("restWebhook", endpoint=answering(b"fine")))),
    ),
    Row(
        "nor what answers an event",
        TEST,
        {
            "attempt": attempt(statusCode=200, responseBodyPrefix=Bytes("fine")),
            "payload": ANYTHING,
            "execution": f"event/{EVENT_TYPE}",
        },
        [KNOWN, *bound(on_event(), responder(endpoint=answering(b"fine")))],
    ),
]

EMPTY_ID = "value length must be between 1 and 200 runes, inclusive"
REFUSALS = [
    Row("nobody's target", Call("TestTarget", {"targetId": "1"}), NOT_FOUND),
    Row("a deleted target", TEST, NOT_FOUND, [OK, delete()]),
    Row(
        "no id",
        Call("TestTarget"),
        ExpectedError("invalid_argument", f"invalid TestTargetRequest.TargetId: {EMPTY_ID}"),
        wires=ALL_BUT_REST,
    ),
    *(
        Row(f"{caller} may not", Call("TestTarget", {"targetId": "1"}, caller), NOT_ALLOWED)
        for caller in (Caller.VIEWER, Caller.PUBLISHER)
    ),
]

ROWS = [*SAMPLES, *OUTCOMES, *APPLIED, *REFUSALS]


@each_row(ROWS)
async def test_target_tests(service: Service, row: Row):
    """
    Before anything depends on a target, an operator wants to see it answer.
    """
    await check(service, row)


async def test_a_test_says_so_and_is_signed_like_everything(service: Service):
    """
    A receiver can tell it from what counts, and needs no entry point for tests.
    """
    async with Receiver([Answer(status=204)], host=HOST, now=lambda: service.clock.now) as receiver:
        made = await service.ask("CreateTarget", webhook(name="tried", endpoint=receiver.url))
        receiver.signing_keys = [made["signingKey"]]
        policy = {"targetId": made["id"], "policy": {"headers": {"X-Api-Key": "secret"}}}
        await service.ask("SetTargetPolicy", policy)
        answer = await service.ask("TestTarget", {"targetId": made["id"], "payload": GIVEN})
        (call,) = receiver.calls

    assert 204 == answer["attempt"]["statusCode"]
    assert GIVEN_TEXT.encode() == call.body == b64decode(answer["payload"])
    assert None is call.refusal
    assert call.verified is not None
    seen = [call.header(name) for name in ("Outrider-Test", "X-Api-Key", "Outrider-Delivery")]
    assert ["true", "secret", None] == seen


async def test_another_payload_type_is_sent_and_its_plain_text_shown(tmp_path: Path):
    """
    Who debugs a receiver that cannot read a JWT wants to see what is in it.
    """
    async with running(tmp_path) as service, Receiver(host=HOST) as receiver:
        web_keys = ManageWebKeys(service.store, service.runtime, KeyPairs())
        await web_keys.ensure_first(service.instance)
        request = of_type("restCall", payloadType="PAYLOAD_TYPE_JWT", endpoint=receiver.url)
        target = (await service.ask("CreateTarget", request))["id"]
        answer = await service.ask("TestTarget", {"targetId": target, "payload": GIVEN})
        published = await service.client.exchange(HttpRequest("GET", "/oauth/v2/keys"))
        (call,) = receiver.calls

    keys = KeySet.import_key_set(json.loads(published.body))
    found = jws.deserialize_compact(call.body, keys, ["RS256"])
    assert "OUTCOME_ACCEPTED" == answer["attempt"]["outcome"]
    assert GIVEN_TEXT.encode() == found.payload == b64decode(answer["payload"])
