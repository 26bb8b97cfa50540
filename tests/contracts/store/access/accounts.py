"""What every store does with service accounts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from contracts.store.store import StoreContract
from outrider.domain.access.permission import Role
from outrider.domain.access.service_account import AccountKey, ServiceAccount
from outrider.domain.ids import AccountId, AccountKeyId, InstanceId
from outrider.errors import AlreadyExists
from outrider.usecases.ports.access import Accounts
from outrider.usecases.ports.store import Store, T
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_token
from support.runtime import NOW

SECOND = timedelta(seconds=1)


def an_account(
    id: str = "11",  # noqa: A002 - the name of the field
    name: str = "publisher",
    *,
    roles: tuple[Role, ...] = (Role.EVENT_PUBLISHER,),
    created_at: datetime = NOW,
) -> ServiceAccount:
    """A service account."""
    return ServiceAccount(
        id=AccountId(id), name=name, roles=frozenset(roles), created_at=created_at
    )


def an_account_key(
    id: str = "701",  # noqa: A002 - the name of the field
    account: str = "11",
    *,
    created_at: datetime = NOW,
    expires_at: datetime | None = None,
) -> AccountKey:
    """The public part of a key; no real one."""
    return AccountKey(
        id=AccountKeyId(id),
        account_id=AccountId(account),
        public_key=b"public\x00part",
        created_at=created_at,
        expires_at=expires_at,
    )


async def write(store: Store, work: Callable[[Accounts], T]) -> T:
    """Change accounts."""
    return await store.write(lambda unit: work(unit.accounts))


async def read(store: Store, work: Callable[[Accounts], T]) -> T:
    """Look at accounts."""
    return await store.read(lambda unit: work(unit.accounts))


async def add(store: Store, account: ServiceAccount, instance: InstanceId = INSTANCE) -> None:
    """Write an account."""
    await write(store, lambda accounts: accounts.add(instance, account))


class AccountsContract(StoreContract):
    """Accounts, their keys, their secrets."""

    async def test_an_account_comes_back_as_it_was(self, store: Store) -> None:
        """With a name of any letters, several roles or none."""
        whole = an_account(
            "11", "Größe 🪝", roles=(Role.IAM_OWNER, Role.ORG_OWNER), created_at=NOW + SECOND
        )
        await add(store, whole)
        await add(store, an_account("12", roles=()))

        assert whole == await read(store, lambda accounts: accounts.get(INSTANCE, whole.id))
        assert [an_account("12", roles=()), whole] == list(
            await read(store, lambda accounts: accounts.list(INSTANCE))
        )

    async def test_a_name_is_taken_once_in_an_instance(self, store: Store) -> None:
        """Two of one name could not be told apart by the operator who revokes one."""
        await add(store, an_account())
        await add(store, an_account(), ANOTHER_INSTANCE)

        with pytest.raises(AlreadyExists):
            await add(store, an_account("12"))
        assert [an_account()] == list(await read(store, lambda accounts: accounts.list(INSTANCE)))

    async def test_accounts_are_listed_oldest_first(self, store: Store) -> None:
        """Of one moment by their numbers."""
        for number in ("100", "9", "10"):
            await add(store, an_account(number, f"name {number}"))

        assert ["9", "10", "100"] == [
            account.id for account in await read(store, lambda accounts: accounts.list(INSTANCE))
        ]

    async def test_the_account_of_a_first_token_is_one(self, store: Store) -> None:
        """Made when its first token was, and its date stays with the second."""
        await store.write(lambda unit: unit.tokens.add(a_token(), b"1"))
        later = a_token("502", roles=[Role.ORG_OWNER], created_at=NOW + SECOND)
        await store.write(lambda unit: unit.tokens.add(later, b"2"))

        assert an_account(roles=(Role.ORG_OWNER,)) == await read(
            store, lambda accounts: accounts.get(INSTANCE, AccountId("11"))
        )

    async def test_a_token_of_a_known_account_changes_its_roles_alone(self, store: Store) -> None:
        """Its secret stays."""
        await add(store, an_account(created_at=NOW - SECOND))
        await write(store, lambda accounts: accounts.set_secret(INSTANCE, AccountId("11"), b"hash"))
        await store.write(lambda unit: unit.tokens.add(a_token(roles=[Role.ORG_OWNER]), b"1"))

        assert b"hash" == await read(
            store, lambda accounts: accounts.secret_hash(INSTANCE, AccountId("11"))
        )
        assert [an_account(roles=(Role.ORG_OWNER,), created_at=NOW - SECOND)] == list(
            await read(store, lambda accounts: accounts.list(INSTANCE))
        )

    async def test_a_key_comes_back_as_it_was(self, store: Store) -> None:
        """Whether it expires or not."""
        account_keys = [an_account_key(), an_account_key("702", expires_at=NOW + SECOND)]
        await add(store, an_account())
        for account_key in account_keys:
            await write(store, lambda accounts, new=account_key: accounts.add_key(INSTANCE, new))

        assert account_keys == [
            await read(store, lambda accounts, id_=known.id: accounts.get_key(INSTANCE, id_))
            for known in account_keys
        ]

    async def test_keys_are_listed_by_account_oldest_first(self, store: Store) -> None:
        """Of one moment by their numbers; an account without any has an empty list."""
        for number in ("11", "12", "13"):
            await add(store, an_account(number, f"name {number}"))
        keys = [
            an_account_key("1000", created_at=NOW - SECOND, expires_at=NOW),
            an_account_key("99"),
            an_account_key("100"),
        ]
        for account_key in (*reversed(keys), an_account_key("101", "12")):
            await write(store, lambda accounts, new=account_key: accounts.add_key(INSTANCE, new))

        assert [keys, [an_account_key("101", "12")], []] == [
            list(
                await read(store, lambda accounts, n=n: accounts.list_keys(INSTANCE, AccountId(n)))
            )
            for n in ("11", "12", "13")
        ]

    async def test_a_key_is_deleted_by_its_account_and_its_id(self, store: Store) -> None:
        """An account's owner does not delete another's by mistake; the other keys stay."""
        for number in ("11", "12"):
            await add(store, an_account(number, f"name {number}"))
        for number in ("701", "702"):
            await write(
                store,
                lambda accounts, n=number: accounts.add_key(INSTANCE, an_account_key(n)),
            )
        ids = [("12", "701"), ("11", "703"), ("11", "701"), ("11", "701"), ("11", "x")]

        assert [False, False, True, False, False] == [
            await write(
                store,
                lambda accounts, a=account, k=key_id: accounts.delete_key(
                    INSTANCE, AccountId(a), AccountKeyId(k)
                ),
            )
            for account, key_id in ids
        ]
        assert [an_account_key("702")] == list(
            await read(store, lambda accounts: accounts.list_keys(INSTANCE, AccountId("11")))
        )

    async def test_a_secret_replaces_the_former(self, store: Store) -> None:
        """An account has one at most."""
        await add(store, an_account())
        seen = [await read(store, lambda accounts: accounts.secret_hash(INSTANCE, AccountId("11")))]
        for secret_hash in (b"first", b"second"):
            await write(
                store,
                lambda accounts, new=secret_hash: accounts.set_secret(
                    INSTANCE, AccountId("11"), new
                ),
            )
            seen.append(
                await read(store, lambda accounts: accounts.secret_hash(INSTANCE, AccountId("11")))
            )

        assert [None, b"first", b"second"] == seen

    async def test_a_deleted_account_takes_all_that_is_its_own_along(self, store: Store) -> None:
        """Tokens, keys, secret; its name is free. Another's stay."""
        for number in ("11", "12"):
            await add(store, an_account(number, f"name {number}"))
            await write(
                store,
                lambda accounts, n=number: accounts.set_secret(INSTANCE, AccountId(n), b"hash"),
            )
            await write(
                store,
                lambda accounts, n=number: accounts.add_key(INSTANCE, an_account_key(f"7{n}", n)),
            )
            token = a_token(f"5{number}", account=number, account_name=f"name {number}")
            await store.write(lambda unit, new=token: unit.tokens.add(new, new.id.encode()))
        await write(store, lambda accounts: accounts.delete(INSTANCE, AccountId("11")))

        assert [None, an_account_key("712", "12")] == [
            await read(store, lambda accounts, n=n: accounts.get_key(INSTANCE, AccountKeyId(n)))
            for n in ("711", "712")
        ]
        assert [None, b"hash"] == [
            await read(store, lambda accounts, n=n: accounts.secret_hash(INSTANCE, AccountId(n)))
            for n in ("11", "12")
        ]
        assert None is await store.read(lambda unit: unit.tokens.by_hash(b"511"))
        assert ["512"] == [
            token.id for token in await store.read(lambda unit: unit.tokens.list(INSTANCE))
        ]
        await add(store, an_account("13", "name 11"))

    async def test_another_instances_accounts_do_not_exist(self, store: Store) -> None:
        """Neither they nor what is theirs, to read or to delete."""
        await add(store, an_account(), ANOTHER_INSTANCE)
        await write(store, lambda accounts: accounts.add_key(ANOTHER_INSTANCE, an_account_key()))
        await write(
            store, lambda accounts: accounts.set_secret(ANOTHER_INSTANCE, AccountId("11"), b"h")
        )
        await write(
            store, lambda accounts: accounts.set_secret(INSTANCE, AccountId("11"), b"other")
        )
        await write(store, lambda accounts: accounts.delete(INSTANCE, AccountId("11")))
        of_key = (AccountId("11"), AccountKeyId("701"))
        assert not await write(store, lambda accounts: accounts.delete_key(INSTANCE, *of_key))

        def seen(accounts: Accounts, instance: InstanceId) -> tuple[object, ...]:
            return (
                accounts.get(instance, AccountId("11")),
                accounts.get_key(instance, AccountKeyId("701")),
                *accounts.list_keys(instance, AccountId("11")),
                accounts.secret_hash(instance, AccountId("11")),
            )

        assert (None, None, None) == await read(store, lambda accounts: seen(accounts, INSTANCE))
        assert (an_account(), an_account_key(), an_account_key(), b"h") == await read(
            store, lambda accounts: seen(accounts, ANOTHER_INSTANCE)
        )

    @pytest.mark.parametrize("id_", ["", "x", "9" * 40, "-1", "1.5"])
    async def test_an_id_that_we_never_made_is_nothing(self, store: Store, id_: str) -> None:
        """Whatever a stranger sends as `kid` or as client id."""
        assert (None, None, None) == await read(
            store,
            lambda accounts: (
                accounts.get(INSTANCE, AccountId(id_)),
                accounts.get_key(INSTANCE, AccountKeyId(id_)),
                accounts.secret_hash(INSTANCE, AccountId(id_)),
            ),
        )
