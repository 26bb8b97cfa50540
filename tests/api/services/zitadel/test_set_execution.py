"""SetExecution: conditions, targets and dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from api.calls.matching import NOW
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import EVENT_TYPE, KNOWN, a_target, delete, on_event, publish, set_targets
from api.calls.table import Call, Caller, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

SET = {"setDate": NOW}
NEVER = {"setDate": "0001-01-01T00:00:00Z"}
CONDITION_INVALID = "Execution condition is invalid"
EMPTY_ENTRY = ExpectedError("invalid_argument", "Execution is invalid", "COMMAND-hdm4zl1hmd")
TOO_MANY = ExpectedError(
    "invalid_argument",
    "invalid SetExecutionRequest.Targets: value must contain no more than 1000 item(s), not 1001:"
    " the deliveries of an event are one transaction",
)
NO_TARGET = ExpectedError("not_found", "Target not found", "COMMAND-17e8fq1ggk")
METHOD = "/zitadel.session.v2.SessionService/ListSessions"
SERVICE = "zitadel.session.v2.SessionService"
ONE_EVENT = on_event()


def setting(condition: Mapping[str, Any] | None, targets: Sequence[str] = ("$target",)) -> Call:
    """The call that a row is about."""
    request = {} if condition is None else {"condition": condition}
    return Call("SetExecution", {**request, "targets": targets})


def invalid(condition: Mapping[str, Any], *causes: str) -> Row:
    """The error of validation about a condition."""
    names = ["SetExecutionRequest.Condition", *causes[:-1]]
    chain = [f"invalid {name}: embedded message failed validation" for name in names]
    text = " | caused by: ".join([*chain, f"invalid {causes[-1]}"])
    return Row(
        f"the condition {condition!s:.80}",
        setting(condition, []),
        ExpectedError("invalid_argument", text),
    )


REQUIRED = "value is required"
LENGTH = "value length must be between 1 and 1000 runes, inclusive"
TRUE = "value must equal true"
LONG = "n" * 1001
VALIDATION = [
    invalid({}, f"Condition.ConditionType: {REQUIRED}"),
    invalid({"request": {}}, "Condition.Request", f"RequestExecution.Condition: {REQUIRED}"),
    invalid({"response": {}}, "Condition.Response", f"ResponseExecution.Condition: {REQUIRED}"),
    invalid({"event": {}}, "Condition.Event", f"EventExecution.Condition: {REQUIRED}"),
    invalid({"function": {}}, "Condition.Function", f"FunctionExecution.Name: {LENGTH}"),
    invalid(
        {"function": {"name": LONG}}, "Condition.Function", f"FunctionExecution.Name: {LENGTH}"
    ),
    invalid({"request": {"method": ""}}, "Condition.Request", f"RequestExecution.Method: {LENGTH}"),
    invalid(
        {"request": {"method": LONG}}, "Condition.Request", f"RequestExecution.Method: {LENGTH}"
    ),
    invalid(
        {"request": {"service": ""}}, "Condition.Request", f"RequestExecution.Service: {LENGTH}"
    ),
    invalid({"request": {"all": False}}, "Condition.Request", f"RequestExecution.All: {TRUE}"),
    invalid(
        {"response": {"method": ""}}, "Condition.Response", f"ResponseExecution.Method: {LENGTH}"
    ),
    invalid(
        {"response": {"service": LONG}},
        "Condition.Response",
        f"ResponseExecution.Service: {LENGTH}",
    ),
    invalid({"response": {"all": False}}, "Condition.Response", f"ResponseExecution.All: {TRUE}"),
    invalid({"event": {"event": ""}}, "Condition.Event", f"EventExecution.Event: {LENGTH}"),
    invalid({"event": {"group": LONG}}, "Condition.Event", f"EventExecution.Group: {LENGTH}"),
    invalid({"event": {"all": False}}, "Condition.Event", f"EventExecution.All: {TRUE}"),
]

# What exists, and with which id the rest is refused.
UNKNOWN: dict[str, Sequence[Mapping[str, Any]]] = {
    "COMMAND-vysplsevt8": [
        {kind: {"method": method}}
        for kind in ("request", "response")
        for method in (
            "/zitadel.session.v2.NotExistingService/List",
            "/zitadel.session.v2.SessionService/List",
            METHOD.removeprefix("/"),
            f"{METHOD}/",
            SERVICE,
        )
    ],
    "COMMAND-qu6dfhiioq": [
        {kind: {"service": service}}
        for kind in ("request", "response")
        for service in ("NotExistingService", f"/{SERVICE}", f"{SERVICE}/", "zitadel.session.v2")
    ],
    "COMMAND-cdy39t0ksr": [
        {"function": {"name": name}} for name in ("xxx", "PreUserInfo", "function/preuserinfo")
    ],
    "COMMAND-74aaqj8fv9": [
        {"event": {"event": name}}
        for name in ("user.human.notexisting", "user.human", "user.human.*", "User.Human.Added")
    ],
    "COMMAND-er5oneb5lz": [
        {"event": {"group": name}}
        for name in ("user.notexisting", "user.*", "user.human.added.", "User", "*")
    ],
}
EXISTENCE = [
    Row(
        f"nobody registered {condition}",
        setting(condition, []),
        ExpectedError("not_found", CONDITION_INVALID, id_),
    )
    for id_, conditions in UNKNOWN.items()
    for condition in conditions
]

KNOWN_ONES: Sequence[Mapping[str, Any]] = [
    *(
        {kind: about}
        for kind in ("request", "response")
        for about in (
            {"method": METHOD},
            {"service": SERVICE},
            {"service": "zitadel.admin.v1.AdminService"},
            {"all": True},
        )
    ),
    *({"function": {"name": n}} for n in ("preuserinfo", "preaccesstoken", "presamlresponse")),
    {"event": {"event": "user.human.added"}},
    {"event": {"group": "user"}},
    {"event": {"group": "user.human"}},
    {"event": {"group": "user.hum"}},
    {"event": {"group": "user.human.added"}},
    {"event": {"all": True}},
]
SETS = [
    Row(
        f"{condition}",
        setting(condition),
        SET,
        [a_target()],
        after=[set_targets(condition, [])],
    )
    for condition in KNOWN_ONES
]

# In the order in which they are made: each row breaks the next rule too.
CHECKS = [
    Row(
        "no condition",
        setting(None, [""]),
        ExpectedError("invalid_argument", CONDITION_INVALID, "ACTION-5r5Ju"),
    ),
    Row(
        "more targets than an event can be stored for",
        setting(on_event("nobody.knows"), [str(number) for number in range(1001)]),
        TOO_MANY,
    ),
    Row(
        "an empty entry before the condition", setting(on_event("nobody.knows"), [""]), EMPTY_ENTRY
    ),
    Row(
        "an empty entry before the targets",
        setting(on_event("user.human.added"), ["1", ""]),
        EMPTY_ENTRY,
    ),
    Row(
        "the condition before the targets",
        setting(on_event("nobody.knows"), ["1"]),
        ExpectedError("not_found", CONDITION_INVALID, "COMMAND-74aaqj8fv9"),
    ),
    Row("a target that nobody created", setting(ONE_EVENT, ["1"]), NO_TARGET, [KNOWN]),
    Row(
        "one of them nobody created",
        setting(ONE_EVENT, ["$target", "1"]),
        NO_TARGET,
        [KNOWN, a_target()],
    ),
    Row(
        "a target twice",
        setting(ONE_EVENT, ["$target", "$target"]),
        NO_TARGET,
        [KNOWN, a_target()],
    ),
    Row("a deleted target", setting(ONE_EVENT), NO_TARGET, [KNOWN, a_target(), delete()]),
    *(
        Row(
            f"{caller} may not write, whatever is wrong",
            Call("SetExecution", {}, caller),
            ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2"),
        )
        for caller in (Caller.ORG_OWNER, Caller.VIEWER)
    ),
]

BOTH = [KNOWN, a_target("one"), a_target("two")]
LISTS = [
    Row("two targets", setting(ONE_EVENT, ["$one", "$two"]), SET, BOTH),
    Row(
        "the same list again has the date of the first",
        setting(ONE_EVENT, ["$one", "$two"]),
        {"setDate": "$set"},
        [*BOTH, set_targets(ONE_EVENT, ["$one", "$two"])],
    ),
    Row(
        "another order is another list",
        setting(ONE_EVENT, ["$two", "$one"]),
        SET,
        [*BOTH, set_targets(ONE_EVENT, ["$one", "$two"])],
    ),
    Row(
        "a shorter list",
        setting(ONE_EVENT, ["$two"]),
        SET,
        [*BOTH, set_targets(ONE_EVENT, ["$one", "$two"])],
    ),
    Row(
        "the same list, of which one was deleted since",
        setting(ONE_EVENT, ["$one", "$two"]),
        {"setDate": "$set"},
        [*BOTH, set_targets(ONE_EVENT, ["$one", "$two"]), delete("$one")],
    ),
    Row(
        "the list that is left after one was deleted",
        setting(ONE_EVENT, ["$two"]),
        SET,
        [*BOTH, set_targets(ONE_EVENT, ["$one", "$two"]), delete("$one")],
    ),
    Row(
        "an empty list clears",
        setting(ONE_EVENT, []),
        SET,
        [KNOWN, a_target(), set_targets(ONE_EVENT)],
    ),
    Row("an empty list where there never was one", setting(ONE_EVENT, []), NEVER, [KNOWN]),
    Row(
        "an empty list where there is one already",
        setting(ONE_EVENT, []),
        {"setDate": "$set"},
        [KNOWN, a_target(), set_targets(ONE_EVENT), set_targets(ONE_EVENT, [])],
    ),
    Row(
        "a list after an empty one",
        setting(ONE_EVENT),
        SET,
        [KNOWN, a_target(), set_targets(ONE_EVENT), set_targets(ONE_EVENT, [])],
    ),
]

TYPES = [
    Row(
        "an event type that nobody published",
        setting(ONE_EVENT),
        ExpectedError("not_found", CONDITION_INVALID, "COMMAND-74aaqj8fv9"),
        [a_target()],
    ),
    Row("an event type that was published once", setting(ONE_EVENT), SET, [KNOWN, a_target()]),
    Row(
        "a group of an event type that was published once",
        setting({"event": {"group": "$unique"}}),
        SET,
        [KNOWN, a_target()],
    ),
    Row(
        "an event type that came second in a call",
        setting(ONE_EVENT),
        SET,
        [publish({"eventType": "user.human.added"}, {"eventType": EVENT_TYPE}), a_target()],
    ),
    Row(
        "an event type of a call that was refused",
        setting(ONE_EVENT),
        ExpectedError("not_found", CONDITION_INVALID, "COMMAND-74aaqj8fv9"),
        [
            Call(
                "PublishEvents",
                {
                    "events": [
                        {"eventType": EVENT_TYPE},
                        {"eventType": EVENT_TYPE, "eventPayloadJson": "1"},
                    ]
                },
                fails=True,
            ),
            a_target(),
        ],
    ),
]

ROWS = [*VALIDATION, *EXISTENCE, *SETS, *CHECKS, *LISTS, *TYPES]


@each_row(ROWS)
async def test_set_execution(service: Service, row: Row):
    """
    It is the one call by which executions are made, changed and removed.
    """
    await check(service, row)
