"""Functions that run through targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from api.calls.intercepting import FAILED, NOT_ALLOWED, accepted, bound, failed
from api.calls.receiver import ECHO, answering
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import FUNCTION, on_function, responder
from api.calls.table import Call, Caller, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLED = Call("CallFunction", {"function": FUNCTION, "payload": {"a": 1}})
ON_FUNCTION = f"function/{FUNCTION}"


def function_answer(answer: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The answer about a function whose execution matched."""
    return {"answer": answer, "execution": ON_FUNCTION, "claims": {}, **more}


def at_function(function: str, *targets: Call) -> Sequence[Call]:
    """Targets of a function."""
    return bound(on_function(function), *targets)


def call_function(function: str, payload: Mapping[str, Any]) -> Call:
    """Call it."""
    return Call("CallFunction", {"function": function, "payload": payload})


CLAIM, OTHER_CLAIM = {"key": "role", "value": ["a", {"b": 1.5}]}, {"key": "sub", "value": "mine"}
RESERVED = {"key": "urn:zitadel:iam:org:id", "value": "1"}
METADATA = {"key": "seen", "value": "YQ=="}
ATTRIBUTE = {"name": "role", "name_format": "basic", "value": ["a", "b"]}
LOG = "urn:zitadel:iam:action:function/{}:log".format
FUNCTIONS = [
    Row("a function that nobody asks for", CALLED, {"answer": {}, "claims": {}}),
    Row(
        "a function without a payload",
        Call("CallFunction", {"function": FUNCTION}),
        {"answer": {}, "claims": {}},
    ),
    Row(
        "a function of one's own answers what its target answers",
        CALLED,
        function_answer({"append_claims": "anything", "b": {}}, calls=[accepted()]),
        at_function(
            FUNCTION, responder(endpoint=answering({"append_claims": "anything", "b": {}}))
        ),
    ),
    Row(
        "answers are laid over each other, and the second target sees the first's",
        CALLED,
        function_answer(
            {"a": 1.0, "b": 2.0},
            calls=[accepted("$first"), accepted("$second"), accepted("$third")],
        ),
        at_function(
            FUNCTION,
            responder("first", endpoint=answering({"a": 1, "b": 1})),
            responder("second", endpoint=f"{ECHO}response"),
            responder("third", endpoint=answering({"b": 2})),
        ),
    ),
    Row(
        "null and nothing change nothing",
        CALLED,
        function_answer({}, calls=[accepted("$first"), accepted("$second")]),
        at_function(
            FUNCTION,
            responder("first", endpoint=answering(None)),
            responder("second", endpoint=answering()),
        ),
    ),
    *(
        Row(
            f"claims of {function}",
            call_function(function, {"userinfo": {"sub": "42"}}),
            {
                "execution": f"function/{function}",
                "calls": [accepted("$first"), accepted("$second")],
                "answer": {
                    "set_user_metadata": [METADATA],
                    "append_claims": [CLAIM, OTHER_CLAIM, RESERVED],
                    "append_log_claims": ["second"],
                },
                "claims": {
                    "role": CLAIM["value"],
                    LOG(function): ['key "sub" already exists', "second"],
                },
            },
            at_function(
                function,
                responder(
                    "first",
                    endpoint=answering(
                        {
                            "append_claims": [CLAIM, OTHER_CLAIM, RESERVED],
                            "append_log_claims": ["first"],
                        }
                    ),
                ),
                responder(
                    "second",
                    endpoint=answering(
                        {
                            "set_user_metadata": [METADATA],
                            "append_log_claims": ["second"],
                            "ignored": 1,
                        }
                    ),
                ),
            ),
        )
        for function in ("preuserinfo", "preaccesstoken")
    ),
    Row(
        "attributes of presamlresponse",
        call_function("presamlresponse", {"user": {"id": "1"}}),
        {
            "execution": "function/presamlresponse",
            "calls": [accepted()],
            "answer": {"append_attribute": [ATTRIBUTE]},
            "claims": {},
            "attributes": [{"name": "role", "nameFormat": "basic", "values": ["a", "b"]}],
        },
        at_function(
            "presamlresponse", responder(endpoint=answering({"append_attribute": [ATTRIBUTE]}))
        ),
    ),
    Row(
        "a target may answer its whole payload",
        call_function("preuserinfo", {"userinfo": {"sub": "42"}}),
        {"answer": {}, "execution": "function/preuserinfo", "calls": [accepted()], "claims": {}},
        at_function(
            "preuserinfo",
            responder(
                endpoint=answering({"function": "function/preuserinfo", "userinfo": {"sub": "42"}})
            ),
        ),
    ),
    Row(
        "an answer that is not JSON stops the function",
        CALLED,
        ExpectedError(
            "failed_precondition", "Response is not valid JSON", "ACTION-4m9s2", "$target"
        ),
        at_function(FUNCTION, responder(interrupts=True, endpoint=answering(b"<html>"))),
    ),
    Row(
        "an answer that is no object stops it in other words",
        CALLED,
        FAILED,
        at_function(FUNCTION, responder(interrupts=True, endpoint=answering([]))),
    ),
    Row(
        "so does a list of claims that is none",
        call_function("preuserinfo", {}),
        FAILED,
        at_function(
            "preuserinfo", responder(interrupts=True, endpoint=answering({"append_claims": {}}))
        ),
    ),
    Row(
        "or nothing happens, and the call contains the reason",
        call_function("preuserinfo", {}),
        {
            "answer": {},
            "execution": "function/preuserinfo",
            "calls": [failed("FAILED", "append_claims")],
            "claims": {},
        },
        at_function("preuserinfo", responder(endpoint=answering({"append_claims": {}}))),
    ),
    Row(
        "who publishes may call functions",
        Call("CallFunction", CALLED.request, Caller.PUBLISHER),
        {"answer": {}, "claims": {}},
    ),
    Row(
        "who may only read may not call functions",
        Call("CallFunction", CALLED.request, Caller.VIEWER),
        NOT_ALLOWED,
    ),
]


@each_row(FUNCTIONS)
async def test_functions(service: Service, row: Row):
    """
    These answers decide the content of tokens.
    """
    await check(service, row)
