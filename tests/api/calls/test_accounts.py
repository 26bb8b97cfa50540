"""CreateAccount, ListAccounts, DeleteAccount, CreateAccountKey and CreateAccountSecret."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from api.calls.matching import A_TOKEN, AN_ID, NOW, Including, Lacking, Like
from api.calls.runner import check, each_row
from api.calls.service import Service, bearer
from api.calls.table import ALL_BUT_REST, Call, Caller, Refused, Row
from api.wires import Wire

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
    "CreateAccountSecret": {"accountId": "2"},
}


def creating(**fields: Any) -> Call:
    """A call that is right, but for what is given."""
    return Call("CreateAccount", {**REQUEST, **fields})


def of_account(rpc: str, **fields: Any) -> Call:
    """A call about the new account."""
    return Call(rpc, {"accountId": "$account", **fields})


def refused(field: str, reason: str) -> Refused:
    """What validation says."""
    return Refused("invalid_argument", f"invalid {field}: {reason}")


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
NOT_FOUND = Refused("not_found", "Account not found", "OUTRIDER-account")
TAKEN = Refused("already_exists", "Account already exists", "OUTRIDER-account")
NOT_ALLOWED = Refused("permission_denied", "No matching permissions found", "AUTH-5mWD2")
NEW = {"id": AN_ID, "creationDate": NOW}
A_KEY_FILE = Like("a key file", is_key_file)
NEW_KEY = {"keyId": AN_ID, "keyFile": A_KEY_FILE, "creationDate": NOW}
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
    Row("an account is listed", LIST, {"accounts": Including(LISTED)}, [A_NEW_ONE]),
    Row(
        "a token's roles are the account's",
        LIST,
        {"accounts": Including({**LISTED, "roles": ["ORG_OWNER"]})},
        [A_NEW_ONE, Call("CreateToken", {"account": "$unique", "roles": ["ORG_OWNER"]})],
    ),
    Row(
        "a deleted account is not listed",
        LIST,
        {"accounts": Lacking({"id": "$account"})},
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
async def test_accounts(service: Service, row: Row, wire: Wire):
    """
    Service accounts are made by scripts, and deleted when somebody leaves.
    """
    await check(service, row, wire)


async def test_a_token_ends_with_its_account(service: Service):
    """
    At once, on the node that deleted it.
    """
    token = await service.ask("CreateToken", {"account": "leaver", "roles": ["IAM_OWNER"]})
    callers = {**service.headers, Caller.ADMIN: bearer(token["token"])}
    leaver = Service(service.client, service.store, service.instance, service.clock, callers)
    listed = (await leaver.ask("ListAccounts", {}))["accounts"]
    (account,) = [each["id"] for each in listed if each["name"] == "leaver"]
    await service.ask("DeleteAccount", {"id": account})

    assert "unauthenticated" == (await leaver.answer("ListAccounts", {})).code
    tokens = (await service.ask("ListTokens", {}))["tokens"]
    assert token["id"] not in {each["id"] for each in tokens}
