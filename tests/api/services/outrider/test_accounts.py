"""Service accounts, their keys and their secrets."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from api.calls.matching import A_TOKEN, AN_ID, NOW, Like, ListWith, ListWithout
from api.calls.runner import check, each_row
from api.calls.service import Service, bearer
from api.calls.table import ALL_BUT_REST, Call, Caller, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUEST = {"name": "$unique", "roles": ["EVENT_PUBLISHER"]}
A_NEW_ONE = Call("CreateAccount", REQUEST, keep={"account": "id", "created": "creationDate"})
DELETE = Call("DeleteAccount", {"id": "$account"})
LIST = Call("ListAccounts")
LISTED = {
    "id": "$account",
    "name": "$unique",
    "roles": ["EVENT_PUBLISHER"],
    "creationDate": "$created",
}
RPCS = {
    "CreateAccount": {},
    "ListAccounts": {},
    "DeleteAccount": {"id": "2"},
    "CreateAccountKey": {"accountId": "2"},
    "ListAccountKeys": {"accountId": "2"},
    "DeleteAccountKey": {"accountId": "2", "keyId": "3"},
    "CreateAccountSecret": {"accountId": "2"},
}


def creating(**fields: Any) -> Call:
    """A call that is right, but for what is given."""
    return Call("CreateAccount", {**REQUEST, **fields})


def of_account(rpc: str, **fields: Any) -> Call:
    """A call about the new account."""
    return Call(rpc, {"accountId": "$account", **fields})


def a_key(called: str = "key", **fields: Any) -> Call:
    """Make a key of the new account; keep its id and its date."""
    keep = {called: "keyId", f"{called}_made": "creationDate"}
    return Call("CreateAccountKey", {"accountId": "$account", **fields}, keep=keep)


def refused(field: str, reason: str) -> ExpectedError:
    """An error of validation."""
    return ExpectedError("invalid_argument", f"invalid {field}: {reason}")


A_KEY = a_key()


def is_key_file(value: object) -> bool:
    """Whether these are the bytes of a key file, as protobuf's JSON has them."""
    found = json.loads(base64.b64decode(str(value)))
    begins = found["key"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    return begins and {"type", "keyId", "key", "userId"} == set(found)


LENGTH = "value length must be between 1 and 200 runes, inclusive"
COUNT = "value must contain between 1 and 10 items, inclusive"
ROLES = "CreateAccountRequest.Roles"
NO_SUCH_ROLE = refused(
    ROLES, "value must be one of IAM_OWNER, IAM_OWNER_VIEWER, EVENT_PUBLISHER, ORG_OWNER"
)
EXPIRED = refused("CreateAccountKeyRequest.ExpirationDate", "value must be in the future")
NOT_FOUND = ExpectedError("not_found", "Account not found", "OUTRIDER-account")
TAKEN = ExpectedError("already_exists", "Account already exists", "OUTRIDER-account")
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")
NEW = {"id": AN_ID, "creationDate": NOW}
A_KEY_FILE = Like("a key file", is_key_file)
NEW_KEY = {"keyId": AN_ID, "keyFile": A_KEY_FILE, "creationDate": NOW}
ANOTHER = Call("CreateAccount", {**REQUEST, "name": "$unique 2"}, keep={"another": "id"})
LIST_KEYS = Call("ListAccountKeys", {"accountId": "$account"})
DELETE_KEY = Call("DeleteAccountKey", {"accountId": "$account", "keyId": "$key"})
LISTED_KEY = {"keyId": "$key", "creationDate": "$key_made"}
NO_KEY = ExpectedError("not_found", "Account key not found", "OUTRIDER-account-key")
NEW_SECRET = {"clientId": "$account", "clientSecret": A_TOKEN}

ROWS = [
    Row("no name", creating(name=""), refused("CreateAccountRequest.Name", LENGTH)),
    Row("a long name", creating(name="a" * 201), refused("CreateAccountRequest.Name", LENGTH)),
    Row("no roles", creating(roles=[]), refused(ROLES, COUNT)),
    Row("a role that does not exist", creating(roles=["OWNER"]), NO_SUCH_ROLE),
    Row("a new account", creating(), NEW),
    Row("a name that is taken", creating(), TAKEN, [A_NEW_ONE]),
    Row(
        "the name of a token's account",
        creating(),
        TAKEN,
        [Call("CreateToken", {"account": "$unique", "roles": ["ORG_OWNER"]})],
    ),
    Row("a name that is free again", creating(), NEW, [A_NEW_ONE, DELETE]),
    Row("an account is listed", LIST, {"accounts": ListWith(LISTED)}, [A_NEW_ONE]),
    Row(
        "a token's roles are the account's",
        LIST,
        {"accounts": ListWith({**LISTED, "roles": ["ORG_OWNER"]})},
        [A_NEW_ONE, Call("CreateToken", {"account": "$unique", "roles": ["ORG_OWNER"]})],
    ),
    Row(
        "a deleted account is not listed",
        LIST,
        {"accounts": ListWithout({"id": "$account"})},
        [A_NEW_ONE, DELETE],
    ),
    Row("an account is deleted", DELETE, {"deletionDate": NOW}, [A_NEW_ONE]),
    Row("an account is deleted again", DELETE, NOT_FOUND, [A_NEW_ONE, DELETE]),
    Row(
        "an empty id",
        Call("DeleteAccount"),
        refused("DeleteAccountRequest.Id", LENGTH),
        wires=ALL_BUT_REST,
    ),
    Row("a key", of_account("CreateAccountKey"), NEW_KEY, [A_NEW_ONE]),
    Row(
        "a key that expires",
        of_account("CreateAccountKey", expirationDate="2030-01-01T00:00:00Z"),
        NEW_KEY,
        [A_NEW_ONE],
    ),
    Row(
        "a key that has expired",
        of_account("CreateAccountKey", expirationDate="2020-01-01T00:00:00Z"),
        EXPIRED,
        [A_NEW_ONE],
    ),
    Row("no keys", LIST_KEYS, {}, [A_NEW_ONE]),
    Row("a key is listed", LIST_KEYS, {"keys": [LISTED_KEY]}, [A_NEW_ONE, A_KEY]),
    Row(
        "a key that expires is listed with its date",
        LIST_KEYS,
        {"keys": [{**LISTED_KEY, "expirationDate": "2030-01-01T00:00:00Z"}]},
        [A_NEW_ONE, a_key(expirationDate="2030-01-01T00:00:00Z")],
    ),
    Row(
        "keys are listed oldest first, and those of their account alone",
        LIST_KEYS,
        {"keys": [LISTED_KEY, {"keyId": "$second", "creationDate": "$second_made"}]},
        [
            A_NEW_ONE,
            A_KEY,
            a_key("second"),
            ANOTHER,
            Call("CreateAccountKey", {"accountId": "$another"}),
        ],
    ),
    Row("a key is deleted", DELETE_KEY, {"deletionDate": NOW}, [A_NEW_ONE, A_KEY]),
    Row("a key is deleted again", DELETE_KEY, NO_KEY, [A_NEW_ONE, A_KEY, DELETE_KEY]),
    Row(
        "a deleted key is not listed, and the others are",
        LIST_KEYS,
        {"keys": [{"keyId": "$second", "creationDate": "$second_made"}]},
        [A_NEW_ONE, A_KEY, a_key("second"), DELETE_KEY],
    ),
    Row(
        "another account's key is not deleted",
        Call("DeleteAccountKey", {"accountId": "$another", "keyId": "$key"}),
        NO_KEY,
        [A_NEW_ONE, A_KEY, ANOTHER],
    ),
    *(
        Row(
            f"{rpc} with an empty {field}",
            Call(rpc, {**RPCS[rpc], member: ""}),
            refused(f"{rpc}Request.{field}", LENGTH),
            wires=ALL_BUT_REST,
        )
        for rpc, member, field in (
            ("CreateAccountKey", "accountId", "AccountId"),
            ("CreateAccountSecret", "accountId", "AccountId"),
            ("ListAccountKeys", "accountId", "AccountId"),
            ("DeleteAccountKey", "accountId", "AccountId"),
            ("DeleteAccountKey", "keyId", "KeyId"),
        )
    ),
    Row("a secret", of_account("CreateAccountSecret"), NEW_SECRET, [A_NEW_ONE]),
    Row(
        "a second secret",
        of_account("CreateAccountSecret"),
        NEW_SECRET,
        [A_NEW_ONE, of_account("CreateAccountSecret")],
    ),
    *(
        Row(f"{rpc} for an account that is not there", Call(rpc, request), NOT_FOUND)
        for rpc, request in RPCS.items()
        if request
    ),
    *(
        Row(f"{rpc} is not for {caller}", Call(rpc, request, caller), NOT_ALLOWED)
        for rpc, request in RPCS.items()
        for caller in (Caller.ORG_OWNER, Caller.VIEWER, Caller.PUBLISHER)
    ),
]


@each_row(ROWS)
async def test_accounts(service: Service, row: Row):
    """
    Service accounts are made by scripts, and deleted when a user leaves.
    """
    await check(service, row)


async def test_a_token_ends_with_its_account(service: Service):
    """
    Immediately, on the node that deleted it.
    """
    token = await service.ask("CreateToken", {"account": "leaver", "roles": ["IAM_OWNER"]})
    callers = {**service.headers, Caller.ADMIN: bearer(token["token"])}
    leaver = Service(service.client, service.store, service.instance, service.clock, callers)
    listed = (await leaver.ask("ListAccounts", {}))["accounts"]
    (account,) = [account["id"] for account in listed if account["name"] == "leaver"]
    await service.ask("DeleteAccount", {"id": account})

    assert "unauthenticated" == (await leaver.answer("ListAccounts", {})).code
    tokens = (await service.ask("ListTokens", {}))["tokens"]
    assert token["id"] not in {listed["id"] for listed in tokens}
