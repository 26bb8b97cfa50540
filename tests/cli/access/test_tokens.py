"""`outrider token`: tokens of accounts, from the command line."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def test_a_token_works_until_it_is_revoked(server):
    """
    The life of a token, seen by who has it.
    """
    made = server.ok("token", "create", unique("shop"), "--role", "EVENT_PUBLISHER")
    mine = ("--token", made["token"])

    assert 0 == server.run("event", "publish", "cli.token", *mine).code
    forbidden = server.run("target", "list", *mine)
    assert made["id"] in server.run("token", "list").out
    server.ok("token", "revoke", made["id"], "--yes")
    revoked = server.run("event", "publish", "cli.token", *mine)

    assert (4, 4) == (forbidden.code, revoked.code)
    assert "does not allow this" in forbidden.err
    assert "does not accept the token" in revoked.err
    assert made["token"] not in forbidden.err + revoked.err


def test_a_token_may_have_an_end(server):
    """
    As a duration or as a time.
    """
    account = unique("auditor")
    roles = ("--role", "IAM_OWNER_VIEWER", "--role", "EVENT_PUBLISHER")
    server.ok("token", "create", account, *roles, "--expires", "30d")

    listed = server.ok("token", "list")["tokens"]

    (token,) = [candidate for candidate in listed if account == candidate["account"]]
    assert {"IAM_OWNER_VIEWER", "EVENT_PUBLISHER"} == set(token["roles"])
    left = datetime.fromisoformat(token["expirationDate"]) - datetime.now(UTC)  # noqa: TID251 - the server's clock is this one
    assert 29 <= left.days <= 30


def test_an_account_without_any_role_that_counts_may_not_either(server):
    """
    ZITADEL calls some of these "not found"; for a script they are "not permitted".
    """
    made = server.ok("token", "create", unique("nobody"), "--role", "ORG_OWNER")

    assert 4 == server.run("target", "list", "--token", made["token"]).code


def test_an_unknown_role_is_refused(server):
    """
    By the server, which knows them.
    """
    result = server.run("token", "create", unique("x"), "--role", "KING")

    assert 1 == result.code
    assert "IAM_OWNER" in result.err
