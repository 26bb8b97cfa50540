"""Public keys of targets: contract sheet, sections 2.5 and 8.4."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from api.calls.matching import AN_ID, NOW
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import a_target, delete
from api.calls.table import ALL_BUT_REST, Call, Caller, Refused, Row
from api.wires import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEM = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""
KEY = base64.b64encode(PEM).decode()
FINGERPRINT = "SHA256:XNJS+wzokyQ2+vjM0QQJgbie5K1rn+niorfnGqyyfNM"
IDS = {"targetId": "$target", "keyId": "$key"}
ZERO_TIME = "0001-01-01T00:00:00Z"


def add(called: str = "key", **fields: Any) -> Call:
    """Add a key to the target; keep its id."""
    request = {"targetId": "$target", "publicKey": KEY, **fields}
    return Call("AddPublicKey", request, keep={called: "keyId", f"{called}_added": "creationDate"})


def switch(rpc: str, called: str = "key") -> Call:
    """Activate or deactivate a key; keep the date."""
    request = {"targetId": "$target", "keyId": f"${called}"}
    return Call(rpc, request, keep={"switched": "changeDate"})


def refused(code: str, text: str, error_id: str) -> Refused:
    """An error with an id."""
    return Refused(code, text, error_id)


def rule(field: str, reason: str) -> Refused:
    """A rule of the proto file that is broken."""
    return Refused("invalid_argument", f"invalid {field}: {reason}")


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


MISSING = refused("invalid_argument", "ID missing", "ErrTargetIDMissing")
NOT_ALLOWED = refused("permission_denied", "No matching permissions found", "AUTH-5mWD2")
NO_KEY = refused("failed_precondition", "Target not found", "ErrKeyNotFound")
RUNES = "value length must be between 1 and 200 runes, inclusive"
FORMAT = refused(
    "invalid_argument",
    "The public key is invalid. Must be a PEM encoded RSA or ECDSA public key in PKCS#8 format",
    "ErrPublicKeyFormat",
)
GIVEN = [a_target(), add()]
ACTIVE = [*GIVEN, switch("ActivatePublicKey")]
LIST = Call("ListPublicKeys", {"targetId": "$target"})
LAPSED = {"expirationDate": "2020-01-01T00:00:00Z"}


def list_with(*filters: dict[str, Any]) -> Call:
    """List the target's keys."""
    return Call("ListPublicKeys", {"targetId": "$target", "filters": list(filters)})


def expires(method: str) -> dict[str, Any]:
    """The filter on expiry, for a time that nobody meets."""
    wanted = {"timestamp": "2035-01-01T00:00:00Z", "method": f"TIMESTAMP_FILTER_METHOD_{method}"}
    return {"expirationDateFilter": wanted}


ADDING = [
    Row("a key", add(), {"keyId": AN_ID, "creationDate": NOW}, [a_target()]),
    Row(
        "a target id of nothing",
        add(targetId=""),
        rule("AddPublicKeyRequest.TargetId", RUNES),
        wires=ALL_BUT_REST,
    ),
    Row("a target id of blanks", add(targetId="  "), MISSING, wires=ALL_BUT_REST),
    Row(
        "no key",
        add(publicKey=""),
        rule(
            "AddPublicKeyRequest.PublicKey",
            "value length must be between 1 and 8192 bytes, inclusive",
        ),
        [a_target()],
    ),
    Row(
        "an expiry in the past",
        add(**LAPSED, publicKey="bm8="),
        refused(
            "invalid_argument",
            "Key expiration date must be in the future",
            "ErrExpirationDateBeforeNow",
        ),
        [a_target()],
    ),
    Row("no key in PEM", add(publicKey="bm8="), FORMAT, [a_target()]),
    Row(
        "an unknown target",
        add(targetId="1"),
        refused("failed_precondition", "Target not found", "ErrTargetNotFound"),
    ),
    Row(
        "a viewer may not",
        Call("AddPublicKey", add(targetId="1").request, Caller.VIEWER),
        NOT_ALLOWED,
    ),
]

SWITCHING = [
    *(
        Row(f"{rpc} of {what}", Call(rpc, {**IDS, **ids}), answer, GIVEN, wires=wires)
        for rpc in ("ActivatePublicKey", "DeactivatePublicKey")
        for what, ids, answer, wires in (
            (
                "a key",
                {},
                {"changeDate": NOW if rpc.startswith("A") else "$key_added"},
                tuple(Wire),
            ),
            ("an unknown key", {"keyId": "1"}, NO_KEY, tuple(Wire)),
            ("a key of an unknown target", {"targetId": "1"}, NO_KEY, tuple(Wire)),
            ("no key", {"keyId": ""}, rule(f"{rpc}Request.KeyId", RUNES), ALL_BUT_REST),
            ("a key of blanks", {"keyId": " "}, MISSING, ALL_BUT_REST),
        )
    ),
    Row("an active key, again", switch("ActivatePublicKey"), {"changeDate": "$switched"}, ACTIVE),
    Row("an active key, no longer", switch("DeactivatePublicKey"), {"changeDate": NOW}, ACTIVE),
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
]

REMOVING = [
    Row("a key", Call("RemovePublicKey", IDS), {"deletionDate": NOW}, GIVEN),
    Row(
        "the active key",
        Call("RemovePublicKey", IDS),
        refused(
            "failed_precondition",
            "Cannot delete active target public key",
            "ErrPublicKeyDeleteActiveKey",
        ),
        ACTIVE,
    ),
    Row(
        "nothing that anybody knows",
        Call("RemovePublicKey", {"targetId": "1", "keyId": "1"}),
        {"deletionDate": ZERO_TIME},
    ),
    Row(
        "an unknown key of a target",
        Call("RemovePublicKey", {**IDS, "keyId": "1"}),
        {"deletionDate": "$target_created"},
        [a_target()],
    ),
    Row(
        "an owner of targets' deletion alone may not: it is a change of the target",
        Call("RemovePublicKey", {"targetId": "1", "keyId": "1"}, Caller.VIEWER),
        NOT_ALLOWED,
    ),
]

LISTING = [
    Row("a key", LIST, found(listed()), GIVEN),
    Row("an unknown target", Call("ListPublicKeys", {"targetId": "1"}), found()),
    Row("a deleted target", LIST, found(), [*GIVEN, delete()]),
    Row("an active key", list_with({"activeFilter": True}), found(), GIVEN),
    Row("an inactive key", list_with({"activeFilter": False}), found(listed()), GIVEN),
    Row("by id", list_with({"keyIdsFilter": {"ids": ["$key"]}}), found(listed()), GIVEN),
    Row(
        "by no id",
        list_with({"keyIdsFilter": {}}),
        Refused("unknown", "values array must not be empty", ""),
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
        "ORG_OWNER may not",
        Call("ListPublicKeys", {"targetId": "1"}, Caller.ORG_OWNER),
        NOT_ALLOWED,
    ),
]


@each_row([*ADDING, *SWITCHING, *REMOVING, *LISTING])
async def test_public_keys(service: Service, row: Row, wire: Wire) -> None:
    """Keys as ZITADEL handles them, on every wire."""
    await check(service, row, wire)
