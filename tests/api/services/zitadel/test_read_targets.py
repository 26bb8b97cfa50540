"""GetTarget and ListTargets: filters, orders and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import ENDPOINT, a_target, create, of_type, update, webhook
from api.calls.table import ALL_BUT_REST, Call, Caller, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_FOUND = ExpectedError("not_found", "Target not found", "QUERY-hj5oaniyrz")
NO_VALUES = ExpectedError("unknown", "values array must not be empty", "")
TOO_MANY = ExpectedError("invalid_argument", "Limit exceeded", "QUERY-4M0fs")
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")


def get(target: str = "$target", caller: Caller = Caller.ADMIN) -> Call:
    """Read one target."""
    return Call("GetTarget", {"id": target}, caller)


def shown(called: str = "target", **fields: Any) -> dict[str, Any]:
    """A webhook that was created and never changed, as it is read."""
    return {
        "id": f"${called}",
        "creationDate": f"${called}_created",
        "changeDate": f"${called}_created",
        "name": f"{called} $unique",
        "restWebhook": {},
        "timeout": "10s",
        "endpoint": ENDPOINT,
        "signingKey": f"${called}_key",
        **fields,
    }


def shown_as(
    type_: str, value: Mapping[str, Any], called: str = "target", **fields: Any
) -> dict[str, Any]:
    """A target of another type, as it is read."""
    others = shown(called, **fields)
    return {
        **{name: other for name, other in others.items() if name != "restWebhook"},
        type_: value,
    }


INTERRUPTS = {"interruptOnError": True}
TYPES = {
    "a webhook": ("restWebhook", None, {}),
    "a webhook that must not interrupt": ("restWebhook", False, {}),
    "a webhook that interrupts": ("restWebhook", True, INTERRUPTS),
    "a call": ("restCall", None, {}),
    "a call that interrupts": ("restCall", True, INTERRUPTS),
    "an async": ("restAsync", None, {}),
}
PAYLOAD_TYPES = ["PAYLOAD_TYPE_JSON", "PAYLOAD_TYPE_JWT", "PAYLOAD_TYPE_JWE", 77]
GETS = [
    Row(
        "an empty id",
        Call("GetTarget"),
        ExpectedError(
            "invalid_argument",
            "invalid GetTargetRequest.Id: value length must be between 1 and 200 runes, inclusive",
        ),
        wires=ALL_BUT_REST,
    ),
    Row("a target that nobody created", get("1"), NOT_FOUND),
    Row("an id that is no number", get("hook"), NOT_FOUND),
    Row("an id of 200 signs", get("\U0001f511" * 200), NOT_FOUND),
    Row("who may not read", get("1", Caller.ORG_OWNER), NOT_ALLOWED),
    Row("who may publish may not read", get("1", Caller.PUBLISHER), NOT_ALLOWED),
    Row(
        "who may read sees the signing key too",
        get(caller=Caller.VIEWER),
        {"target": shown()},
        [a_target()],
    ),
    *(
        Row(
            title,
            get(),
            {"target": shown_as(type_, value, name="hook $unique", timeout="5s")},
            [create(of_type(type_, interrupts=interrupts, timeout="5s"))],
        )
        for title, (type_, interrupts, value) in TYPES.items()
    ),
    *(
        Row(
            f"payload type {payload_type}",
            get(),
            {"target": shown(payloadType=payload_type)},
            [a_target(payloadType=payload_type)],
        )
        for payload_type in PAYLOAD_TYPES
    ),
    Row(
        "payload type unspecified stays so",
        get(),
        {"target": shown()},
        [a_target(payloadType="PAYLOAD_TYPE_UNSPECIFIED")],
    ),
    Row(
        "no time-out is ten seconds",
        get(),
        {"target": shown(name="hook $unique")},
        [create({name: field for name, field in webhook().items() if name != "timeout"})],
    ),
    Row(
        "a time-out of a fraction",
        get(),
        {"target": shown(timeout="1.500s")},
        [a_target(timeout="1.5s")],
    ),
    Row(
        "an endpoint as it was written",
        get(),
        {"target": shown(endpoint="HTTPS://B\u00fccher.Example:443/%7E?a=\u00fc+b")},
        [a_target(endpoint="HTTPS://B\u00fccher.Example:443/%7E?a=\u00fc+b")],
    ),
    Row(
        "a name as it was written",
        get(),
        {"target": shown(name=" \u00c4\t\U0001f511 $unique\n")},
        [a_target(name=" \u00c4\t\U0001f511 $unique\n")],
    ),
]

THREE = [a_target("one"), a_target("two"), a_target("three")]


def searched(*filters: Mapping[str, Any], **others: Any) -> Call:
    """A search with filters."""
    return Call("ListTargets", {"filters": filters, **others})


def by_id(*targets: str) -> dict[str, Any]:
    """Targets with these ids."""
    return {"inTargetIdsFilter": {"targetIds": targets}}


def by_name(text: str, method: str | int = "EQUALS") -> dict[str, Any]:
    """Targets whose name compares so."""
    named = method if isinstance(method, int) else f"TEXT_FILTER_METHOD_{method}"
    return {"targetNameFilter": {"targetName": text, "method": named}}


def page(*targets: Any, total: int | None = None, limit: int = 100) -> dict[str, Any]:
    """An answer with these targets: names of created ones, or whole ones."""
    count = len(targets) if total is None else total
    paging = {"totalResult": str(count)} if count else {}
    rows = [shown(target) if isinstance(target, str) else target for target in targets]
    answer: dict[str, Any] = {"pagination": {**paging, "appliedLimit": str(limit)}}
    return {**answer, "targets": rows} if rows else answer


ALL_THREE = by_id("$one", "$two", "$three")


def in_filter(text: str) -> ExpectedError:
    """The error of validation about the only filter."""
    return ExpectedError(
        "invalid_argument",
        f"invalid ListTargetsRequest.Filters[0]: embedded message failed validation | caused by: {text}",
    )


def in_name_filter(text: str) -> ExpectedError:
    """The error of validation about the name in the only filter."""
    return in_filter(
        "invalid TargetSearchFilter.TargetNameFilter: embedded message failed validation"
        f" | caused by: invalid TargetNameFilter.{text}"
    )


FILTERS = [
    Row("an id that nobody has", searched(by_id("1")), page()),
    Row("one id", searched(by_id("$target")), page("target"), [a_target()]),
    Row("several ids, newest first", searched(ALL_THREE), page("three", "two", "one"), THREE),
    Row(
        "ids of which some are unknown, and some come twice",
        searched(by_id("$two", "1", "$one", "$two", "")),
        page("two", "one"),
        THREE,
    ),
    Row("one name", searched(by_name("target $unique")), page("target"), [a_target()]),
    Row("no ids at all", searched(by_id()), NO_VALUES),
    Row(
        "who may read",
        Call("ListTargets", {"filters": [by_id("$target")]}, Caller.VIEWER),
        page("target"),
        [a_target()],
    ),
    Row(
        "who may not read",
        Call("ListTargets", {"filters": [{}]}, Caller.ORG_OWNER),
        NOT_ALLOWED,
    ),
    Row(
        "a filter of nothing",
        searched({}),
        in_filter("invalid TargetSearchFilter.Filter: value is required"),
    ),
    Row(
        "a name of 201 letters",
        searched(by_name("n" * 201)),
        in_name_filter("TargetName: value length must be at most 200 runes"),
    ),
    Row(
        "a method that does not exist",
        searched(by_name("n", 8)),
        in_name_filter("Method: value must be one of the defined enum values"),
    ),
    Row(
        "filters must all hold",
        searched(ALL_THREE, by_id("$two", "$three"), by_name("t", "STARTS_WITH")),
        page("three", "two"),
        THREE,
    ),
    Row(
        "a hundred filters",
        searched(*[by_id("$target")] * 100),
        page("target"),
        [a_target()],
    ),
    Row(
        "a filter more than a hundred",
        searched(*[by_id("$target")] * 101),
        ExpectedError(
            "invalid_argument",
            "invalid ListTargetsRequest.Filters: value must contain no more than 100 item(s)",
        ),
        [a_target()],
    ),
    Row(
        "filters that contradict each other",
        searched(by_id("$one"), by_id("$two")),
        page(),
        THREE,
    ),
]

# Each text is searched among three names. What SQL would take for wildcards is text.
NAMES = {"a": "$unique a%b_c", "b": "$unique A%B_CD", "c": "$unique *[x]?"}
COMPARED: Sequence[tuple[str, str, Sequence[str]]] = [
    ("EQUALS", "$unique a%b_c", "a"),
    ("EQUALS", "$unique", ""),
    ("EQUALS_IGNORE_CASE", "$unique A%b_C", "a"),
    ("STARTS_WITH", "$unique A", "b"),
    ("STARTS_WITH", "$unique *[x]", "c"),
    ("STARTS_WITH_IGNORE_CASE", "$unique A%", "ba"),
    ("CONTAINS", "$unique a%", "a"),
    ("CONTAINS", "$unique a_b", ""),
    ("CONTAINS", "$unique ???", ""),
    ("CONTAINS", "$unique a*", ""),
    ("CONTAINS_IGNORE_CASE", "$unique a%B", "ba"),
    ("ENDS_WITH", "$unique *[x]?", "c"),
    ("ENDS_WITH", "$unique *[X]?", ""),
    ("ENDS_WITH_IGNORE_CASE", "$unique *[X]?", "c"),
    ("ENDS_WITH_IGNORE_CASE", "$unique a%b%c", ""),
]
BY_NAME = [
    Row(
        f"{method} {text!r}",
        searched(by_name(text, method)),
        page(*(shown(unique, name=NAMES[unique]) for unique in found)),
        [a_target(unique, name=name) for unique, name in NAMES.items()],
    )
    for method, text, found in COMPARED
]
FOLDED = [
    Row(
        "no method is EQUALS",
        searched({"targetNameFilter": {"targetName": "target $unique"}}),
        page("target"),
        [a_target(), a_target("other")],
    ),
    Row(
        "umlauts have small and large letters too",
        searched(by_name("\u00c4rger $unique", "EQUALS_IGNORE_CASE")),
        page(shown(name="\u00e4RGER $unique")),
        [a_target(name="\u00e4RGER $unique")],
    ),
]

# Created in this order; every column puts them in another one.
VARIED = [
    create(
        of_type(
            "restCall",
            interrupts=True,
            name="b $unique",
            timeout="3s",
            endpoint="https://c.example",
        ),
        "x",
    ),
    create(of_type("restAsync", name="c $unique", timeout="1s", endpoint="https://a.example"), "y"),
    create(webhook(name="A $unique", timeout="20s", endpoint="https://b.example"), "z"),
    update("$y", timeout="2s"),
]
ORDERS = {
    "UNSPECIFIED": "xyz",
    "ID": "xyz",
    "CREATED_DATE": "xyz",
    # How ZITADEL's reference spells the default.
    "CREATION_DATE": "xyz",
    "CHANGED_DATE": "xzy",
    "NAME": "zxy",
    "TARGET_TYPE": "zxy",
    "URL": "yzx",
    "TIMEOUT": "yxz",
    "INTERRUPT_ON_ERROR": "yzx",
}
VARIED_SHOWN = {
    "x": shown_as(
        "restCall", INTERRUPTS, "x", name="b $unique", timeout="3s", endpoint="https://c.example"
    ),
    "y": shown_as(
        "restAsync",
        {},
        "y",
        name="c $unique",
        timeout="2s",
        endpoint="https://a.example",
        changeDate="$changed",
    ),
    "z": shown("z", name="A $unique", timeout="20s", endpoint="https://b.example"),
}
SORTS = [
    Row(
        f"by {column}, {'ascending' if ascending else 'descending'}",
        searched(
            by_id("$x", "$y", "$z"),
            sortingColumn=f"TARGET_FIELD_NAME_{column}",
            pagination={"asc": ascending},
        ),
        page(*(VARIED_SHOWN[name] for name in order[:: 1 if ascending else -1])),
        VARIED,
    )
    for column, order in ORDERS.items()
    for ascending in (True, False)
]


def paged(**pagination: Any) -> Call:
    """A part of the three targets."""
    return searched(ALL_THREE, pagination=pagination)


PAGES = [
    Row("a limit of 0 is 100", paged(limit=0), page("three", "two", "one"), THREE),
    Row("the greatest limit", paged(limit=1000), page("three", "two", "one", limit=1000), THREE),
    Row("a limit over the greatest", paged(limit=1001), TOO_MANY, THREE),
    Row("the greatest number as a limit", paged(limit=2**32 - 1), TOO_MANY, THREE),
    Row("a page knows how many there are", paged(limit=1), page("three", total=3, limit=1), THREE),
    Row("the second page", paged(offset=1, limit=1), page("two", total=3, limit=1), THREE),
    Row(
        "the last page is not full", paged(offset=2, limit=2), page("one", total=3, limit=2), THREE
    ),
    Row("behind the last page nothing is counted", paged(offset=3), page(), THREE),
    Row("far behind the last page", paged(offset=2**64 - 1), page(), THREE),
    Row("oldest first", paged(asc=True, limit=2), page("one", "two", total=3, limit=2), THREE),
    Row(
        "a page of oldest first",
        paged(asc=True, offset=2),
        page("three", total=3),
        THREE,
    ),
    Row(
        "the limit before the filters",
        searched(by_id(), pagination={"limit": 1001}),
        TOO_MANY,
    ),
]

ROWS = [*GETS, *FILTERS, *BY_NAME, *FOLDED, *SORTS, *PAGES]


@each_row(ROWS)
async def test_read_targets(service: Service, row: Row):
    """
    A client that compares the state with the plan reads every field and every page.
    """
    await check(service, row)
