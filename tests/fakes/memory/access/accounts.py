"""Service accounts in memory."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from fakes.memory.tables import Tables
from outrider.domain.access.service_account import AccountKey, ServiceAccount
from outrider.domain.ids import AccountId, AccountKeyId, InstanceId
from outrider.errors import AlreadyExists


class MemoryAccounts:
    """`ports.access.Accounts` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, instance: InstanceId, account: ServiceAccount) -> None:
        if any(known.name == account.name for known in self._all(instance)):
            raise AlreadyExists("Account already exists", "OUTRIDER-account")
        self._tables.accounts[instance, account.id] = account

    def get(self, instance: InstanceId, account: AccountId) -> ServiceAccount | None:
        return self._tables.accounts.get((instance, account))

    def list(self, instance: InstanceId) -> Sequence[ServiceAccount]:
        return sorted(
            self._all(instance), key=lambda account: (account.created_at, int(account.id))
        )

    def delete(self, instance: InstanceId, account: AccountId) -> None:
        tables = self._tables
        tables.accounts.pop((instance, account), None)
        tables.secret_hashes.pop((instance, account), None)
        for key_id, account_key in [*tables.account_keys.items()]:
            if key_id[0] == instance and account_key.account_id == account:
                del tables.account_keys[key_id]
        for secret_hash, token in [*tables.tokens.items()]:
            if token.instance_id == instance and token.account_id == account:
                del tables.tokens[secret_hash]

    def add_key(self, instance: InstanceId, account_key: AccountKey) -> None:
        self._tables.account_keys[instance, account_key.id] = account_key

    def get_key(self, instance: InstanceId, account_key: AccountKeyId) -> AccountKey | None:
        return self._tables.account_keys.get((instance, account_key))

    def list_keys(self, instance: InstanceId, account: AccountId) -> Sequence[AccountKey]:
        found = (
            account_key
            for (owner, _), account_key in self._tables.account_keys.items()
            if owner == instance and account_key.account_id == account
        )
        return sorted(found, key=lambda account_key: (account_key.created_at, int(account_key.id)))

    def delete_key(
        self, instance: InstanceId, account: AccountId, account_key: AccountKeyId
    ) -> bool:
        found = self.get_key(instance, account_key)
        if found is None or found.account_id != account:
            return False
        del self._tables.account_keys[instance, account_key]
        return True

    def set_secret(self, instance: InstanceId, account: AccountId, secret_hash: bytes) -> None:
        self._tables.secret_hashes[instance, account] = secret_hash

    def secret_hash(self, instance: InstanceId, account: AccountId) -> bytes | None:
        return self._tables.secret_hashes.get((instance, account))

    def _all(self, instance: InstanceId) -> builtins.list[ServiceAccount]:
        return [
            account for (owner, _), account in self._tables.accounts.items() if owner == instance
        ]
