"""An execution with its targets by name, and what it shadows; and what setting one says about that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import pytest

from api.calls.matching import A_DATE
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import (
    EVENT_TYPE,
    FUNCTION,
    KNOWN,
    KNOWN_FUNCTION,
    KNOWN_METHOD,
    a_target,
    delete,
    on_event,
    on_function,
    on_request,
    publish,
    set_targets,
)
from api.calls.table import Call, Caller, ExpectedError, Row
from api.wires import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP = {"event": {"group": "$unique"}}
SERVICE = {"request": {"service": "$unique.Service"}}
OF_SERVICE = "request/$unique.Service"
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")
NOT_KNOWN = "Execution condition is invalid"


def get(execution: str, caller: Caller = Caller.ADMIN) -> Call:
    """The call that a row is about."""
    return Call("GetExecution", {"id": execution}, caller)


def described(execution: str, *names: str, **more: Any) -> Mapping[str, Any]:
    """The answer about an execution whose targets are called so here."""
    targets = [{"targetId": f"${name}", "name": f"{name} $unique"} for name in names]
    known = {"targets": targets, "changeDate": A_DATE} if names else {}
    return {"id": execution, **known, **more}


ROWS = [
    Row(
        "targets in calling order, by name",
        get(f"event/{EVENT_TYPE}"),
        described(f"event/{EVENT_TYPE}", "second", "first"),
        [
            KNOWN,
            a_target("first"),
            a_target("second"),
            set_targets(on_event(), ["$second", "$first"]),
        ],
    ),
    Row(
        "a target that was deleted is left out",
        get(f"event/{EVENT_TYPE}"),
        described(f"event/{EVENT_TYPE}", "first"),
        [
            KNOWN,
            a_target("first"),
            a_target("second"),
            set_targets(on_event(), ["$first", "$second"]),
            delete("$second"),
        ],
    ),
    Row(
        "a condition that nothing is bound to: what it would shadow",
        get(f"event/{EVENT_TYPE}"),
        described(f"event/{EVENT_TYPE}", shadows=["event/$unique.*"]),
        [KNOWN, a_target("wide"), set_targets(GROUP, ["$wide"])],
    ),
    Row(
        "a wider one says what is in its place",
        get("event/$unique.*"),
        described("event/$unique.*", "wide", shadowedBy=[f"event/{EVENT_TYPE}"]),
        [
            KNOWN,
            a_target("wide"),
            a_target("narrow"),
            set_targets(GROUP, ["$wide"]),
            set_targets(on_event(), ["$narrow"]),
        ],
    ),
    Row(
        "a method beside its service, written with its slash",
        get("request//$unique.Service/Do"),
        described("request/$unique.Service/Do", "narrow", shadows=[OF_SERVICE]),
        [
            KNOWN_METHOD,
            a_target("wide"),
            a_target("narrow"),
            set_targets(SERVICE, ["$wide"]),
            set_targets(on_request(), ["$narrow"]),
        ],
    ),
    Row(
        "a function stands alone",
        get(f"function/{FUNCTION}"),
        described(f"function/{FUNCTION}", "hook"),
        [KNOWN_FUNCTION, a_target("hook"), set_targets(on_function(), ["$hook"])],
    ),
    Row("a viewer reads it", get("response", Caller.VIEWER), {"id": "response"}),
    Row("a publisher does not", get("response", Caller.PUBLISHER), NOT_ALLOWED),
    Row(
        "an event type that is not known",
        get("event/no.such.$unique"),
        ExpectedError(
            "not_found",
            NOT_KNOWN,
            "COMMAND-74aaqj8fv9",
            reason="the catalogue has no event type no.such.$unique",
        ),
    ),
    Row(
        "no kind of condition",
        get("evnt/x"),
        ExpectedError(
            "invalid_argument",
            "a condition begins with one of request, response, function, event, not 'evnt'",
        ),
    ),
    Row(
        "no id",
        get(""),
        ExpectedError(
            "invalid_argument",
            "invalid GetExecutionRequest.Id: value length must be between 1 and 1020 runes, inclusive",
        ),
    ),
]


@each_row(ROWS)
async def test_a_row_is_answered_as_expected(service: Service, row: Row):
    """
    The same over every wire.
    """
    await check(service, row)


def headers_about(headers: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """The lists in the response headers."""
    names = ("outrider-replaced", "outrider-shadows", "outrider-shadowed-by")
    return {name: unquote(headers[name]).split(",") for name in names if name in headers}


@pytest.mark.parametrize("wire", Wire, ids=str)
async def test_setting_an_execution_says_what_it_replaces_and_shadows(service: Service, wire: Wire):
    """
    ZITADEL's response has a date and nothing else, and does not tell which target is called no longer.
    """
    word = f"hushed{wire.name.replace('_', '').lower()}"
    paid = f"{word}.paid"
    await service.ask("PublishEvents", publish({"eventType": paid}).request)
    request = {"restWebhook": {}, "endpoint": "https://a.example"}
    first, second = [
        (await service.ask("CreateTarget", {**request, "name": f"{word} {number}"}))["id"]
        for number in range(2)
    ]

    async def set_(condition: Mapping[str, Any], *targets: str) -> Mapping[str, Sequence[str]]:
        asked = {"condition": {"event": condition}, "targets": targets}
        answer = await service.answer("SetExecution", asked, wire=wire)
        assert answer.message is not None, answer.text
        return headers_about(answer.headers)

    group, narrow = f"event/{word}.*", f"event/{paid}"
    assert {} == await set_({"group": word}, first)
    assert {"outrider-shadows": [group]} == await set_({"event": paid}, second)
    assert {"outrider-shadowed-by": [narrow], "outrider-replaced": [first]} == await set_(
        {"group": word}, first, second
    )
    assert {"outrider-shadowed-by": [narrow]} == await set_({"group": word}, first, second)
    assert {"outrider-replaced": [second]} == await set_({"event": paid})
    assert {"outrider-replaced": [first, second]} == await set_({"group": word})


async def test_headers_stay_small_however_much_is_replaced(service: Service):
    """
    Clients of gRPC take 8 KiB of headers, and lose the whole answer over that.
    """
    await service.ask("PublishEvents", {"events": [{"eventType": "many.targets"}]})
    request = {"restWebhook": {}, "endpoint": "https://a.example"}
    ids = [
        (await service.ask("CreateTarget", {**request, "name": f"one of many {number}"}))["id"]
        for number in range(120)
    ]
    condition = {"event": {"event": "many.targets"}}
    await service.ask("SetExecution", {"condition": condition, "targets": ids})
    answer = await service.answer("SetExecution", {"condition": condition}, wire=Wire.GRPC)

    header = answer.headers["outrider-replaced"]
    *shown, rest = header.split(",")
    assert len(header) < 1100
    assert ids[: len(shown)] == shown
    assert f"+{120 - len(shown)}" == rest


@pytest.mark.parametrize("wire", Wire, ids=str)
async def test_activating_a_public_key_names_the_one_that_was_active(service: Service, wire: Wire):
    """
    An operator who encrypts for two receivers sees that one of them is not called any more.
    """
    from api.services.zitadel.test_public_keys import KEY

    request = {"restWebhook": {}, "endpoint": "https://a.example", "name": f"keys {wire}"}
    target = (await service.ask("CreateTarget", request))["id"]
    first, second = [
        (await service.ask("AddPublicKey", {"targetId": target, "publicKey": KEY}))["keyId"]
        for _ in range(2)
    ]

    seen = []
    for found in (first, second, second):
        ids = {"targetId": target, "keyId": found}
        answer = await service.answer("ActivatePublicKey", ids, wire=wire)
        seen.append(headers_about(answer.headers))
    assert [{}, {"outrider-replaced": [first]}, {}] == seen
