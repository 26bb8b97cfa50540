"""Which execution would match, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.calls.receiver import NOBODY
from api.calls.runner import check, each_row
from api.calls.service import Service, running
from api.calls.steps import (
    EVENT_TYPE,
    FUNCTION,
    KNOWN,
    KNOWN_FUNCTION,
    KNOWN_METHOD,
    METHOD,
    a_target,
    create,
    delete,
    of_type,
    on_event,
    on_function,
    on_request,
    on_response,
    responder,
    set_targets,
    update,
)
from api.calls.table import Call, Caller, ExpectedError, Row
from api.services.zitadel.test_public_keys import KEY
from outrider.adapters.crypto.jose import KeyPairs
from outrider.usecases.access.web_keys import ManageWebKeys

pytestmark = pytest.mark.asyncio(loop_scope="module")

ON_REQUEST = f"request{METHOD}"
CHOSEN = "chosen: it is exactly what was asked for"
LAST = "chosen: it is the last in byte order"
LOST = f"not chosen: shadowed by {ON_REQUEST}, which is exactly what was asked for"
EARLIER = "not chosen: shadowed by request/$unique.Service, which comes later in byte order"
EXEMPT = "not chosen: calls of this service never trigger, so that no operator locks himself out"
CALLED = "called, for up to 10 s: "
IGNORED = "its answer's body is ignored; "
REPLACES = "its answer replaces the message; "
DELIVERED = "delivered, and tried again until it accepts"
NEVER_WAITED = "delivered, and tried again until it answers; no caller waits for it"
PAUSED = "the target is paused: its deliveries wait"

EVERYTHING = {"request": {"all": True}}
SERVICE = {"request": {"service": "$unique.Service"}}
FORGET_ALL = Call("SetExecution", {"condition": EVERYTHING})
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")


def explain(caller: Caller = Caller.ADMIN, **asked: Any) -> Call:
    """Ask."""
    return Call("Explain", asked, caller)


def candidate(execution: str, reason: str) -> dict[str, str]:
    """An execution that was considered."""
    return {"id": execution, "reason": reason}


def explained_target(
    reason: str, called: str = "target", *, will_call: bool = True
) -> dict[str, Any]:
    """A target of the execution that matches."""
    found = {"targetId": f"${called}", "name": f"{called} $unique", "reason": reason}
    return {**found, "willCall": True} if will_call else found


def exactly(execution: str, *targets: Mapping[str, Any]) -> dict[str, Any]:
    """One execution, and it is exactly what was asked for."""
    found = {"matched": execution, "candidates": [candidate(execution, CHOSEN)]}
    return {**found, "targets": targets} if targets else found


def bound(*targets: Call, condition: Mapping[str, Any] | None = None) -> Sequence[Call]:
    """Targets, in this order, of the requests of the row's method or of something else."""
    names = [f"${name}" for target in targets for name in list(target.keep)[:1]]
    known = [KNOWN, KNOWN_METHOD, KNOWN_FUNCTION]
    return [*known, *targets, set_targets(condition or on_request(), names)]


def webhook(called: str = "target", *, interrupts: bool = False) -> Call:
    """Create a webhook."""
    named = {"name": f"{called} $unique", "endpoint": NOBODY}
    return create(of_type("restWebhook", interrupts=interrupts, **named), called)


ASYNC = create(of_type("restAsync", name="async $unique"), "async")
PAUSE = Call("PauseTarget", {"targetId": "$target"})
POLICY = Call(
    "SetTargetPolicy",
    {"targetId": "$target", "policy": {"onUnreachable": "ON_UNREACHABLE_INTERRUPT"}},
)

SESSIONS = "/zitadel.session.v2.SessionService"
OWN = "/outrider.v1.EventService"


def meaning(*names: str) -> dict[str, Any]:
    """The name is unknown, and these may be meant."""
    return {"unknown": True, "suggestions": names}


EXECUTIONS = [
    Row("nothing is bound", explain(method=METHOD), {}, [KNOWN_METHOD]),
    Row("nobody registered it", explain(method="/qqqq.QQQQQQQQ/Qqqqqqq"), {"unknown": True}),
    Row("nobody registered the function", explain(function="qqqq"), {"unknown": True}),
    Row("nobody registered the event type", explain(eventType="qqqq.q"), {"unknown": True}),
    Row(
        "a misspelled method",
        explain(method="/zitadel.session.v2.SessionService/ListSesions"),
        meaning(f"{SESSIONS}/ListSessions", f"{SESSIONS}/SetSession", f"{SESSIONS}/GetSession"),
    ),
    Row(
        "a misspelled response",
        explain(method="/zitadel.session.v2.SessionService/listSessions", response=True),
        meaning(f"{SESSIONS}/ListSessions", f"{SESSIONS}/SetSession", f"{SESSIONS}/GetSession"),
    ),
    Row(
        "a misspelled service",
        explain(method="/zitadel.sesion.v2.SessionService/ListSessions"),
        meaning(
            f"{SESSIONS}/ListSessions",
            f"{SESSIONS.replace('v2', 'v2beta')}/ListSessions",
            f"{SESSIONS}/SetSession",
        ),
    ),
    Row("a misspelled function", explain(function="preUserInfo"), meaning("preuserinfo")),
    Row(
        "a misspelled event type",
        explain(eventType="user.human.aded"),
        meaning("user.human.added", "user.human.avatar.added", "user.machine.added"),
    ),
    Row(
        "what matches a wider execution is unknown all the same",
        explain(method="/$unique.Service/Dos"),
        {
            "matched": "request/$unique.Service",
            "candidates": [candidate("request/$unique.Service", LAST)],
            "targets": [
                explained_target(
                    f"{CALLED}{IGNORED}an error that it answers is ignored, no answer is ignored"
                )
            ],
            **meaning(METHOD),
        },
        bound(webhook(), condition=SERVICE),
    ),
    Row("outrider's own methods are not misspelled", explain(method=f"{OWN}/Do"), {}),
    Row(
        "the method itself",
        explain(method=METHOD),
        exactly(
            ON_REQUEST,
            explained_target(
                f"{CALLED}{IGNORED}an error that it answers is ignored, no answer is ignored"
            ),
        ),
        bound(webhook()),
    ),
    Row(
        "a method wins over its service and over everything",
        explain(method=METHOD),
        {
            "matched": ON_REQUEST,
            "candidates": [
                candidate(ON_REQUEST, CHOSEN),
                candidate("request/$unique.Service", LOST),
                candidate("request", LOST),
            ],
            "targets": [
                explained_target(
                    f"{CALLED}{IGNORED}an error that it answers is ignored, no answer is ignored"
                )
            ],
        },
        [*bound(webhook()), set_targets(SERVICE), set_targets(EVERYTHING)],
        [FORGET_ALL],
    ),
    Row(
        "a service wins over everything",
        explain(method="/$unique.Service/Other"),
        {
            "matched": "request/$unique.Service",
            "candidates": [
                candidate("request/$unique.Service", LAST),
                candidate("request", EARLIER),
            ],
            "targets": [
                explained_target(
                    f"{CALLED}{REPLACES}an error that it answers is ignored, no answer is ignored"
                )
            ],
            **meaning(METHOD),
        },
        [*bound(responder(endpoint=NOBODY), condition=SERVICE), set_targets(EVERYTHING)],
        [FORGET_ALL],
    ),
    Row(
        "requests and responses are apart",
        explain(method=METHOD, response=True),
        {},
        bound(webhook()),
    ),
    Row(
        "the response of a method",
        explain(method=METHOD, response=True),
        exactly(
            f"response{METHOD}",
            explained_target(
                f"{CALLED}{REPLACES}an error that it answers stops the call, no answer stops it"
            ),
        ),
        bound(responder(interrupts=True, endpoint=NOBODY), condition=on_response()),
    ),
    Row(
        "a function",
        explain(function=FUNCTION),
        exactly(
            f"function/{FUNCTION}",
            explained_target(
                f"{CALLED}{REPLACES}an error that it answers stops the call, no answer stops it"
            ),
        ),
        bound(responder(interrupts=True, endpoint=NOBODY), condition=on_function()),
    ),
    Row(
        "an event",
        explain(eventType=EVENT_TYPE),
        exactly(
            f"event/{EVENT_TYPE}",
            explained_target(f"{DELIVERED}; those behind it wait for that", "first"),
            explained_target(DELIVERED, "second"),
            explained_target(NEVER_WAITED, "async"),
        ),
        bound(webhook("first", interrupts=True), webhook("second"), ASYNC, condition=on_event()),
    ),
    *(
        Row(
            f"{method} is exempt",
            explain(method=method),
            {"candidates": [candidate("request", EXEMPT)]},
            [a_target(), set_targets(EVERYTHING)],
            [FORGET_ALL],
        )
        for method in (
            "/zitadel.action.v2.ActionService/SetExecution",
            "/zitadel.action.v2beta.ActionService/DeleteTarget",
            "/zitadel.webkey.v2.WebKeyService/ListWebKeys",
            "/outrider.v1.EventService/PublishEvents",
        )
    ),
]

TARGETS = [
    Row(
        "an async target of a request is not waited for",
        explain(method=METHOD),
        exactly(ON_REQUEST, explained_target(NEVER_WAITED, "async")),
        bound(ASYNC),
    ),
    Row(
        "who is not reached may interrupt though he may not refuse",
        explain(method=METHOD),
        exactly(
            ON_REQUEST,
            explained_target(
                f"{CALLED}{IGNORED}an error that it answers is ignored, no answer stops it"
            ),
        ),
        [*bound(webhook()), POLICY],
    ),
    Row(
        "how long it may take is the target's time-out",
        explain(method=METHOD),
        exactly(
            ON_REQUEST,
            explained_target(
                f"called, for up to 0.5 s: {IGNORED}an error that it answers is ignored, no answer is ignored"
            ),
        ),
        [*bound(webhook()), update(timeout="0.5s")],
    ),
    Row(
        "a paused target gets no event",
        explain(eventType=EVENT_TYPE),
        exactly(f"event/{EVENT_TYPE}", explained_target(PAUSED, will_call=False)),
        [*bound(webhook(), condition=on_event()), PAUSE],
    ),
    Row(
        "a paused target is called all the same while somebody waits",
        explain(method=METHOD),
        exactly(
            ON_REQUEST,
            explained_target(
                f"{CALLED}{IGNORED}an error that it answers is ignored, no answer is ignored"
            ),
        ),
        [*bound(webhook()), PAUSE],
    ),
    *(
        Row(
            f"{payload} and no web key",
            explain(method=METHOD),
            exactly(
                ON_REQUEST,
                explained_target(
                    "nothing can be sent: the instance has no active web key", will_call=False
                ),
            ),
            bound(responder(payloadType=f"PAYLOAD_TYPE_{payload}", endpoint=NOBODY)),
        )
        for payload in ("JWT", "JWE")
    ),
    Row(
        "a deleted target is not there",
        explain(method=METHOD),
        exactly(ON_REQUEST, explained_target(NEVER_WAITED, "async")),
        [*bound(webhook(), ASYNC), delete()],
    ),
    Row(
        "an execution of which every target was deleted does not match",
        explain(method=METHOD),
        {},
        [*bound(webhook()), delete()],
    ),
    Row(
        "who may only read may ask",
        explain(Caller.VIEWER, method=METHOD),
        exactly(ON_REQUEST, explained_target(NEVER_WAITED, "async")),
        bound(ASYNC),
    ),
    Row("who publishes may not", explain(Caller.PUBLISHER, method=METHOD), NOT_ALLOWED),
]

LENGTH = "value length must be between 1 and 1000 runes, inclusive"
INVALID = {
    "Subject: value is required": {"response": True},
    f"Method: {LENGTH}": {"method": ""},
    "Method: value must be /package.Service/Method": {"method": "a.B/C"},
    f"Function: {LENGTH}": {"function": "x" * 1001},
    "Function: value must be letters, digits, _ and -": {"function": "function/preuserinfo"},
    "EventType: value must be segments of letters, digits, _ and -, divided by dots": {
        "eventType": "user.*"
    },
}
VALIDATION = [
    Row(
        f"refused: {text}",
        explain(**asked),
        ExpectedError("invalid_argument", f"invalid ExplainRequest.{text}"),
    )
    for text, asked in INVALID.items()
]

ROWS = [*EXECUTIONS, *TARGETS, *VALIDATION]


@each_row(ROWS)
async def test_explain(service: Service, row: Row):
    """
    Who asks why nothing arrives is explained_target by the code that decides.
    """
    await check(service, row)


async def test_keys_decide_whether_an_encrypted_target_is_called(tmp_path: Path):
    """
    An expired or missing key is the first thing to look for when a JWE target gets nothing.
    """
    async with running(tmp_path) as service:
        web_keys = ManageWebKeys(service.store, service.runtime, KeyPairs())
        await web_keys.ensure_first(service.instance)
        secret = of_type("restCall", payloadType="PAYLOAD_TYPE_JWE")
        target = (await service.ask("CreateTarget", secret))["id"]
        bound = {"condition": {"request": {"all": True}}, "targets": [target]}
        await service.ask("SetExecution", bound)

        async def explained() -> tuple[bool, str]:
            answer = await service.ask("Explain", {"method": "/a.B/C"})
            (found,) = answer["targets"]
            return found.get("willCall", False), found["reason"]

        without_key = await explained()
        soon = service.clock.now + timedelta(minutes=1)
        request = {"targetId": target, "publicKey": KEY, "expirationDate": soon.isoformat()}
        added = await service.ask("AddPublicKey", request)
        await service.ask("ActivatePublicKey", {"targetId": target, "keyId": added["keyId"]})
        with_key = await explained()
        service.clock.now = soon
        expired = await explained()

    no_key = "nothing can be sent: the target has no active public key that has not expired"
    assert (False, no_key) == without_key == expired
    assert (True, "called, for up to 10 s") == (with_key[0], with_key[1].partition(":")[0])
