"""Service accounts: made, listed, deleted; given keys and secrets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.access.permission import Actor
from outrider.domain.access.service_account import AccountKey, ServiceAccount, hash_secret
from outrider.domain.ids import AccountId, AccountKeyId, InstanceId, shown_id
from outrider.errors import InvalidRequest, NotFound
from outrider.runtime import Runtime
from outrider.usecases.access.authenticate import Authenticate
from outrider.usecases.access.tokens import checked_roles
from outrider.usecases.ports.access import AccountKeyPairs
from outrider.usecases.ports.store import Store, Unit


@dataclass(frozen=True, slots=True)
class ManageAccounts:
    """Everything about accounts but their opaque tokens."""

    store: Store
    runtime: Runtime
    authenticate: Authenticate
    key_pairs: AccountKeyPairs

    async def create(self, actor: Actor, name: str, roles: Sequence[str]) -> ServiceAccount:
        """Add an account. Raise `AlreadyExists` when its name is taken."""
        account = ServiceAccount(
            id=AccountId(str(self.runtime.new_id())),
            name=name,
            roles=checked_roles(roles, "CreateAccountRequest"),
            created_at=self.runtime.now(),
        )
        await self.store.write(lambda unit: unit.accounts.add(actor.instance_id, account))
        return account

    async def list(self, actor: Actor) -> Sequence[ServiceAccount]:
        """Oldest first."""
        return await self.store.read(lambda unit: unit.accounts.list(actor.instance_id))

    async def delete(self, actor: Actor, account: AccountId) -> datetime:
        """Delete an account with its tokens, keys and secret; return when.

        Raise `NotFound` when it is not there.
        """

        def apply(unit: Unit) -> None:
            _require(unit, actor.instance_id, account)
            unit.accounts.delete(actor.instance_id, account)

        await self.store.write(apply)
        self.authenticate.forget()
        return self.runtime.now()

    async def create_key(
        self, actor: Actor, account: AccountId, expires_at: datetime | None
    ) -> tuple[AccountKey, bytes]:
        """Return the key, and the key file of its owner, which is shown this once.

        Raise `NotFound` for an account that is not there, `InvalidRequest` for a date that is over.
        """
        if expires_at is not None and expires_at <= self.runtime.now():
            raise InvalidRequest(
                "invalid CreateAccountKeyRequest.ExpirationDate: value must be in the future",
                reason=f"the date {expires_at:%Y-%m-%dT%H:%M:%SZ} has passed",
                hint="give a later date, or none for a key that does not expire",
            )
        instance = actor.instance_id
        # A pair takes up to a second: not for an account that is not there, and in no transaction.
        await self.store.read(lambda unit: _require(unit, instance, account))
        pair = await self.key_pairs.make()
        account_key = AccountKey(
            id=AccountKeyId(str(self.runtime.new_id())),
            account_id=account,
            public_key=pair.public_key,
            created_at=self.runtime.now(),
            expires_at=expires_at,
        )

        def add(unit: Unit) -> None:
            _require(unit, instance, account)
            unit.accounts.add_key(instance, account_key)

        await self.store.write(add)
        return account_key, key_file(account_key, pair.private_pem)

    async def list_keys(self, actor: Actor, account: AccountId) -> Sequence[AccountKey]:
        """The account's keys, oldest first. Raise `NotFound` for an account that is not there."""

        def find(unit: Unit) -> Sequence[AccountKey]:
            _require(unit, actor.instance_id, account)
            return unit.accounts.list_keys(actor.instance_id, account)

        return await self.store.read(find)

    async def delete_key(
        self, actor: Actor, account: AccountId, account_key: AccountKeyId
    ) -> datetime:
        """Delete a key, which then grants no token any more; return when.

        Raise `NotFound` for a key that is not this account's, as for one that was never there.
        """

        def apply(unit: Unit) -> None:
            _require(unit, actor.instance_id, account)
            if not unit.accounts.delete_key(actor.instance_id, account, account_key):
                raise NotFound(
                    "Account key not found",
                    "OUTRIDER-account-key",
                    reason=f"account {shown_id(account)} has no key {shown_id(account_key)}",
                    hint="give an id that"
                    f" `outrider account key list {shown_id(account, 'ACCOUNT_ID')}` shows",
                )

        await self.store.write(apply)
        return self.runtime.now()

    async def create_secret(self, actor: Actor, account: AccountId) -> str:
        """Give the account a new secret, in place of a former one; it is shown this once."""
        secret = self.runtime.new_token()

        def apply(unit: Unit) -> None:
            _require(unit, actor.instance_id, account)
            unit.accounts.set_secret(actor.instance_id, account, hash_secret(secret))

        await self.store.write(apply)
        return secret


def key_file(account_key: AccountKey, private_pem: str) -> bytes:
    """The file that ZITADEL's clients read."""
    content = {
        "type": "serviceaccount",
        "keyId": str(account_key.id),
        "key": private_pem,
        "userId": str(account_key.account_id),
    }
    return json.dumps(content).encode()


def _require(unit: Unit, instance: InstanceId, account: AccountId) -> None:
    if unit.accounts.get(instance, account) is None:
        raise NotFound(
            "Account not found",
            "OUTRIDER-account",
            reason=f"there is no account {shown_id(account)} in this instance",
            hint="give an id that `outrider account list` shows, not the name",
        )
