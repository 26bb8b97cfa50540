"""ListEntries, AddEntries and RemoveEntries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import EVENT_TYPE, KNOWN, create, publish, set_targets, webhook
from api.calls.table import Call, Caller, ExpectedError, Row
from api.wires import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHOD, FUNCTION, EVENT = (
    f"CATALOGUE_KIND_{kind}" for kind in ("METHOD", "FUNCTION", "EVENT_TYPE")
)
SCHEMA = {"type": "object", "properties": {"a": {"maximum": 1.5}}, "required": ["a"]}
BUY = {"kind": METHOD, "name": "/$unique.v1.Shop/Buy"}
PRICE = {"kind": FUNCTION, "name": "$unique-price"}
PLACED = {"kind": EVENT, "name": "$unique.placed", "schema": SCHEMA, "example": {"a": [None, "<ü"]}}
CANCELLED = {"kind": EVENT, "name": "$unique.cancelled"}
LONGEST = 65536


def added(*entries: Mapping[str, Any], caller: Caller = Caller.ADMIN) -> Call:
    """Add entries."""
    return Call("AddEntries", {"entries": entries}, caller)


def listed(caller: Caller = Caller.ADMIN, **fields: Any) -> Call:
    """List entries."""
    return Call("ListEntries", fields, caller)


def removed(*entries: Mapping[str, Any], caller: Caller = Caller.ADMIN) -> Call:
    """Remove entries."""
    names = [{"kind": entry["kind"], "name": entry["name"]} for entry in entries]
    return Call("RemoveEntries", {"entries": names}, caller)


def refused(text: str) -> ExpectedError:
    """An error of validation."""
    return ExpectedError("invalid_argument", f"invalid {text}")


def bad(name: str, kind: str, reason: str) -> Row:
    """A name that an entry of this kind cannot have."""
    return Row(
        f"{kind}: the name {name!r}",
        added(PRICE, {"kind": kind, "name": name}),
        refused(f"AddEntriesRequest.Entries[1].Name: value {reason}"),
    )


NESTED = "AddEntriesRequest.Entries[0]: embedded message failed validation | caused by: invalid"
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")
OF_METHOD = "must be /package.Service/Method"
OF_FUNCTION = "must be made of A-Z, a-z, 0-9, _ and -"
OF_EVENT = "must be dot-separated segments of A-Z, a-z, 0-9, _ and -"
OWN = "is a method of outrider itself, which triggers no executions"
UNKNOWN_CONDITION = "Execution condition is invalid"

REFUSED = [
    Row(
        "nothing",
        added(),
        refused(
            "AddEntriesRequest.Entries: value must contain between 1 and 1000 items, inclusive"
        ),
    ),
    Row(
        "no kind",
        added({"name": "a"}),
        refused(f"{NESTED} CatalogueEntry.Kind: value must not be in list [0]"),
    ),
    Row(
        "no name",
        added({"kind": EVENT}),
        refused(
            f"{NESTED} CatalogueEntry.Name:"
            " value length must be between 1 and 1000 runes, inclusive"
        ),
    ),
    *(
        bad(name, METHOD, OF_METHOD)
        for name in (
            "a.v1.A/B",
            "/a.v1.A",
            "/a.v1.A/B/C",
            "/a..A/B",
            "/a.v1.A/",
            "/a.v1.Ä/B",
            "/1/B",
        )
    ),
    *(
        bad(name, METHOD, OWN)
        for name in ("/outrider.v1.EventService/PublishEvents", "/outrider.v1.")
    ),
    *(bad(name, FUNCTION, OF_FUNCTION) for name in ("pre user", "a.b", "function/a", "ä", "a\n")),
    *(bad(name, EVENT, OF_EVENT) for name in ("a..b", ".a", "a.", "a.*", "a b", "ä", "a\n")),
    *(
        Row(
            f"a {name} of more than 64 KiB",
            added({**CANCELLED, name: {"a": "x" * (LONGEST - len('{"a":""}') + 1)}}),
            refused(
                f"AddEntriesRequest.Entries[0].{name.title()}:"
                f" value length must be at most {LONGEST} bytes"
            ),
        )
        for name in ("schema", "example")
    ),
    *(
        Row(
            f"an event type with a {name}",
            added({**CANCELLED, name: {}}),
            refused(
                f"AddEntriesRequest.Entries[0].{name[0].upper()}{name[1:]}:"
                " only a METHOD has a response"
            ),
        )
        for name in ("responseSchema", "responseExample")
    ),
    Row(
        "one that is wrong adds none",
        listed(prefix="$unique"),
        {},
        [Call("AddEntries", {"entries": [PRICE, {"kind": EVENT, "name": ".a"}]}, fails=True)],
    ),
    *(
        Row(f"{caller} may not add", added(PRICE, caller=caller), NOT_ALLOWED)
        for caller in (Caller.VIEWER, Caller.ORG_OWNER)
    ),
]

ADDED = [
    Row("one of each kind", added(BUY, PRICE, PLACED), {"added": 3}),
    Row("who publishes may add", added(PRICE, caller=Caller.PUBLISHER), {"added": 1}),
    Row("the same again", added(PRICE, CANCELLED), {"added": 1}, [added(PRICE)]),
    Row("two of one name are one", added(PRICE, PRICE), {"added": 1}),
    Row("one name of two kinds is two", added(PRICE, {**PRICE, "kind": EVENT}), {"added": 2}),
    Row("what was published is known", added({**CANCELLED, "name": EVENT_TYPE}), {}, [KNOWN]),
    Row("what ZITADEL registers is known", added({"kind": FUNCTION, "name": "preuserinfo"}), {}),
    Row(
        "a schema of 64 KiB",
        added({**CANCELLED, "schema": {"a": "x" * (LONGEST - len('{"a":""}'))}}),
        {"added": 1},
    ),
    *(
        Row(
            f"an execution can be set for {name}",
            Call("SetExecution", {"condition": condition}),
            {"setDate": "0001-01-01T00:00:00Z"},
            [added(entry)],
        )
        for name, entry, condition in (
            ("a method", BUY, {"request": {"method": "/$unique.v1.Shop/Buy"}}),
            ("the service of a method", BUY, {"response": {"service": "$unique.v1.Shop"}}),
            ("a function", PRICE, {"function": {"name": "$unique-price"}}),
            ("an event type", PLACED, {"event": {"event": "$unique.placed"}}),
            ("a group of event types", PLACED, {"event": {"group": "$unique"}}),
        )
    ),
    Row(
        "and not for what was not added",
        Call("SetExecution", {"condition": {"function": {"name": "$unique-price"}}}),
        ExpectedError("not_found", UNKNOWN_CONDITION, "COMMAND-cdy39t0ksr"),
    ),
]

ALL = [added(PLACED, PRICE, CANCELLED)]
ALL_OF_SHOP = [added(BUY, PRICE, PLACED)]
HEALTHZ = {"kind": METHOD, "name": "/zitadel.auth.v1.AuthService/Healthz", "builtIn": True}
NO_MEMBERS = {"type": "object", "properties": {}, "additionalProperties": False}
PAGED = listed(prefix="$unique", pageSize=2)
REST = Call("ListEntries", {"prefix": "$unique", "pageSize": 2}, keep={"token": "nextPageToken"})
LISTED = [
    Row(
        "in the order of names",
        listed(prefix="$unique"),
        {"entries": [PRICE, CANCELLED, PLACED]},
        ALL,
    ),
    *(
        Row(
            f"{caller} may read",
            listed(caller, prefix="$unique"),
            {"entries": [PRICE]},
            [added(PRICE)],
        )
        for caller in (Caller.VIEWER, Caller.PUBLISHER, Caller.ORG_OWNER, Caller.ROLELESS)
    ),
    Row("one kind", listed(prefix="$unique", kinds=[FUNCTION]), {"entries": [PRICE]}, ALL),
    Row(
        "two kinds, one of them twice",
        listed(prefix="$unique", kinds=[FUNCTION, METHOD, FUNCTION]),
        {"entries": [PRICE]},
        ALL,
    ),
    Row("a prefix is plain text", listed(prefix="$unique.p"), {"entries": [PLACED]}, ALL),
    Row("methods begin with a slash", listed(prefix="/$unique"), {"entries": [BUY]}, [added(BUY)]),
    Row("nothing begins so", listed(prefix="$unique"), {}),
    Row(
        "both messages of a method",
        listed(prefix="/$unique"),
        {"entries": [{**BUY, "responseSchema": SCHEMA, "responseExample": {"a": 2}}]},
        [added({**BUY, "responseSchema": SCHEMA, "responseExample": {"a": 2}})],
    ),
    Row("what is built in", listed(prefix=HEALTHZ["name"]), {"entries": [HEALTHZ]}),
    Row(
        "what is built in, described",
        listed(prefix=HEALTHZ["name"], describeBuiltIn=True),
        {
            "entries": [
                {
                    **HEALTHZ,
                    "schema": NO_MEMBERS,
                    "example": {},
                    "responseSchema": NO_MEMBERS,
                    "responseExample": {},
                }
            ]
        },
    ),
    Row(
        "what is published",
        listed(prefix="$unique"),
        {"entries": [{"kind": EVENT, "name": EVENT_TYPE}]},
        [KNOWN],
    ),
    Row(
        "publishing takes no description away",
        listed(prefix="$unique"),
        {"entries": [PLACED]},
        [added(PLACED), publish({"eventType": "$unique.placed"})],
    ),
    Row(
        "adding again replaces",
        listed(prefix="$unique"),
        {"entries": [{**CANCELLED, "example": {}}]},
        [added({**CANCELLED, "schema": SCHEMA}), added({**CANCELLED, "example": {}})],
    ),
    Row(
        "what ZITADEL registers",
        listed(prefix="pre", kinds=[FUNCTION]),
        {
            "entries": [
                {"kind": FUNCTION, "name": name, "builtIn": True}
                for name in ("preaccesstoken", "presamlresponse", "preuserinfo")
            ]
        },
    ),
    Row(
        "a full page",
        PAGED,
        {"entries": [PRICE, CANCELLED], "nextPageToken": "$token"},
        [*ALL, REST],
    ),
    Row(
        "the page after it",
        listed(prefix="$unique", pageSize=2, pageToken="$token"),
        {"entries": [PLACED]},
        [*ALL, REST],
    ),
    Row(
        "a page that is just long enough for all",
        listed(prefix="$unique", pageSize=3),
        {"entries": [PRICE, CANCELLED, PLACED]},
        ALL,
    ),
    Row(
        "one name of two kinds on two pages",
        listed(prefix="$unique", pageSize=1, pageToken="$token"),
        {"entries": [{**PRICE, "kind": EVENT}]},
        [
            added(PRICE, {**PRICE, "kind": EVENT}),
            Call(
                "ListEntries", {"prefix": "$unique", "pageSize": 1}, keep={"token": "nextPageToken"}
            ),
        ],
    ),
    *(
        Row(
            f"the page token {token!r}",
            listed(pageToken=token),
            refused("ListEntriesRequest.PageToken: value is not a token of a page"),
        )
        for token in ("next", "4a", "0a", "1", "\u0661a")
    ),
    Row(
        "a page size of 1001",
        listed(pageSize=1001),
        refused("ListEntriesRequest.PageSize: value must be less than or equal to 1000"),
    ),
    Row(
        "no kind",
        listed(kinds=[0]),
        refused("ListEntriesRequest.Kinds[0]: value must not be in list [0]"),
    ),
]


REMOVED = [
    Row("what was added", removed(BUY, PRICE), {"removed": 2}, ALL_OF_SHOP),
    Row("is gone", listed(prefix="$unique"), {}, [added(PRICE), removed(PRICE)]),
    Row("what was never there", removed(BUY), {}),
    Row("one name twice", removed(PRICE, PRICE), {"removed": 1}, [added(PRICE)]),
    Row("the other kind stays", removed({**PRICE, "kind": EVENT}), {}, [added(PRICE)]),
    Row(
        "what is published comes back with the next event",
        listed(prefix="$unique"),
        {"entries": [{"kind": EVENT, "name": EVENT_TYPE}]},
        [KNOWN, removed({"kind": EVENT, "name": EVENT_TYPE}), KNOWN],
    ),
    Row(
        "nothing",
        removed(),
        refused(
            "RemoveEntriesRequest.Entries: value must contain between 1 and 1000 items, inclusive"
        ),
    ),
    Row(
        "what is built in",
        removed({"kind": FUNCTION, "name": "preuserinfo"}),
        ExpectedError(
            "failed_precondition",
            "RemoveEntriesRequest.Entries[0]: preuserinfo is built in, and every instance has it",
        ),
    ),
    Row(
        "what an execution is set for stays, with the rest of the call",
        listed(prefix="$unique"),
        {"entries": [PRICE]},
        [
            added(BUY, PRICE),
            create(webhook(), "target"),
            set_targets({"request": {"method": "/$unique.v1.Shop/Buy"}}),
            replace(removed(PRICE, BUY), fails=True),
        ],
    ),
    Row(
        "when the execution has no targets any more",
        removed(BUY),
        {"removed": 1},
        [
            added(BUY),
            create(webhook(), "target"),
            set_targets({"request": {"method": "/$unique.v1.Shop/Buy"}}),
            set_targets({"request": {"method": "/$unique.v1.Shop/Buy"}}, []),
        ],
    ),
    Row("who publishes may remove", removed(PRICE, caller=Caller.PUBLISHER), {}),
    *(
        Row(f"{caller} may not remove", removed(PRICE, caller=caller), NOT_ALLOWED)
        for caller in (Caller.VIEWER, Caller.ORG_OWNER)
    ),
]


@each_row([*REFUSED, *ADDED, *LISTED, *REMOVED])
async def test_catalogue(service: Service, row: Row):
    """
    What can be configured is looked up here, and teams teach it their own names.
    """
    await check(service, row)


async def test_pages_lead_through_everything_once(service: Service):
    """
    In ascending order, whatever is in between: a reader that stops early misses a name.
    """
    names, token = [], ""
    for _ in range(100):
        answer = await service.ask("ListEntries", {"pageSize": 97, "pageToken": token})
        names += [entry["name"] for entry in answer["entries"]]
        token = answer.get("nextPageToken", "")
        if not token:
            break
    everything = await service.ask("ListEntries", {"pageSize": 1000, "kinds": [METHOD]})

    assert sorted(names) == names
    assert {entry["name"] for entry in everything["entries"]} <= set(names)


async def test_a_page_of_long_descriptions_is_short(service: Service):
    """
    A client that takes messages of 4 MiB gets every page.
    """
    example = {"a": "x" * 60_000}
    names = [f"long.example{number:02}" for number in range(40)]
    for some in (names[:20], names[20:]):
        entries = [{"kind": EVENT, "name": name, "example": example} for name in some]
        await service.ask("AddEntries", {"entries": entries})
    pages, token = [], ""
    for _ in range(10):
        request = {"prefix": "long.example", "pageToken": token}
        answer = await service.ask("ListEntries", request)
        pages.append([entry["name"] for entry in answer["entries"]])
        token = answer.get("nextPageToken", "")
        if not token:
            break

    assert names == [name for page in pages for name in page]
    assert [18, 18, 4] == list(map(len, pages))


async def test_infinity_is_no_json(service: Service):
    """
    Only the binary wires can carry it, and no other could give it back.
    """
    from protobuf.wkt import Struct

    from outrider_api.outrider.v1.catalogue_service_connect import CatalogueService
    from outrider_api.outrider.v1.catalogue_service_pb import (
        AddEntriesRequest,
        AddEntriesResponse,
        CatalogueEntry,
        CatalogueKind,
    )

    example = Struct.from_python({"a": float("inf")})
    entry = CatalogueEntry(kind=CatalogueKind.EVENT_TYPE, name="a", example=example)
    result = await service.client.call(
        Wire.GRPC,
        CatalogueService.desc(),
        "AddEntries",
        AddEntriesRequest(entries=[entry]),
        AddEntriesResponse,
        service.headers[Caller.ADMIN],
    )

    assert "invalid_argument" == result.code
    assert result.text.startswith(
        "invalid AddEntriesRequest.Entries[0].Example: value must be JSON"
    )
