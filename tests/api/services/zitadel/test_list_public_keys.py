"""ListPublicKeys: filters, orders and pages."""

from __future__ import annotations

from typing import Any

import pytest

from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import a_target, delete
from api.calls.table import ALL_BUT_REST, Call, Caller, ExpectedError, Row
from api.services.zitadel.test_public_keys import (
    ACTIVE,
    FINGERPRINT,
    GIVEN,
    KEY,
    RUNES,
    add,
    refused,
    rule,
    switch,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIST = Call("ListPublicKeys", {"targetId": "$target"})


def listed(**fields: Any) -> dict[str, Any]:
    """How a new key is shown."""
    return {
        "keyId": "$key",
        "publicKey": KEY,
        "fingerprint": FINGERPRINT,
        "creationDate": "$key_added",
        "changeDate": "$key_added",
        **fields,
    }


def found(*public_keys: dict[str, Any]) -> dict[str, Any]:
    """A list's answer."""
    total = {"totalResult": str(len(public_keys))} if public_keys else {}
    keys = {"publicKeys": list(public_keys)} if public_keys else {}
    return {"pagination": {**total, "appliedLimit": "100"}, **keys}


def list_with(*filters: dict[str, Any]) -> Call:
    """List the target's keys."""
    return Call("ListPublicKeys", {"targetId": "$target", "filters": list(filters)})


def two(called: str, **fields: Any) -> dict[str, Any]:
    """How one of two keys is shown."""
    added = f"${called}_added"
    return listed(**{"keyId": f"${called}", "creationDate": added, "changeDate": added, **fields})


def paged(*public_keys: dict[str, Any], total: int, limit: int) -> dict[str, Any]:
    """A page's answer."""
    pagination = {"totalResult": str(total), "appliedLimit": str(limit)}
    return {"pagination": pagination, "publicKeys": list(public_keys)}


EXPIRIES = {"early": "2035-01-01T00:00:00Z", "late": "2036-01-01T00:00:00Z"}
TWO = [*GIVEN, add("other")]
DATED = [
    a_target(),
    *(add(called, expirationDate=expiry) for called, expiry in EXPIRIES.items()),
]


def dated(called: str) -> dict[str, Any]:
    """How one of those keys is shown; the early one was activated last."""
    active = {"active": True, "changeDate": "$switched"} if called == "early" else {}
    return two(called, expirationDate=EXPIRIES[called], **active)


def expires(method: str) -> dict[str, Any]:
    """The filter on expiry, for the time at which the early key expires."""
    timestamp_filter = {
        "timestamp": "2035-01-01T00:00:00Z",
        "method": f"TIMESTAMP_FILTER_METHOD_{method}",
    }
    return {"expirationDateFilter": timestamp_filter}


LISTING = [
    Row(
        "a second key makes the first inactive",
        LIST,
        found(
            listed(
                keyId="$other", active=True, creationDate="$other_added", changeDate="$switched"
            ),
            listed(changeDate="$switched"),
        ),
        [*ACTIVE, add("other"), switch("ActivatePublicKey", "other")],
    ),
    Row("a key", LIST, found(listed()), GIVEN),
    Row("an unknown target", Call("ListPublicKeys", {"targetId": "1"}), found()),
    Row("a deleted target", LIST, found(), [*GIVEN, delete()]),
    Row("an active key", list_with({"activeFilter": True}), found(), GIVEN),
    Row("an inactive key", list_with({"activeFilter": False}), found(listed()), GIVEN),
    Row("by id", list_with({"keyIdsFilter": {"ids": ["$key"]}}), found(listed()), GIVEN),
    Row(
        "by no id",
        list_with({"keyIdsFilter": {}}),
        ExpectedError("unknown", "values array must not be empty", ""),
        GIVEN,
    ),
    Row("a key that never expires is after", list_with(expires("AFTER")), found(listed()), GIVEN),
    Row("a key that never expires is not before", list_with(expires("BEFORE")), found(), GIVEN),
    Row(
        "an empty filter",
        list_with({}),
        refused("invalid_argument", "List.Query.Invalid", "GRPC-vR9nC"),
        GIVEN,
    ),
    Row(
        "more than a thousand",
        Call("ListPublicKeys", {"targetId": "1", "pagination": {"limit": 1001}}),
        refused("invalid_argument", "Limit exceeded", "QUERY-4M0fs"),
    ),
    Row(
        "a filter more than a hundred",
        list_with(*[{"activeFilter": True}] * 101),
        rule("ListPublicKeysRequest.Filters", "value must contain no more than 100 item(s)"),
        GIVEN,
    ),
    Row(
        "a key with an expiry",
        LIST,
        found(listed(expirationDate="2035-01-01T00:00:00Z")),
        [a_target(), add(expirationDate="2035-01-01T00:00:00+00:00")],
    ),
    Row(
        "the same key twice has two ids and one fingerprint",
        LIST,
        found(two("other"), two("key")),
        TWO,
    ),
    Row(
        "oldest first, a page of one",
        Call("ListPublicKeys", {"targetId": "$target", "pagination": {"limit": 1, "asc": True}}),
        paged(two("key"), total=2, limit=1),
        TWO,
    ),
    Row(
        "the page after it",
        Call(
            "ListPublicKeys",
            {"targetId": "$target", "pagination": {"offset": "1", "limit": 1, "asc": True}},
        ),
        paged(two("other"), total=2, limit=1),
        TWO,
    ),
    *(
        Row(
            f"by {column}",
            Call(
                "ListPublicKeys",
                {"targetId": "$target", "sortingColumn": f"PUBLIC_KEY_FIELD_NAME_{column}"},
            ),
            found(*(dated(name) for name in order)),
            [*DATED, switch("ActivatePublicKey", "early")],
        )
        for column, order in (
            ("UNSPECIFIED", ("late", "early")),
            ("CREATION_DATE", ("late", "early")),
            ("CHANGE_DATE", ("early", "late")),
            ("EXPIRATION_DATE", ("late", "early")),
        )
    ),
    *(
        Row(
            f"an expiry that {method} one of them",
            list_with(expires(method)),
            found(*(dated(name) for name in order)),
            [*DATED, switch("ActivatePublicKey", "early")],
        )
        for method, order in (
            ("EQUALS", ("early",)),
            ("AFTER", ("late",)),
            ("AFTER_OR_EQUALS", ("late", "early")),
            ("BEFORE", ()),
            ("BEFORE_OR_EQUALS", ("early",)),
        )
    ),
    Row(
        "filters must all hold",
        list_with({"keyIdsFilter": {"ids": ["$key", "$other"]}}, {"activeFilter": True}),
        found(two("key", active=True, changeDate="$switched")),
        [*TWO, switch("ActivatePublicKey")],
    ),
    Row(
        "an id twice",
        list_with({"keyIdsFilter": {"ids": ["1", "1"]}}),
        ExpectedError(
            "invalid_argument",
            "invalid ListPublicKeysRequest.Filters[0]: embedded message failed validation"
            " | caused by: invalid PublicKeySearchFilter.KeyIdsFilter: embedded message failed"
            " validation | caused by: invalid InIDsFilter.Ids[1]: repeated value must contain"
            " unique items",
        ),
        GIVEN,
    ),
    Row(
        "who may read", Call("ListPublicKeys", LIST.request, Caller.VIEWER), found(listed()), GIVEN
    ),
    Row(
        "no target",
        Call("ListPublicKeys"),
        rule("ListPublicKeysRequest.TargetId", RUNES),
        wires=ALL_BUT_REST,
    ),
]


@each_row(LISTING)
async def test_list_public_keys(service: Service, row: Row) -> None:
    """
    Terraform reads the state of one key through this list.
    """
    await check(service, row)
