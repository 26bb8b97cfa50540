"""CreateToken, ListTokens and RevokeToken: outrider's AccountService."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.calls.matching import A_TOKEN, AN_ID, NOW, ListWith, ListWithout
from api.calls.runner import check, each_row
from api.calls.service import Service, bearer
from api.calls.table import ALL_BUT_REST, EVERY_WIRE, Call, Caller, ExpectedError, Row
from api.wires import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

LATER = "2030-01-01T00:00:00Z"
REQUEST = {"account": "$unique", "roles": ["EVENT_PUBLISHER"]}
A_NEW_ONE = Call(
    "CreateToken", REQUEST, keep={"token": "id", "secret": "token", "created": "creationDate"}
)
REVOKE = Call("RevokeToken", {"id": "$token"}, keep={"revoked": "revocationDate"})
LIST = Call("ListTokens")


def creating(**fields: Any) -> Call:
    """A call that is right, but for what is given."""
    return Call("CreateToken", {**REQUEST, **fields})


def refused(field: str, reason: str) -> ExpectedError:
    """An error of validation."""
    return ExpectedError("invalid_argument", f"invalid {field}: {reason}")


def listed(**fields: Any) -> dict[str, Any]:
    """The new token in the list."""
    return {
        "id": "$token",
        "account": "$unique",
        "roles": ["EVENT_PUBLISHER"],
        "creationDate": "$created",
        **fields,
    }


ACCOUNT = refused(
    "CreateTokenRequest.Account", "value length must be between 1 and 200 runes, inclusive"
)
ROLES = "CreateTokenRequest.Roles"
ROLE_COUNT = refused(ROLES, "value must contain between 1 and 10 items, inclusive")
NO_SUCH_ROLE = refused(
    ROLES, "value must be one of IAM_OWNER, IAM_OWNER_VIEWER, EVENT_PUBLISHER, ORG_OWNER"
)
EXPIRED = refused("CreateTokenRequest.ExpirationDate", "value must be in the future")
ID = refused("RevokeTokenRequest.Id", "value length must be between 1 and 200 runes, inclusive")
NOT_FOUND = ExpectedError("not_found", "Token not found", "OUTRIDER-token")
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")
NEW = {"id": AN_ID, "token": A_TOKEN, "creationDate": NOW}

CREATES = [
    Row("no account", creating(account=""), ACCOUNT),
    Row("an account with a long name", creating(account="a" * 201), ACCOUNT),
    Row("no roles", creating(roles=[]), ROLE_COUNT),
    Row("eleven roles", creating(roles=[str(n) for n in range(11)]), ROLE_COUNT),
    Row(
        "a role twice",
        creating(roles=["IAM_OWNER", "IAM_OWNER"]),
        refused(f"{ROLES}[1]", "repeated value must contain unique items"),
    ),
    Row(
        "a role without a name",
        creating(roles=["IAM_OWNER", ""]),
        refused(f"{ROLES}[1]", "value length must be between 1 and 200 runes, inclusive"),
    ),
    Row("a role that does not exist", creating(roles=["EVENT_PUBLISHER", "OWNER"]), NO_SUCH_ROLE),
    Row("a role in small letters", creating(roles=["iam_owner"]), NO_SUCH_ROLE),
    Row(
        "the role before the date",
        creating(roles=["OWNER"], expirationDate="2020-01-01T00:00:00Z"),
        NO_SUCH_ROLE,
    ),
    Row("a date that is over", creating(expirationDate="2020-01-01T00:00:00Z"), EXPIRED),
    Row("the first of all dates", creating(expirationDate="0001-01-01T00:00:00Z"), EXPIRED),
    Row("a new account", creating(), NEW),
    Row("a token that expires", creating(expirationDate=LATER), NEW),
    Row(
        "every role",
        creating(roles=["IAM_OWNER", "IAM_OWNER_VIEWER", "EVENT_PUBLISHER", "ORG_OWNER"]),
        NEW,
    ),
    Row("an account that has a token", creating(), NEW, [A_NEW_ONE]),
    *(
        Row(f"{caller} may not make tokens", Call("CreateToken", {}, caller), NOT_ALLOWED)
        for caller in (Caller.ORG_OWNER, Caller.VIEWER, Caller.PUBLISHER)
    ),
]

LISTS = [
    Row("a token is listed without its secret", LIST, {"tokens": ListWith(listed())}, [A_NEW_ONE]),
    Row(
        "with its date",
        LIST,
        {"tokens": ListWith(listed(expirationDate=LATER))},
        [replace(A_NEW_ONE, request={**REQUEST, "expirationDate": LATER})],
    ),
    Row(
        "the last roles of an account are those of all its tokens",
        LIST,
        {"tokens": ListWith(listed(roles=["IAM_OWNER", "ORG_OWNER"]))},
        [A_NEW_ONE, creating(roles=["ORG_OWNER", "IAM_OWNER"])],
    ),
    Row(
        "a revoked token is not listed",
        LIST,
        {"tokens": ListWithout({"id": "$token"})},
        [A_NEW_ONE, REVOKE],
    ),
    *(
        Row(f"{caller} may not list tokens", Call("ListTokens", {}, caller), NOT_ALLOWED)
        for caller in (Caller.ORG_OWNER, Caller.VIEWER, Caller.PUBLISHER)
    ),
]

REVOCATIONS = [
    Row("an empty id", Call("RevokeToken"), ID, wires=ALL_BUT_REST),
    Row("an id of 201 digits", Call("RevokeToken", {"id": "1" * 201}), ID),
    *(
        Row(f"nobody has the id {id_:.20}", Call("RevokeToken", {"id": id_}), NOT_FOUND)
        for id_ in ("2", "token", "01", "9" * 19, "1" * 200)
    ),
    Row("a token", Call("RevokeToken", {"id": "$token"}), {"revocationDate": NOW}, [A_NEW_ONE]),
    Row(
        "a token that was revoked before",
        Call("RevokeToken", {"id": "$token"}),
        {"revocationDate": "$revoked"},
        [A_NEW_ONE, REVOKE],
    ),
    *(
        Row(f"{caller} may not revoke", Call("RevokeToken", {"id": "1"}, caller), NOT_ALLOWED)
        for caller in (Caller.ORG_OWNER, Caller.VIEWER, Caller.PUBLISHER)
    ),
]

ROWS = [*CREATES, *LISTS, *REVOCATIONS]


@each_row(ROWS)
async def test_tokens(service: Service, row: Row):
    """
    Service accounts are made by scripts, and revoked when a secret got out.
    """
    await check(service, row)


every_wire = pytest.mark.parametrize("wire", EVERY_WIRE, ids=str)


async def new_token(service: Service, account: str, role: str, **fields: str) -> dict[str, Any]:
    """An answer to CreateToken."""
    return await service.ask("CreateToken", {"account": account, "roles": [role], **fields})


async def code_of(service: Service, token: dict[str, Any], rpc: str, wire: Wire) -> str:
    """How a call with a token ends."""
    caller = replace(service, headers={Caller.ADMIN: bearer(token["token"])})
    return (await caller.answer(rpc, {}, wire=wire)).code


@every_wire
async def test_a_token_works_until_it_is_revoked(service: Service, wire: Wire):
    """
    Immediately, both ways: a leaked secret must not continue to work.
    """
    token = await new_token(service, f"leaked over {wire}", "IAM_OWNER_VIEWER")

    assert "ok" == await code_of(service, token, "ListTargets", wire)
    await service.ask("RevokeToken", {"id": token["id"]})
    assert "unauthenticated" == await code_of(service, token, "ListTargets", wire)


@every_wire
async def test_a_token_works_until_it_expires(service: Service, wire: Wire):
    """
    To the exact moment.
    """
    expires = service.clock.now + timedelta(hours=1)
    account = f"expiring over {wire}"
    token = await new_token(
        service, account, "IAM_OWNER_VIEWER", expirationDate=expires.isoformat()
    )
    service.clock.now = expires - timedelta(milliseconds=2)

    assert "ok" == await code_of(service, token, "ListTargets", wire)
    assert "unauthenticated" == await code_of(service, token, "ListTargets", wire)


@every_wire
async def test_a_role_that_was_taken_away_is_gone(service: Service, wire: Wire):
    """
    An account has the roles that it was given last, with whichever of its tokens it comes.
    """
    account = f"demoted over {wire}"
    token = await new_token(service, account, "IAM_OWNER_VIEWER")

    assert "ok" == await code_of(service, token, "ListTargets", wire)
    await new_token(service, account, "EVENT_PUBLISHER")
    assert "permission_denied" == await code_of(service, token, "ListTargets", wire)
