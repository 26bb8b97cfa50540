"""`outrider account`: a program gets what it logs in with."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def account(server) -> str:
    """The id of a new account."""
    return server.ok("account", "create", unique("shop"), "--role", "IAM_OWNER_VIEWER")["id"]


def login(server, client_id: str, client_secret: str) -> str:
    """An access token for a secret."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
    }
    url = f"{server.url}/oauth/v2/token"
    with urllib.request.urlopen(url, urlencode(form).encode()) as answer:
        return json.load(answer)["access_token"]


def test_an_account_logs_in_with_its_secret_until_it_is_deleted(server, account):
    """
    The life of an account, seen by the program that has it.
    """
    made = server.ok("account", "secret", account)
    mine = ("--token", login(server, made["clientId"], made["clientSecret"]))
    before = server.run("target", "list", *mine)
    server.ok("account", "delete", account, "--yes")
    after = server.run("target", "list", *mine)

    assert (0, 4) == (before.code, after.code)
    with pytest.raises(urllib.error.HTTPError) as raised:
        login(server, made["clientId"], made["clientSecret"])
    with raised.value as answer:
        assert "invalid_client" == json.load(answer)["error"]


def test_an_account_is_listed(server, account):
    """
    With its roles; people see a table.
    """
    accounts = server.ok("account", "list")["accounts"]
    (listed,) = [candidate for candidate in accounts if candidate["id"] == account]

    assert ["IAM_OWNER_VIEWER"] == listed["roles"]
    assert listed["name"] in server.run("account", "list").out


def test_a_key_file_is_its_owners_alone(server, account, tmp_path):
    """
    It is a password: no other user may read it, and it is never printed.
    """
    path = tmp_path / "shop.json"
    made = server.run("account", "key", account, "--out", path, "--expires", "30d")
    file = json.loads(path.read_text())

    assert 0 == made.code, made.err
    assert 0o600 == path.stat().st_mode & 0o777
    assert ("serviceaccount", account) == (file["type"], file["userId"])
    assert file["keyId"] in made.out
    assert "PRIVATE KEY" not in made.out + made.err


def test_a_key_is_listed_until_it_is_deleted(server, account, tmp_path):
    """
    After the loss of a laptop an operator deletes its key, and no other.
    """
    kept, lost = (
        server.ok("account", "key", "create", account, "--out", tmp_path / name)["keyId"]
        for name in ("kept.json", "lost.json")
    )
    shown = server.run("account", "key", "list", account)
    server.ok("account", "key", "delete", account, lost, "--yes")
    again = server.run("account", "key", "delete", account, lost, "--yes")

    assert 0 == shown.code, shown.err
    assert all(text in shown.out for text in (kept, lost, "never"))
    assert [kept] == [
        account_key["keyId"] for account_key in server.ok("account", "key", "list", account)["keys"]
    ]
    assert 1 == again.code
    assert "Account key not found" in again.err
    assert f"outrider account key list {account}" in again.err


def test_an_account_without_keys_says_how_to_make_one(server, account):
    """
    An empty table would look like an error.
    """
    assert "outrider account key create" in server.run("account", "key", "list", account).err


def test_no_file_is_written_over(server, account, tmp_path):
    """
    The key in it could not be made again.
    """
    path = tmp_path / "shop.json"
    path.write_text("precious")
    result = server.run("account", "key", account, "--out", path)

    assert (2, "precious") == (result.code, path.read_text())
    assert f"{path}: File exists" in result.err


def test_a_refused_key_leaves_no_file(server, tmp_path):
    """
    An empty file would look like a key.
    """
    path = tmp_path / "shop.json"
    result = server.run("account", "key", "2", "--out", path)

    assert 1 == result.code
    assert "Account not found" in result.err
    assert "outrider account list" in result.err
    assert not path.exists()


def test_a_secret_is_shown_with_a_warning(server, account):
    """
    An operator who closes the window has to make another.
    """
    result = server.run("account", "secret", account)

    assert 0 == result.code
    assert account in result.out
    assert "cannot be shown again" in result.err


def test_a_date_that_is_over_is_refused(server, account, tmp_path):
    """
    By another operator meanwhile; no file is left.
    """
    path = tmp_path / "shop.json"
    over = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
    result = server.run("account", "key", account, "--out", path, "--expires", over)

    assert result.code in {1, 2}
    assert not path.exists()


def test_a_name_that_is_taken_is_refused(server):
    """
    Two accounts of one name could not be told apart.
    """
    name = unique("shop")
    server.ok("account", "create", name, "--role", "IAM_OWNER")
    result = server.run("account", "create", name, "--role", "IAM_OWNER")

    assert 1 == result.code
    assert "Account already exists" in result.err
