"""Public keys through ZITADEL's own client library, which leaves their bytes to its users as Base64."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clients.zitadel_actions import (
    GROWTHS,
    KEY,
    ActionsClient,
    connected_client,
    error_of,
    walk,
)
from system.server import Server

FINGERPRINT = "SHA256:XNJS+wzokyQ2+vjM0QQJgbie5K1rn+niorfnGqyyfNM"
ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)
SOON, LATER = "2098-01-01T00:00:00Z", "2099-01-01T00:00:00Z"


@pytest.fixture
def client(server: Server) -> Iterator[ActionsClient]:
    """The library's part for actions."""
    with connected_client(server) as connected:
        yield connected


def expires(method: str, at: str = LATER) -> dict[str, Any]:
    """The filter on a key's expiry."""
    expiry = {"timestamp": at, "method": f"TIMESTAMP_FILTER_METHOD_{method}"}
    return {"expirationDateFilter": expiry}


def test_a_public_key_is_what_was_sent(client):
    """
    Its bytes are Base64 text in the library, both ways; a new key encrypts nothing yet.
    """
    target = client.target()
    added = client.call("add_public_key", targetId=target, publicKey=KEY, expirationDate=LATER)
    [listed] = client.keys(target)

    assert listed.model_dump(exclude_none=True) == {
        "key_id": added.key_id,
        "public_key": KEY,
        "fingerprint": FINGERPRINT,
        "expiration_date": datetime(2099, 1, 1, tzinfo=UTC),
        "creation_date": added.creation_date,
        "change_date": added.creation_date,
    }
    assert abs(datetime.now(UTC) - added.creation_date) < timedelta(minutes=1)  # noqa: TID251 - the client's clock


def test_the_life_of_a_public_key(client):
    """
    Added, active, replaced, inactive, removed.
    """
    target = client.target()
    first, second = client.add(target), client.add(target)
    activated = client.call("activate_public_key", targetId=target, keyId=first)
    again = client.call("activate_public_key", targetId=target, keyId=first)
    client.call("activate_public_key", targetId=target, keyId=second)
    active = {listed.key_id: bool(listed.active) for listed in client.keys(target)}
    error = error_of(client, "remove_public_key", targetId=target, keyId=second)
    deactivated = client.call("deactivate_public_key", targetId=target, keyId=second)
    removed = client.call("remove_public_key", targetId=target, keyId=second)

    assert activated == again
    assert {first: False, second: True} == active
    assert (400, "ErrPublicKeyDeleteActiveKey") == error
    assert activated.change_date < deactivated.change_date < removed.deletion_date
    assert [first] == [listed.key_id for listed in client.keys(target)]


def test_removing_what_never_was_has_the_zero_date(client):
    """
    The library reads Go's zero time as a time: it must be one.
    """
    assert ZERO_TIME == client.call("remove_public_key", targetId="1", keyId="1").deletion_date


@pytest.mark.parametrize(
    ("procedure", "fields", "expected"),
    [
        ("add_public_key", {"publicKey": "bm8="}, "ErrPublicKeyFormat"),
        ("add_public_key", {"publicKey": KEY, "targetId": "1"}, "ErrTargetNotFound"),
        (
            "add_public_key",
            {"publicKey": KEY, "expirationDate": "2020-01-01T00:00:00Z"},
            "ErrExpirationDateBeforeNow",
        ),
        ("activate_public_key", {"keyId": "1"}, "ErrKeyNotFound"),
        ("deactivate_public_key", {"keyId": "1"}, "ErrKeyNotFound"),
        ("list_public_keys", {"pagination": {"limit": 1001}}, "QUERY-4M0fs"),
        ("list_executions", {"pagination": {"limit": 1001}}, "QUERY-4M0fs"),
    ],
)
def test_an_error_has_its_documented_id(client, procedure, fields, expected):
    """
    Users of the library check the id, which alone tells errors with 400 apart.
    """
    request = fields if procedure == "list_executions" else {"targetId": client.target(), **fields}

    assert (400, expected) == error_of(client, procedure, **request)


def test_public_keys_are_filtered(client):
    """
    By id, by what is active, by expiry; a key that never expires is after every time.
    """
    target = client.target()
    ids = {
        client.add(target): "never",
        client.add(target, expirationDate=SOON): "soon",
        client.add(target, expirationDate=LATER): "later",
    }
    never, soon, later = ids
    client.call("activate_public_key", targetId=target, keyId=soon)

    def found(*filters: dict[str, Any]) -> set[str]:
        return {ids[listed.key_id] for listed in client.keys(target, *filters)}

    assert {"never", "later"} == found({"keyIdsFilter": {"ids": [never, later, "1"]}})
    assert {"soon"} == found({"activeFilter": True})
    assert {"never", "later"} == found({"activeFilter": False})
    assert {"later"} == found(expires("EQUALS"))
    assert {"never"} == found(expires("AFTER"))
    assert {"never", "later"} == found(expires("AFTER_OR_EQUALS"))
    assert {"soon"} == found(expires("BEFORE"))
    assert {"soon", "later"} == found(expires("BEFORE_OR_EQUALS"))
    assert {"later"} == found(expires("BEFORE_OR_EQUALS"), {"activeFilter": False})


def test_public_keys_are_sorted_and_paged(client):
    """
    Newest first, unless asked for otherwise; the total tells how many pages there are.
    """
    target = client.target()
    ids = [client.add(target, expirationDate=expiry) for expiry in (LATER, SOON, LATER)]
    client.call("activate_public_key", targetId=target, keyId=ids[0])

    def found(column: str, **page: Any) -> list[int]:
        listed = client.keys(target, sortingColumn=f"PUBLIC_KEY_FIELD_NAME_{column}", **page)
        return [ids.index(public_key.key_id) for public_key in listed]

    page = {"offset": 1, "limit": 1, "asc": True}
    answer = client.call("list_public_keys", targetId=target, pagination=page)

    assert [2, 1, 0] == [ids.index(listed.key_id) for listed in client.keys(target)]
    assert [0, 1, 2] == found("CREATION_DATE", pagination={"asc": True})
    assert [0, 2, 1] == found("CHANGE_DATE")
    assert 1 == found("EXPIRATION_DATE", pagination={"asc": True})[0]
    assert [ids[1]] == [listed.key_id for listed in answer.public_keys]
    assert ("3", "1") == (answer.pagination.total_result, answer.pagination.applied_limit)


def test_a_walk_through_public_keys_sees_each_once_while_more_are_added(client):
    """
    The same for keys of a target that are rotated meanwhile.
    """
    target = client.target()
    made = [client.add(target) for _ in range(8)]

    def read(page: dict[str, Any]) -> list[str]:
        return [listed.key_id for listed in client.keys(target, pagination=page)]

    seen = walk(read, lambda _: made.append(client.add(target)))

    assert 8 + GROWTHS == len(made)
    assert made == seen
