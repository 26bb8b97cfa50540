"""Tokens and their accounts in SQL."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime

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
from outrider.domain.ids import AccountId, InstanceId, TokenId
from outrider.usecases.ports.access import Token

_SELECT = (
    "SELECT tokens.id, tokens.instance_id, tokens.account_id, accounts.name, accounts.roles,"
    " tokens.created_at, tokens.expires_at, tokens.revoked_at FROM tokens"
    " JOIN accounts ON accounts.instance_id = tokens.instance_id AND accounts.id = tokens.account_id"
)


class SqlTokens:
    """`ports.store.Tokens` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: Token, secret_hash: bytes) -> None:
        self._connection.execute(
            "INSERT INTO accounts (instance_id, id, name, roles, created_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (instance_id, id) DO UPDATE SET roles = excluded.roles",
            (
                token.instance_id,
                token.account_id,
                token.account_name,
                " ".join(sorted(token.roles)),
                from_time(token.created_at),
            ),
        )
        self._connection.execute(
            "INSERT INTO tokens (id, instance_id, account_id, secret_hash, created_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                int(token.id),
                token.instance_id,
                token.account_id,
                secret_hash,
                from_time(token.created_at),
                from_optional_time(token.expires_at),
            ),
        )

    def account_id(self, instance: InstanceId, account_name: str) -> AccountId | None:
        row = self._connection.execute(
            "SELECT id FROM accounts WHERE instance_id = ? AND name = ?", (instance, account_name)
        ).fetchone()
        return None if row is None else AccountId(row[0])

    def by_hash(self, secret_hash: bytes) -> Token | None:
        return self._one(f"{_SELECT} WHERE tokens.secret_hash = ?", (secret_hash,))

    def get(self, instance: InstanceId, token: TokenId) -> Token | None:
        return self._one(
            f"{_SELECT} WHERE tokens.instance_id = ? AND tokens.id = ?",
            (instance, to_number(token)),
        )

    def list(self, instance: InstanceId) -> Sequence[Token]:
        rows = self._connection.execute(
            f"{_SELECT} WHERE tokens.instance_id = ? AND tokens.revoked_at IS NULL ORDER BY tokens.id",
            (instance,),
        )
        return builtins.list(map(_token, rows))

    def revoke(self, instance: InstanceId, token: TokenId, at: datetime) -> None:
        self._connection.execute(
            "UPDATE tokens SET revoked_at = ? WHERE instance_id = ? AND id = ?",
            (from_time(at), instance, int(token)),
        )

    def _one(self, query: str, values: tuple[object, ...]) -> Token | None:
        row = self._connection.execute(query, values).fetchone()
        return None if row is None else _token(row)


def _token(row: Row) -> Token:
    return Token(
        id=TokenId(str(row[0])),
        instance_id=InstanceId(row[1]),
        account_id=AccountId(row[2]),
        account_name=row[3],
        roles=frozenset(map(Role, row[4].split())),
        created_at=to_time(row[5]),
        expires_at=to_optional_time(row[6]),
        revoked_at=to_optional_time(row[7]),
    )
