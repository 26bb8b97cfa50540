"""What targets may answer, as callers of every wire see it: refusals refuse, schemas hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from api.calls.intercepting import FAILED, accepted, bound, failed
from api.calls.receiver import answering
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import METHOD, create, of_type, on_request, on_response, responder
from api.calls.table import Call, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = {"text": "tea"}
REQUEST = Call("InterceptRequest", {"fullMethod": METHOD, "request": MESSAGE})
RESPONSE = Call("InterceptResponse", {"fullMethod": METHOD, "response": MESSAGE})
FORBIDDEN = ExpectedError("permission_denied", "no", "EXEC-reUaUZCzCp", "$target")
REFUSALS: list[Mapping[str, Any]] = [
    {"forwarded_status_code": 403, "forwarded_error_message": "no"},
    {"ForwardedStatusCode": 403},
    {"forwardedStatusCode": "forbidden"},
    {"forwardedStatusCode": True},
    {"allowed": False},
    {"Allow": False},
    {"denied": True},
    {"error": {"code": 403}},
    {"action": "DENY"},
]


def hook(body: object) -> Call:
    """A webhook that interrupts."""
    return create(of_type("restWebhook", interrupts=True, endpoint=answering(body)))


def at_request(body: object, **fields: Any) -> list[Call]:
    """A target of the row's requests that answers this."""
    return [*bound(on_request(), responder(endpoint=answering(body), **fields))]


REFUSED = [
    *(
        Row(f"{body} stops a request", REQUEST, FAILED, at_request(body, interrupts=True))
        for body in REFUSALS
    ),
    *(
        Row(f"{body} of a webhook does", REQUEST, FAILED, bound(on_request(), hook(body)))
        for body in REFUSALS
    ),
    *(
        Row(
            f"{body} stops a response",
            RESPONSE,
            FAILED,
            bound(on_response(), responder(interrupts=True, endpoint=answering(body))),
        )
        for body in REFUSALS
    ),
    *(
        Row(
            f"{status} is 403",
            REQUEST,
            FORBIDDEN,
            at_request(
                b'{"forwardedStatusCode":%s,"forwardedErrorMessage":"no"}' % status,
                interrupts=True,
            ),
        )
        for status in (b'"403"', b"403.0", b"4.03e2")
    ),
    Row(
        "one that does not interrupt refuses nothing, and changes nothing either",
        REQUEST,
        {
            "request": MESSAGE,
            "execution": f"request{METHOD}",
            "calls": [failed("FAILED", "is not spelled forwardedStatusCode")],
        },
        at_request(REFUSALS[0]),
    ),
    Row(
        "what the message has is a member like any other",
        Call("InterceptRequest", {"fullMethod": METHOD, "request": {"error": "none"}}),
        {"request": {"error": "some"}, "execution": f"request{METHOD}", "calls": [accepted()]},
        at_request({"error": "some"}, interrupts=True),
    ),
]

ADD_USER = "/zitadel.user.v2.UserService/AddHumanUser"
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"text": {"type": "string"}, "count": {"type": "integer"}},
}
CHOICES: dict[str, Any] = {}
for _ in range(10):
    CHOICES = {"anyOf": [CHOICES, CHOICES]}
DESCRIBED = Call(
    "AddEntries",
    {"entries": [{"kind": "CATALOGUE_KIND_METHOD", "name": METHOD, "schema": SCHEMA}]},
)


def with_schema(title: str, body: object, expected: Any) -> Row:
    """A request of a method with a schema, whose target answers this."""
    return Row(title, REQUEST, expected, [*at_request(body, interrupts=True), DESCRIBED])


def taken(body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer is the request now."""
    return {"request": body, "execution": f"request{METHOD}", "calls": [accepted()]}


SCHEMAS = [
    with_schema("an answer that fits", {"text": "x", "count": 2}, taken({"text": "x", "count": 2})),
    with_schema("a wrong type", {"text": 1}, FAILED),
    with_schema("a fraction for an integer", {"count": 1.5}, FAILED),
    with_schema("an unknown member", {"text": "x", "more": 1}, FAILED),
    Row(
        "a schema that would keep a checker busy for long",
        Call(
            "AddEntries",
            {
                "entries": [
                    {
                        "kind": "CATALOGUE_KIND_METHOD",
                        "name": METHOD,
                        "schema": CHOICES,
                    }
                ]
            },
        ),
        ExpectedError(
            "invalid_argument",
            "invalid AddEntriesRequest.Entries[0].Schema: value must be a JSON Schema that answers"
            " can be checked against: its choices lie too deep inside each other",
        ),
    ),
]


def typed(title: str, body: object, expected: Any) -> Row:
    """A request of a method of ZITADEL, which needs no description."""
    targets = bound(on_request(ADD_USER), responder(interrupts=True, endpoint=answering(body)))
    call = Call("InterceptRequest", {"fullMethod": ADD_USER, "request": {"username": "maxi"}})
    return Row(title, call, expected, targets)


TYPED = [
    typed(
        "a field that the message has",
        {"user_id": "7"},
        {"request": {"user_id": "7"}, "execution": f"request{ADD_USER}", "calls": [accepted()]},
    ),
    typed("a field that it does not have", {"nickname": "m"}, FAILED),
    typed("a field of another type", {"username": 1}, FAILED),
]


@each_row(REFUSED)
async def test_a_refusal_refuses(service: Service, row: Row):
    """
    It passed as data and replaced the request, when its spelling was another system's.
    """
    await check(service, row)


@each_row([*SCHEMAS, *TYPED])
async def test_an_answer_fits_the_schema_of_its_method(service: Service, row: Row):
    """
    Where the catalogue knows a method, what its handler would not understand never arrives there.
    """
    await check(service, row)
