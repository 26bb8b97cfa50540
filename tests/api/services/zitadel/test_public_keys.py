"""Public keys of targets: added, activated, deactivated, removed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from api.calls.matching import AN_ID, NOW
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import a_target, delete
from api.calls.table import ALL_BUT_REST, Call, Caller, ExpectedError, Row
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


def encoded(pem: bytes) -> str:
    """Bytes in JSON."""
    return base64.b64encode(pem).decode()


def spki(private: Any, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    """The public half in PEM."""
    return private.public_key().public_bytes(Encoding.PEM, form)


RSA = rsa.generate_private_key(65537, 2048)
READABLE = {
    "RSA": spki(RSA),
    "on P-521": spki(ec.generate_private_key(ec.SECP521R1())),
    "labelled as something else": PEM.replace(b"PUBLIC KEY", b"KEY"),
    "followed by other text": PEM + b"and so on",
}
UNREADABLE = {
    "PKCS #1": spki(RSA, PublicFormat.PKCS1),
    "Ed25519": spki(ed25519.Ed25519PrivateKey.generate()),
    "on a curve that Go does not know": spki(ec.generate_private_key(ec.SECP256K1())),
    "private": RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    "cut": PEM[:-40],
}


def add(called: str = "key", **fields: Any) -> Call:
    """Add a key to the target; keep its id."""
    request = {"targetId": "$target", "publicKey": KEY, **fields}
    return Call("AddPublicKey", request, keep={called: "keyId", f"{called}_added": "creationDate"})


def switch(rpc: str, called: str = "key") -> Call:
    """Activate or deactivate a key; keep the date."""
    request = {"targetId": "$target", "keyId": f"${called}"}
    return Call(rpc, request, keep={"switched": "changeDate"})


def refused(code: str, text: str, error_id: str) -> ExpectedError:
    """An error with an id."""
    return ExpectedError(code, text, error_id)


def rule(field: str, reason: str) -> ExpectedError:
    """A rule of the proto file that is broken."""
    return ExpectedError("invalid_argument", f"invalid {field}: {reason}")


MISSING = refused("invalid_argument", "ID missing", "ErrTargetIDMissing")
NOT_ALLOWED = refused("permission_denied", "No matching permissions found", "AUTH-5mWD2")
NO_KEY = refused("failed_precondition", "Target not found", "ErrKeyNotFound")
RUNES = "value length must be between 1 and 200 runes, inclusive"
FORMAT = refused(
    "invalid_argument",
    "The public key is invalid. Must be a PEM encoded RSA or ECDSA public key in PKCS#8 format",
    "ErrPublicKeyFormat",
)
BYTES = rule(
    "AddPublicKeyRequest.PublicKey", "value length must be between 1 and 8192 bytes, inclusive"
)
OVER = refused(
    "invalid_argument", "Key expiration date must be in the future", "ErrExpirationDateBeforeNow"
)
GIVEN = [a_target(), add()]
FOREIGN = [a_target("stranger"), add("foreign", targetId="$stranger")]
ACTIVE = [*GIVEN, switch("ActivatePublicKey")]
LAPSED = {"expirationDate": "2020-01-01T00:00:00Z"}


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
        BYTES,
        [a_target()],
    ),
    Row(
        "an expiry in the past",
        add(**LAPSED, publicKey="bm8="),
        OVER,
        [a_target()],
    ),
    Row("no key in PEM", add(publicKey="bm8="), FORMAT, [a_target()]),
    *(
        Row(f"a key that is {what}", add(publicKey=encoded(pem)), FORMAT, [a_target()])
        for what, pem in UNREADABLE.items()
    ),
    *(
        Row(
            f"a key that is {what}",
            add(publicKey=encoded(pem)),
            {"keyId": AN_ID, "creationDate": NOW},
            [a_target(payloadType="PAYLOAD_TYPE_JSON")],
        )
        for what, pem in READABLE.items()
    ),
    Row(
        "the longest key, which is none",
        add(publicKey=encoded(b"x" * 8192)),
        FORMAT,
        [a_target()],
    ),
    Row("a longer key", add(publicKey=encoded(b"x" * 8193)), BYTES, [a_target()]),
    Row("the expiry before the key", add(targetId="1", **LAPSED, publicKey="bm8="), OVER),
    Row("the key before the target", add(targetId="1", publicKey="bm8="), FORMAT),
    Row(
        "a deleted target",
        add(),
        refused("failed_precondition", "Target not found", "ErrTargetNotFound"),
        [a_target(), delete()],
    ),
    Row(
        "an id between blanks",
        add(targetId=" $target\t"),
        {"keyId": AN_ID, "creationDate": NOW},
        [a_target()],
        wires=ALL_BUT_REST,
    ),
    Row(
        "an unknown target",
        add(targetId="1"),
        refused("failed_precondition", "Target not found", "ErrTargetNotFound"),
    ),
]

SWITCHING = [
    *(
        Row(f"{rpc} of {what}", Call(rpc, {**IDS, **ids}), answer, [*FOREIGN, *GIVEN], wires=wires)
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
            ("no target", {"targetId": ""}, rule(f"{rpc}Request.TargetId", RUNES), ALL_BUT_REST),
            ("a key of blanks", {"keyId": " "}, MISSING, ALL_BUT_REST),
            ("a target of blanks", {"targetId": "\t"}, MISSING, ALL_BUT_REST),
            ("another target's key", {"keyId": "$foreign"}, NO_KEY, tuple(Wire)),
        )
    ),
    *(
        Row(f"{rpc} of a key of a deleted target", Call(rpc, IDS), NO_KEY, [*GIVEN, delete()])
        for rpc in ("ActivatePublicKey", "DeactivatePublicKey")
    ),
    *(
        Row(
            f"{rpc} of a key that was removed",
            Call(rpc, IDS),
            NO_KEY,
            [*GIVEN, Call("RemovePublicKey", IDS)],
        )
        for rpc in ("ActivatePublicKey", "DeactivatePublicKey")
    ),
    Row("an active key, again", switch("ActivatePublicKey"), {"changeDate": "$switched"}, ACTIVE),
    Row("an active key, no longer", switch("DeactivatePublicKey"), {"changeDate": NOW}, ACTIVE),
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
        "a key again",
        Call("RemovePublicKey", IDS),
        {"deletionDate": "$removed"},
        [*GIVEN, Call("RemovePublicKey", IDS, keep={"removed": "deletionDate"})],
    ),
    Row(
        "another target's key",
        Call("RemovePublicKey", {**IDS, "keyId": "$foreign"}),
        {"deletionDate": "$target_created"},
        [*FOREIGN, a_target()],
    ),
    Row(
        "the active key of a deleted target",
        Call("RemovePublicKey", IDS),
        {"deletionDate": "$deleted"},
        [*ACTIVE, delete()],
    ),
    *(
        Row(
            f"{title} id",
            Call("RemovePublicKey", {**IDS, field: value}),
            answer,
            GIVEN,
            wires=ALL_BUT_REST,
        )
        for title, field, value, answer in (
            ("an empty key's", "keyId", "", rule("RemovePublicKeyRequest.KeyId", RUNES)),
            ("an empty target's", "targetId", "", rule("RemovePublicKeyRequest.TargetId", RUNES)),
            ("a blank key's", "keyId", " ", MISSING),
            ("a blank target's", "targetId", " ", MISSING),
        )
    ),
]

# RemovePublicKey is a change of the target: who may only delete targets may not.
DENIED = [
    Row(f"{rpc} is not for {caller}", Call(rpc, request, caller), NOT_ALLOWED)
    for rpc, request in {
        "AddPublicKey": add(targetId="1").request,
        "ActivatePublicKey": {"targetId": "1", "keyId": "1"},
        "DeactivatePublicKey": {"targetId": "1", "keyId": "1"},
        "RemovePublicKey": {"targetId": "1", "keyId": "1"},
        "ListPublicKeys": {"targetId": "1"},
    }.items()
    for caller in (Caller.ORG_OWNER, Caller.PUBLISHER, Caller.VIEWER)
    if (rpc, caller) != ("ListPublicKeys", Caller.VIEWER)
]


@each_row([*ADDING, *SWITCHING, *REMOVING, *DENIED])
async def test_public_keys(service: Service, row: Row) -> None:
    """Keys as ZITADEL handles them, on every wire."""
    await check(service, row)
