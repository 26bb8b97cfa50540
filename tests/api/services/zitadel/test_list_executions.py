"""ListExecutions: filters, orders and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from api.calls.matching import A_DATE
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import a_target, delete, on_event, publish, set_targets
from api.calls.table import Call, Caller, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHOD = {"method": "/zitadel.session.v2.SessionService/ListSessions"}
SERVICE = {"service": "zitadel.session.v2.SessionService"}
ALL = {"all": True}


def by_condition(*conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Executions of one of these conditions."""
    return {"inConditionsFilter": {"conditions": conditions}}


def by_target(target: str = "$target") -> dict[str, Any]:
    """Executions that call a target."""
    return {"targetFilter": {"targetId": target}}


def by_type(name: str | int) -> dict[str, Any]:
    """Executions of one kind of condition."""
    named = name if isinstance(name, int) else f"EXECUTION_TYPE_{name}"
    return {"executionTypeFilter": {"executionType": named}}


def searched(*filters: Mapping[str, Any], **others: Any) -> Call:
    """A search with filters."""
    return Call("ListExecutions", {"filters": filters, **others})


def shown(name: str, *targets: str, **fields: Any) -> dict[str, Any]:
    """An execution for `$unique.<name>` that was set once, as it is read."""
    return {
        "condition": on(name),
        "creationDate": f"${name}_set",
        "changeDate": f"${name}_set",
        "targets": targets or ["$target"],
        **fields,
    }


def page(*executions: Any, total: int | None = None, limit: int = 100) -> dict[str, Any]:
    """An answer with these executions: names of set ones, or whole ones."""
    count = len(executions) if total is None else total
    paging = {"totalResult": str(count)} if count else {}
    rows = [
        shown(execution) if isinstance(execution, str) else execution for execution in executions
    ]
    answer: dict[str, Any] = {"pagination": {**paging, "appliedLimit": str(limit)}}
    return {**answer, "executions": rows} if rows else answer


def on(name: str) -> dict[str, Any]:
    """The condition of one of the event types of this run."""
    return on_event(f"$unique.{name}")


def setting(name: str, *targets: str) -> Call:
    """Set the execution of one of the event types of this run; keep the date under its name."""
    request = {"condition": on(name), "targets": targets or ["$target"]}
    return Call("SetExecution", request, keep={f"{name}_set": "setDate"})


TYPES = publish(*({"eventType": f"$unique.{name}"} for name in ("one", "two", "three")))
THREE = [TYPES, a_target(), setting("one"), setting("two"), setting("three")]
FIRST = Call(
    "SetExecution",
    {"condition": on("one"), "targets": ["$target"]},
    keep={"first_set": "setDate"},
)
ALL_THREE = by_condition(on("one"), on("two"), on("three"))
NO_VALUES = ExpectedError("unknown", "values array must not be empty", "")


def in_filter(text: str) -> ExpectedError:
    """The error of validation about the only filter."""
    return ExpectedError(
        "invalid_argument",
        "invalid ListExecutionsRequest.Filters[0]: embedded message failed validation"
        f" | caused by: {text}",
    )


FILTERS = [
    Row("one condition", searched(by_condition(on("two"))), page("two"), THREE),
    Row(
        "several conditions, newest first", searched(ALL_THREE), page("three", "two", "one"), THREE
    ),
    Row(
        "conditions of which some are unknown, and some come twice",
        searched(by_condition(on("two"), on("four"), on("one"), on("two"))),
        page("two", "one"),
        THREE,
    ),
    Row(
        "a condition that nobody registered finds nothing",
        searched(by_condition({"request": {"method": "/nobody.Knows/This"}})),
        page(),
    ),
    Row("no conditions at all", searched(by_condition()), NO_VALUES),
    Row(
        "a condition of nothing",
        searched(by_condition({})),
        in_filter(
            "invalid ExecutionSearchFilter.InConditionsFilter: embedded message failed validation"
            " | caused by: invalid InConditionsFilter.Conditions[0]: embedded message failed"
            " validation | caused by: invalid Condition.ConditionType: value is required"
        ),
    ),
    Row(
        "a filter of nothing",
        searched({}),
        in_filter("invalid ExecutionSearchFilter.Filter: value is required"),
    ),
    Row("one target", searched(by_target()), page("three", "two", "one"), THREE),
    Row(
        "one of the targets of an execution",
        searched(by_target("$two")),
        page(shown("two", "$one", "$two", "$three")),
        [
            TYPES,
            a_target("one"),
            a_target("two"),
            a_target("three"),
            setting("one", "$one"),
            setting("two", "$one", "$two", "$three"),
        ],
    ),
    Row("a target that nobody created", searched(by_target("1")), page()),
    Row("an empty target id", searched(by_target("")), page()),
    Row(
        "the right type",
        searched(by_target(), by_type("EVENT")),
        page("three", "two", "one"),
        THREE,
    ),
    *(
        Row(f"type {kind}", searched(by_target(), by_type(kind)), page(), THREE)
        for kind in ("REQUEST", "RESPONSE", "FUNCTION")
    ),
    *(
        Row(
            f"type {kind} filters nothing",
            searched(by_target(), by_type(kind)),
            page("three", "two", "one"),
            THREE,
        )
        for kind in ("UNSPECIFIED", 77)
    ),
    Row(
        "filters must all hold",
        searched(ALL_THREE, by_target(), by_condition(on("two"), on("three"))),
        page("three", "two"),
        THREE,
    ),
    Row("a hundred filters", searched(*[by_target()] * 100), page("three", "two", "one"), THREE),
    Row(
        "a filter more than a hundred",
        searched(*[by_target("1")] * 101),
        ExpectedError(
            "invalid_argument",
            "invalid ListExecutionsRequest.Filters: value must contain no more than 100 item(s)",
        ),
    ),
    Row(
        "filters that contradict each other",
        searched(by_condition(on("one")), by_condition(on("two"))),
        page(),
        THREE,
    ),
    Row(
        "who may read",
        Call("ListExecutions", {"filters": [ALL_THREE]}, Caller.VIEWER),
        page("three", "two", "one"),
        THREE,
    ),
    Row(
        "who may not read",
        Call("ListExecutions", {"filters": [{}]}, Caller.ORG_OWNER),
        ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2"),
    ),
]

DATES = [
    Row(
        "the dates are those of the first and the last time it was set",
        searched(by_condition(on("one"))),
        page(shown("one", "$two", creationDate="$first_set")),
        [
            TYPES,
            a_target(),
            a_target("two"),
            FIRST,
            setting("one", "$two"),
        ],
    ),
    Row(
        "also where it was cleared in between",
        searched(by_condition(on("one"))),
        page(shown("one", creationDate="$first_set")),
        [
            TYPES,
            a_target(),
            FIRST,
            set_targets(on("one"), []),
            setting("one"),
        ],
    ),
    Row(
        "what was cleared is in no list",
        searched(by_condition(on("one"))),
        page(),
        [TYPES, a_target(), setting("one"), set_targets(on("one"), [])],
    ),
    Row(
        "what calls deleted targets alone is in no list",
        searched(by_condition(on("one"), on("two"))),
        page(shown("two", "$target")),
        [
            TYPES,
            a_target(),
            a_target("other"),
            setting("one", "$other"),
            setting("two", "$other", "$target"),
            delete("$other"),
        ],
    ),
]

# Created in this order, and changed in another one.
CHANGED_SHOWN = {
    "one": shown("one", "$other", creationDate="$first_set"),
    "two": shown("two"),
    "three": shown("three"),
}
ORDERS = {
    "UNSPECIFIED": ("one", "two", "three"),
    "ID": ("one", "three", "two"),
    "CREATED_DATE": ("one", "two", "three"),
    # How ZITADEL's reference spells the default.
    "CREATION_DATE": ("one", "two", "three"),
    "CHANGED_DATE": ("two", "three", "one"),
}
SORTS = [
    Row(
        f"by {column}, {'ascending' if ascending else 'descending'}",
        searched(
            ALL_THREE,
            sortingColumn=f"EXECUTION_FIELD_NAME_{column}",
            pagination={"asc": ascending},
        ),
        page(*(CHANGED_SHOWN[name] for name in order[:: 1 if ascending else -1])),
        [
            TYPES,
            a_target(),
            FIRST,
            setting("two"),
            setting("three"),
            a_target("other"),
            setting("one", "$other"),
        ],
    )
    for column, order in ORDERS.items()
    for ascending in (True, False)
]


def paged(**pagination: Any) -> Call:
    """A part of the three executions."""
    return searched(ALL_THREE, pagination=pagination)


PAGES = [
    Row("a limit of 0 is 100", paged(limit=0), page("three", "two", "one"), THREE),
    Row("the greatest limit", paged(limit=1000), page("three", "two", "one", limit=1000), THREE),
    Row(
        "a limit over the greatest",
        paged(limit=1001),
        ExpectedError("invalid_argument", "Limit exceeded", "QUERY-4M0fs"),
        THREE,
    ),
    Row("a page knows how many there are", paged(limit=1), page("three", total=3, limit=1), THREE),
    Row("the second page", paged(offset=1, limit=1), page("two", total=3, limit=1), THREE),
    Row("behind the last page nothing is counted", paged(offset=3), page(), THREE),
    Row("oldest first", paged(asc=True, limit=2), page("one", "two", total=3, limit=2), THREE),
]

# Every shape of a condition. They are set in this order, and rows share them.
SHAPES: Sequence[tuple[str, Mapping[str, Any]]] = [
    ("request/zitadel.session.v2.SessionService/ListSessions", {"request": METHOD}),
    ("request/zitadel.session.v2.SessionService", {"request": SERVICE}),
    ("request", {"request": ALL}),
    ("response/zitadel.session.v2.SessionService/ListSessions", {"response": METHOD}),
    ("response/zitadel.session.v2.SessionService", {"response": SERVICE}),
    ("response", {"response": ALL}),
    ("event/user.human.added", {"event": {"event": "user.human.added"}}),
    ("event/user.human.*", {"event": {"group": "user.human"}}),
    ("event", {"event": ALL}),
    ("function/presamlresponse", {"function": {"name": "presamlresponse"}}),
]
BY_ID = sorted(SHAPES, key=lambda shape: shape[0], reverse=True)
SET_ALL = [
    a_target(),
    *(
        Call(
            "SetExecution",
            {"condition": condition, "targets": ["$target"]},
            keep={f"set_{number}": "setDate"},
        )
        for number, (_, condition) in enumerate(SHAPES)
    ),
]


def every_shape(shapes: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """An answer with every shape; it was created in an earlier run or in this one."""
    numbers = {name: number for number, (name, _) in enumerate(SHAPES)}
    return page(
        *(
            {
                "condition": condition,
                "creationDate": A_DATE,
                "changeDate": f"$set_{numbers[name]}",
                "targets": ["$target"],
            }
            for name, condition in shapes
        )
    )


ALL_SHAPES = [
    Row(
        "every shape of a condition, newest first",
        searched(by_condition(*(condition for _, condition in SHAPES))),
        every_shape(SHAPES[::-1]),
        SET_ALL,
    ),
    Row(
        "every shape of a condition, by id",
        searched(by_target(), sortingColumn="EXECUTION_FIELD_NAME_ID"),
        every_shape(BY_ID),
        SET_ALL,
    ),
    *(
        Row(
            f"every shape of type {kind}",
            searched(by_target(), by_type(kind.upper())),
            every_shape([shape for shape in SHAPES[::-1] if shape[0].split("/")[0] == kind]),
            SET_ALL,
        )
        for kind in ("request", "response", "event", "function")
    ),
]

# What calls deleted targets is not routed: without this, each row would be slower than the last.
ROWS = [
    replace(row, after=[delete()]) if a_target() in row.given else row
    for row in [*FILTERS, *DATES, *SORTS, *PAGES, *ALL_SHAPES]
]


@each_row(ROWS)
async def test_list_executions(service: Service, row: Row):
    """
    There is no call to read one execution: a caller has to search.
    """
    await check(service, row)
