"""Service accounts in SQL."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from outrider.adapters.sql.schema.connection import (
    Connection,
    Row,
    from_optional_time,
    from_time,
    to_number,
    to_optional_time,
    to_time,
)
from outrider.domain.access.permission import Role
from outrider.domain.access.service_account import AccountKey, ServiceAccount
from outrider.domain.ids import AccountId, AccountKeyId, InstanceId
from outrider.errors import AlreadyExists

_SELECT = "SELECT id, name, roles, created_at FROM accounts WHERE instance_id = ?"
_SELECT_KEY = (
    "SELECT id, account_id, public_key, created_at, expires_at FROM account_keys"
    " WHERE instance_id = ?"
)


class SqlAccounts:
    """`ports.access.Accounts` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, instance: InstanceId, account: ServiceAccount) -> None:
        written = self._connection.execute(
            "INSERT INTO accounts (instance_id, id, name, roles, created_at)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (instance_id, name) DO NOTHING",
            (
                instance,
                account.id,
                account.name,
                " ".join(sorted(account.roles)),
                from_time(account.created_at),
            ),
        )
        if not written.rowcount:
            raise AlreadyExists(
                "Account already exists",
                "OUTRIDER-account",
                reason=f"another account of this instance has the name {account.name!r}",
                hint="choose another name, or use that account: `outrider account list`",
            )

    def get(self, instance: InstanceId, account: AccountId) -> ServiceAccount | None:
        row = self._connection.execute(f"{_SELECT} AND id = ?", (instance, account)).fetchone()
        return None if row is None else _account(row)

    def list(self, instance: InstanceId) -> Sequence[ServiceAccount]:
        order = "ORDER BY created_at, CAST(id AS BIGINT)"
        rows = self._connection.execute(f"{_SELECT} {order}", (instance,))
        return builtins.list(map(_account, rows))

    def delete(self, instance: InstanceId, account: AccountId) -> None:
        of_account = (instance, account)
        run = self._connection.execute
        run("DELETE FROM tokens WHERE instance_id = ? AND account_id = ?", of_account)
        run("DELETE FROM account_keys WHERE instance_id = ? AND account_id = ?", of_account)
        run("DELETE FROM accounts WHERE instance_id = ? AND id = ?", of_account)

    def add_key(self, instance: InstanceId, account_key: AccountKey) -> None:
        self._connection.execute(
            "INSERT INTO account_keys"
            " (id, instance_id, account_id, public_key, created_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                int(account_key.id),
                instance,
                account_key.account_id,
                account_key.public_key,
                from_time(account_key.created_at),
                from_optional_time(account_key.expires_at),
            ),
        )

    def get_key(self, instance: InstanceId, account_key: AccountKeyId) -> AccountKey | None:
        row = self._connection.execute(
            f"{_SELECT_KEY} AND id = ?", (instance, to_number(account_key))
        ).fetchone()
        return None if row is None else _account_key(row)

    def list_keys(self, instance: InstanceId, account: AccountId) -> Sequence[AccountKey]:
        order = "AND account_id = ? ORDER BY created_at, id"
        rows = self._connection.execute(f"{_SELECT_KEY} {order}", (instance, account))
        return builtins.list(map(_account_key, rows))

    def delete_key(
        self, instance: InstanceId, account: AccountId, account_key: AccountKeyId
    ) -> bool:
        deleted = self._connection.execute(
            "DELETE FROM account_keys WHERE instance_id = ? AND account_id = ? AND id = ?",
            (instance, account, to_number(account_key)),
        )
        return bool(deleted.rowcount)

    def set_secret(self, instance: InstanceId, account: AccountId, secret_hash: bytes) -> None:
        self._connection.execute(
            "UPDATE accounts SET secret_hash = ? WHERE instance_id = ? AND id = ?",
            (secret_hash, instance, account),
        )

    def secret_hash(self, instance: InstanceId, account: AccountId) -> bytes | None:
        row = self._connection.execute(
            "SELECT secret_hash FROM accounts WHERE instance_id = ? AND id = ?",
            (instance, account),
        ).fetchone()
        return None if row is None else row[0]


def _account(row: Row) -> ServiceAccount:
    return ServiceAccount(
        id=AccountId(row[0]),
        name=row[1],
        roles=frozenset(map(Role, row[2].split())),
        created_at=to_time(row[3]),
    )


def _account_key(row: Row) -> AccountKey:
    return AccountKey(
        id=AccountKeyId(str(row[0])),
        account_id=AccountId(row[1]),
        public_key=row[2],
        created_at=to_time(row[3]),
        expires_at=to_optional_time(row[4]),
    )
