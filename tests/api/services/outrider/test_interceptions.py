"""Requests and responses that run through targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from api.calls.intercepting import FAILED, NOT_ALLOWED, accepted, bound, failed
from api.calls.matching import A_DATE, AN_ID
from api.calls.receiver import ECHO, NOBODY, answering, forwarding
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import (
    KNOWN_METHOD,
    METHOD,
    create,
    of_type,
    on_request,
    on_response,
    responder,
)
from api.calls.table import Call, Caller, ExpectedError, Row
from api.wires import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = {"text": "<a & b>", "list": [1.5, None, True], "deep": {"": {}}}
OTHER = {"other": {"thing": [1, "2"]}}
REQUEST = Call("InterceptRequest", {"fullMethod": METHOD, "request": MESSAGE})
RESPONSE = Call(
    "InterceptResponse", {"fullMethod": METHOD, "request": {"asked": 1}, "response": MESSAGE}
)
BINARY = tuple(wire for wire in Wire if wire not in {Wire.CONNECT_JSON, Wire.REST})
ON_REQUEST = f"request{METHOD}"
ON_RESPONSE = f"response{METHOD}"


def requested(request: Mapping[str, Any], *calls: Mapping[str, Any]) -> dict[str, Any]:
    """The answer about a request whose execution matched."""
    return {"request": request, "execution": ON_REQUEST, "calls": calls}


def at_request(*targets: Call) -> Sequence[Call]:
    """Targets of the requests of the row's method."""
    return bound(on_request(), *targets)


def hook(endpoint: str, *, interrupts: bool = False) -> Call:
    """Create a webhook."""
    return create(of_type("restWebhook", interrupts=interrupts, endpoint=endpoint))


MANY_HEADERS = {f"h{number}": {"values": ["v"]} for number in range(1001)}
REQUESTS = [
    Row(
        "more headers than any server takes",
        Call("InterceptRequest", {"fullMethod": METHOD, "headers": MANY_HEADERS}),
        ExpectedError(
            "invalid_argument",
            "invalid InterceptRequestRequest.Headers: value must contain no more than 1000 pair(s)",
        ),
    ),
    Row("a request that nobody asks for is what it was", REQUEST, {"request": MESSAGE}),
    Row(
        "no request is an empty one",
        Call("InterceptRequest", {"fullMethod": METHOD}),
        {"request": {}},
    ),
    Row(
        "the answer replaces the request whole",
        REQUEST,
        requested(OTHER, accepted()),
        at_request(responder(endpoint=answering(OTHER))),
    ),
    Row(
        "an empty object empties the request",
        REQUEST,
        requested({}, accepted()),
        at_request(responder(endpoint=answering({}))),
    ),
    Row(
        "an empty body keeps the request",
        REQUEST,
        requested(MESSAGE, accepted()),
        at_request(responder(endpoint=answering())),
    ),
    Row(
        "a target that answers what it was asked changes nothing",
        REQUEST,
        requested(MESSAGE, accepted()),
        at_request(responder(endpoint=f"{ECHO}request")),
    ),
    Row(
        "the next target sees what the one before it made of the request",
        REQUEST,
        requested(OTHER, accepted("$first"), accepted("$second")),
        at_request(
            responder("first", endpoint=answering(OTHER)),
            responder("second", endpoint=f"{ECHO}request"),
        ),
    ),
    Row(
        "the body of a webhook's answer is ignored",
        REQUEST,
        requested(MESSAGE, accepted()),
        at_request(hook(answering(OTHER), interrupts=True)),
    ),
    Row(
        "of answers that are not taken the message is what it was, and the calls contain the reason",
        REQUEST,
        requested(
            OTHER,
            failed("FAILED", "not JSON", "$text"),
            failed("FAILED", "not a JSON object", "$list"),
            failed("FAILED", "403", "$forwards"),
            failed("REFUSED", "400", "$refuses"),
            failed("OVERLOADED", "503", "$busy"),
            failed("FAILED", "500", "$fails"),
            failed("UNREACHABLE", "", "$nobody"),
            failed("BLOCKED", "127.0.0.1", "$blocked"),
            failed("BUILD_FAILED", "key", "$keyless"),
            accepted("$last"),
        ),
        at_request(
            responder("text", endpoint=answering(b"<html>")),
            responder("list", endpoint=answering([])),
            responder("forwards", endpoint=forwarding(403, "no")),
            responder("refuses", endpoint=answering(OTHER, 400)),
            responder("busy", endpoint=answering(OTHER, 503)),
            responder("fails", endpoint=answering(OTHER, 500)),
            responder("nobody", endpoint=NOBODY),
            responder("blocked", endpoint="http://localhost:9/hook"),
            responder("keyless", payloadType="PAYLOAD_TYPE_JWE", endpoint=answering(OTHER)),
            responder("last", endpoint=answering(OTHER)),
        ),
    ),
    Row(
        "numbers that JSON can carry and a Struct cannot",
        REQUEST,
        requested(MESSAGE, failed("FAILED", "not JSON")),
        at_request(responder(endpoint=answering(b'{"a":1' + b"0" * 400 + b"}"))),
        wires=BINARY,
    ),
    Row(
        "an answer deeper than the wire",
        REQUEST,
        requested(MESSAGE, failed("FAILED", "nested deeper than 48")),
        at_request(responder(endpoint=answering(b'{"a":' * 49 + b"1" + b"}" * 49))),
    ),
    Row(
        "one that a whole service is called for",
        REQUEST,
        {"request": OTHER, "execution": "request/$unique.Service", "calls": [accepted()]},
        bound({"request": {"service": "$unique.Service"}}, responder(endpoint=answering(OTHER))),
    ),
    Row(
        "who publishes may intercept",
        Call(REQUEST.rpc, REQUEST.request, Caller.PUBLISHER),
        {"request": MESSAGE},
    ),
    Row(
        "who may only read may not intercept",
        Call(REQUEST.rpc, REQUEST.request, Caller.VIEWER),
        NOT_ALLOWED,
    ),
]

RESPONSES = [
    Row("a response that nobody asks for is what it was", RESPONSE, {"response": MESSAGE}),
    Row(
        "the answer replaces the response whole",
        RESPONSE,
        {"response": OTHER, "execution": ON_RESPONSE, "calls": [accepted()]},
        bound(on_response(), responder(endpoint=answering(OTHER))),
    ),
    Row(
        "targets of a response get the request, too",
        RESPONSE,
        {"response": {"asked": 1.0}, "execution": ON_RESPONSE, "calls": [accepted()]},
        bound(on_response(), responder(endpoint=f"{ECHO}request")),
    ),
    Row(
        "a response that is empty, of a request that is",
        Call("InterceptResponse", {"fullMethod": METHOD}),
        {"response": {}, "execution": ON_RESPONSE, "calls": [accepted()]},
        bound(on_response(), responder(endpoint=f"{ECHO}response")),
    ),
    Row(
        "requests and responses have executions of their own",
        RESPONSE,
        {"response": MESSAGE},
        at_request(responder(interrupts=True, endpoint=NOBODY)),
    ),
    Row(
        "a response is stopped as a request is",
        RESPONSE,
        FAILED,
        bound(on_response(), responder(interrupts=True, endpoint=answering(b"", 500))),
    ),
    Row(
        "who may only read may not intercept responses",
        Call(RESPONSE.rpc, RESPONSE.request, Caller.VIEWER),
        NOT_ALLOWED,
    ),
]


def interrupted(title: str, expected: ExpectedError, *targets: Call) -> Row:
    """A request that its targets stop."""
    return Row(title, REQUEST, expected, at_request(*targets))


def forwarded(status: int, code: str, id_: str = "EXEC-reUaUZCzCp") -> Row:
    """What the caller sees of an error that the target forwards."""
    return interrupted(
        f"a target forwards {status}",
        ExpectedError(code, f"it says {status}", id_, "$target"),
        responder(interrupts=True, endpoint=forwarding(status, f"it says {status}")),
    )


INTERRUPTED = [
    forwarded(400, "invalid_argument"),
    forwarded(401, "unauthenticated"),
    forwarded(403, "permission_denied"),
    forwarded(404, "not_found"),
    forwarded(409, "already_exists"),
    forwarded(429, "resource_exhausted"),
    forwarded(418, "unknown"),
    forwarded(499, "unknown"),
    *(
        forwarded(status, "failed_precondition", "EXEC-bmhNhpcqpF")
        for status in (0, 1, 200, 308, 399, 500, 503, 1000, -1)
    ),
    interrupted(
        "a forwarded error without words",
        ExpectedError("permission_denied", "", "EXEC-reUaUZCzCp", "$target"),
        hook(forwarding(403, ""), interrupts=True),
    ),
    interrupted(
        "a forwarded error in every kind of letters",
        ExpectedError("not_found", "<a & b> é\u2028\n\0", "EXEC-reUaUZCzCp", "$target"),
        hook(forwarding(404, "<a & b> é\u2028\n\0"), interrupts=True),
    ),
    *(
        interrupted(
            f"a target answers {status}",
            FAILED,
            responder(interrupts=True, endpoint=answering(OTHER, status)),
        )
        for status in (400, 403, 410, 429, 500, 503, 303)
    ),
    interrupted("nobody answers", FAILED, hook(NOBODY, interrupts=True)),
    interrupted(
        "a target is not to be called", FAILED, hook("http://localhost:9/hook", interrupts=True)
    ),
    interrupted(
        "the answer is not JSON", FAILED, responder(interrupts=True, endpoint=answering(b"{"))
    ),
    interrupted("the answer is a list", FAILED, responder(interrupts=True, endpoint=answering([]))),
    interrupted("the answer is null", FAILED, responder(interrupts=True, endpoint=answering(None))),
    interrupted(
        "the second of three stops the call",
        ExpectedError("failed_precondition", "Execution failed", "EXEC-dra6yamk98", "$second"),
        responder("first", interrupts=True, endpoint=answering(OTHER)),
        responder("second", interrupts=True, endpoint=answering(OTHER, 400)),
        responder("third", interrupts=True, endpoint=forwarding(403, "never said")),
    ),
]


def policy(**fields: Any) -> Call:
    """Set the target's policy."""
    return Call("SetTargetPolicy", {"targetId": "$target", "policy": fields})


CONTINUE = policy(onUnreachable="ON_UNREACHABLE_CONTINUE")
INTERRUPT = policy(onUnreachable="ON_UNREACHABLE_INTERRUPT")
UNREACHABLE = [
    Row(
        "one that would interrupt may be unreachable, when its policy allows it",
        REQUEST,
        requested(MESSAGE, failed("UNREACHABLE", "")),
        [*at_request(responder(interrupts=True, endpoint=NOBODY)), CONTINUE],
    ),
    Row(
        "one that would not interrupt does when it is unreachable and its policy demands it",
        REQUEST,
        FAILED,
        [*at_request(responder(endpoint=NOBODY)), INTERRUPT],
    ),
    Row(
        "an address that is not allowed is unreachable as well",
        REQUEST,
        FAILED,
        [*at_request(responder(endpoint="http://localhost:9/hook")), INTERRUPT],
    ),
    Row(
        "what a target answers is not about reaching it",
        REQUEST,
        FAILED,
        [*at_request(responder(interrupts=True, endpoint=answering(b"", 503))), CONTINUE],
    ),
    Row(
        "nor is it when the policy interrupts",
        REQUEST,
        requested(MESSAGE, failed("OVERLOADED", "503")),
        [*at_request(responder(endpoint=answering(b"", 503))), INTERRUPT],
    ),
]

DELIVERIES = Call("ListDeliveries", {"targetId": "$target"})
ASYNC = create(of_type("restAsync", endpoint=NOBODY))
HANDED_OVER = [
    Row(
        "nobody waits for an async target, and nothing is known of its call",
        REQUEST,
        requested(OTHER, accepted("$first"), {"targetId": "$target"}),
        at_request(responder("first", endpoint=answering(OTHER)), ASYNC),
    ),
    Row(
        "its call is a delivery",
        DELIVERIES,
        {
            "deliveries": [
                {
                    "id": AN_ID,
                    "eventId": AN_ID,
                    "eventType": ON_REQUEST,
                    "targetId": "$target",
                    "execution": ON_REQUEST,
                    "state": "DELIVERY_STATE_PENDING",
                    "createdAt": A_DATE,
                    "nextAttemptAt": A_DATE,
                }
            ]
        },
        # No caller waits for it to be stored, but what is written later is stored later.
        [*at_request(ASYNC), REQUEST, KNOWN_METHOD],
    ),
]


LENGTH = "value length must be between 1 and 1000 runes, inclusive"
NOT_A_METHOD = "value must be /package.Service/Method"
NOT_A_FUNCTION = "value must be letters, digits, _ and -"


def invalid(rpc: str, request: Mapping[str, Any], text: str) -> Row:
    """A request that a rule of the contract refuses."""
    shown = str(request)[:60]
    error = ExpectedError("invalid_argument", f"invalid {rpc}Request.{text}")
    return Row(f"{rpc} with {shown}", Call(rpc, request), error)


VALIDATION = [
    row
    for rpc in ("InterceptRequest", "InterceptResponse")
    for row in (
        invalid(rpc, {}, f"FullMethod: {LENGTH}"),
        invalid(rpc, {"fullMethod": "/a.B/" + "C" * 996}, f"FullMethod: {LENGTH}"),
        *(
            invalid(rpc, {"fullMethod": method}, f"FullMethod: {NOT_A_METHOD}")
            for method in (
                "a.B/C",
                "/a.B",
                "/a.B/",
                "//C",
                "/a.B/C/D",
                "/a..B/C",
                "/a.B/C D",
                "/a.B/C\n",
                "/",
            )
        ),
        *(
            invalid(
                rpc,
                {"fullMethod": "/a.B/C", name: "x" * 201},
                f"{name[0].upper()}{name[1:]}: value length must be at most 200 runes",
            )
            for name in ("orgId", "projectId", "userId")
        ),
    )
] + [
    invalid("CallFunction", {}, f"Function: {LENGTH}"),
    invalid("CallFunction", {"function": "x" * 1001}, f"Function: {LENGTH}"),
    invalid("CallFunction", {"function": "function/preuserinfo"}, f"Function: {NOT_A_FUNCTION}"),
]

ROWS = [
    *REQUESTS,
    *RESPONSES,
    *INTERRUPTED,
    *UNREACHABLE,
    *HANDED_OVER,
    *VALIDATION,
]


@each_row(ROWS)
async def test_interceptions(service: Service, row: Row):
    """
    An application hangs on each of these answers, in whatever language it asks.
    """
    await check(service, row)
