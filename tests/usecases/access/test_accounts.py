"""Service accounts: errors and races besides the happy path, which `tests/api` walks on every wire."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from outrider.domain.ids import AccountKeyId
from outrider.errors import InvalidRequest, NotFound, Unauthenticated
from outrider.usecases.access.accounts import ManageAccounts
from outrider.usecases.ports.access import NewAccountKey
from support.builders import ANOTHER_INSTANCE, an_actor
from support.runtime import NOW

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)


class KeyPairs:
    """No real keys, and something that happens while they are made."""

    def __init__(self) -> None:
        self.made = 0
        self.meanwhile = None

    async def make(self) -> NewAccountKey:
        self.made += 1
        if self.meanwhile is not None:
            await self.meanwhile()
        return NewAccountKey(b"public", "private")


@pytest.fixture
def key_pairs() -> KeyPairs:
    return KeyPairs()


@pytest.fixture
def accounts(store, runtime, authenticate, key_pairs) -> ManageAccounts:
    return ManageAccounts(store, runtime, authenticate, key_pairs)


async def test_the_private_part_of_a_key_is_kept_nowhere(accounts, store):
    """
    An operator who loses the file makes another.
    """
    account = await accounts.create(ACTOR, "shop", ["EVENT_PUBLISHER"])
    account_key, file = await accounts.create_key(ACTOR, account.id, None)
    kept = await store.read(lambda unit: unit.accounts.get_key(ACTOR.instance_id, account_key.id))

    assert {
        "type": "serviceaccount",
        "keyId": account_key.id,
        "key": "private",
        "userId": account.id,
    } == json.loads(file)
    assert (b"public", account_key) == (kept.public_key, kept)


async def test_an_account_deleted_meanwhile_gets_no_key(accounts, key_pairs, store):
    """
    A pair takes a while; a key without an account would be an access that no list shows.
    """
    account = await accounts.create(ACTOR, "shop", ["IAM_OWNER"])
    key_pairs.meanwhile = lambda: accounts.delete(ACTOR, account.id)

    with pytest.raises(NotFound):
        await accounts.create_key(ACTOR, account.id, None)
    assert 1 == key_pairs.made


@pytest.mark.parametrize("expires_at", [NOW, NOW - timedelta(seconds=1)])
async def test_no_key_is_made_that_has_expired(accounts, key_pairs, expires_at):
    """
    Nor the work done for it.
    """
    account = await accounts.create(ACTOR, "shop", ["IAM_OWNER"])

    with pytest.raises(InvalidRequest):
        await accounts.create_key(ACTOR, account.id, expires_at)
    assert 0 == key_pairs.made


async def test_another_instances_accounts_do_not_exist(accounts, key_pairs):
    """
    Neither to list, nor to delete, nor to come in as.
    """
    account = await accounts.create(ACTOR, "shop", ["IAM_OWNER"])

    assert [] == list(await accounts.list(STRANGER))
    for attempt in (
        accounts.delete(STRANGER, account.id),
        accounts.create_secret(STRANGER, account.id),
        accounts.create_key(STRANGER, account.id, None),
        accounts.list_keys(STRANGER, account.id),
        accounts.delete_key(STRANGER, account.id, AccountKeyId("1")),
    ):
        with pytest.raises(NotFound, match="OUTRIDER-account"):
            await attempt
    assert [account] == list(await accounts.list(ACTOR))
    assert 0 == key_pairs.made


async def test_a_remembered_token_is_forgotten_with_its_account(accounts, tokens, authenticate):
    """
    Immediately on this node, although it was just used.
    """
    token, secret = await tokens.create(ACTOR, "shop", ["IAM_OWNER"], None)
    await authenticate("", f"Bearer {secret}")
    await accounts.delete(ACTOR, token.account_id)

    with pytest.raises(Unauthenticated, match="AUTH-7fs1e"):
        await authenticate("", f"Bearer {secret}")
