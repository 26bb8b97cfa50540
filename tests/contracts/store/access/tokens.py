"""What every store does with tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from contracts.store.store import StoreContract
from outrider.domain.access.permission import Role
from outrider.domain.ids import InstanceId, TokenId
from outrider.usecases.ports.access import Token
from outrider.usecases.ports.store import Store
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_token
from support.runtime import NOW

LATER = NOW + timedelta(hours=1)
HASH = bytes(range(32))
ANOTHER_HASH = bytes(range(1, 33))


async def add(store: Store, token: Token, secret_hash: bytes = HASH) -> None:
    """Write a token."""
    await store.write(lambda unit: unit.tokens.add(token, secret_hash))


async def by_hash(store: Store, secret_hash: bytes = HASH) -> Token | None:
    """Who comes with this secret."""
    return await store.read(lambda unit: unit.tokens.by_hash(secret_hash))


async def get(store: Store, token: str, instance: InstanceId = INSTANCE) -> Token | None:
    """A token by its id."""
    return await store.read(lambda unit: unit.tokens.get(instance, TokenId(token)))


async def account_id(store: Store, name: str, instance: InstanceId) -> str | None:
    """The account of a name."""
    return await store.read(lambda unit: unit.tokens.account_id(instance, name))


async def listed(store: Store) -> Sequence[Token]:
    """The instance's tokens."""
    return await store.read(lambda unit: unit.tokens.list(INSTANCE))


async def revoke(store: Store, token: str, instance: InstanceId = INSTANCE) -> None:
    """Revoke a token."""
    await store.write(lambda unit: unit.tokens.revoke(instance, TokenId(token), LATER))


class TokensContract(StoreContract):
    """Who is asking, found by the hash of a secret."""

    async def test_a_token_is_found_by_the_hash_of_its_secret(self, store: Store) -> None:
        """The secret itself is nowhere."""
        token = a_token(
            roles=[Role.IAM_OWNER_VIEWER, Role.EVENT_PUBLISHER],
            account_name="Größe 🪝",
            created_at=NOW,
            expires_at=LATER + timedelta(microseconds=1),
        )
        await add(store, token)

        assert token == await by_hash(store)
        assert token == await get(store, "501")
        assert None is await by_hash(store, ANOTHER_HASH)

    async def test_a_token_without_roles_is_authenticated(self, store: Store) -> None:
        """Who may do nothing is answered other than who is unknown."""
        await add(store, a_token(roles=[]))

        assert a_token(roles=[]) == await by_hash(store)

    async def test_what_does_not_exist_is_none(self, store: Store) -> None:
        """Whatever was asked for."""
        assert None is await get(store, "501")
        assert None is await get(store, "no id of ours")
        assert None is await get(store, "9" * 40)
        assert [] == list(await listed(store))

    async def test_accounts_are_found_by_name(self, store: Store) -> None:
        """A second token of one name is one of the same account."""
        await add(store, a_token(account="11", account_name="publisher"))
        found = [
            await account_id(store, name, instance)
            for instance in (INSTANCE, ANOTHER_INSTANCE)
            for name in ("publisher", "Publisher", "somebody")
        ]

        assert ["11", None, None, None, None, None] == found

    async def test_two_instances_may_use_one_account_name(self, store: Store) -> None:
        """An account belongs to its instance."""
        await add(store, a_token(roles=[Role.ORG_OWNER]))
        elsewhere = a_token("502", instance=ANOTHER_INSTANCE, roles=[Role.IAM_OWNER])
        await add(store, elsewhere, ANOTHER_HASH)

        assert a_token(roles=[Role.ORG_OWNER]) == await by_hash(store)
        assert elsewhere == await by_hash(store, ANOTHER_HASH)

    async def test_roles_are_the_accounts_and_the_last_ones_count(self, store: Store) -> None:
        """Taking a role away reaches tokens that were made before."""
        before = a_token("501", roles=[Role.IAM_OWNER])
        after = a_token("502", roles=[Role.EVENT_PUBLISHER, Role.ORG_OWNER])
        await add(store, before)
        await add(store, after, ANOTHER_HASH)

        assert replace(before, roles=after.roles) == await by_hash(store)
        assert [replace(before, roles=after.roles), after] == list(await listed(store))

    async def test_another_instances_tokens_do_not_exist(self, store: Store) -> None:
        """Neither to read nor to list, nor to revoke."""
        await add(store, a_token(instance=ANOTHER_INSTANCE))
        await revoke(store, "501")

        assert None is await get(store, "501")
        assert [] == list(await listed(store))
        assert a_token(instance=ANOTHER_INSTANCE) == await get(store, "501", ANOTHER_INSTANCE)

    async def test_a_list_is_oldest_first_with_what_has_expired(self, store: Store) -> None:
        """Expired tokens are listed: an operator may wonder why one does not work."""
        tokens = [
            a_token(str(number), expires_at=NOW - timedelta(days=1), created_at=NOW)
            for number in (9, 10, 501)
        ]
        for index in (1, 2, 0):
            await add(store, tokens[index], bytes([index]))

        assert tokens == list(await listed(store))

    async def test_a_revoked_token_is_not_listed_and_says_when(self, store: Store) -> None:
        """It is still found, so that revoking again answers the first date."""
        await add(store, a_token("501"))
        await add(store, a_token("502"), ANOTHER_HASH)
        await revoke(store, "501")
        revoked = replace(a_token("501"), revoked_at=LATER)

        assert revoked == await by_hash(store)
        assert revoked == await get(store, "501")
        assert [a_token("502")] == list(await listed(store))
