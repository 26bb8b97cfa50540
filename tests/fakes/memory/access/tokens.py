"""Tokens and their accounts in memory."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from fakes.memory.tables import Tables
from outrider.domain.access.service_account import ServiceAccount
from outrider.domain.ids import AccountId, InstanceId, TokenId
from outrider.usecases.ports.access import Token


class MemoryTokens:
    """`ports.store.Tokens` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, token: Token, secret_hash: bytes) -> None:
        row_id = token.instance_id, token.account_id
        known = self._tables.accounts.get(row_id)
        self._tables.accounts[row_id] = ServiceAccount(
            id=token.account_id,
            name=token.account_name,
            roles=token.roles,
            created_at=known.created_at if known else token.created_at,
        )
        self._tables.tokens[secret_hash] = token

    def account_id(self, instance: InstanceId, account_name: str) -> AccountId | None:
        for (owner, account_id), account in self._tables.accounts.items():
            if owner == instance and account.name == account_name:
                return account_id
        return None

    def by_hash(self, secret_hash: bytes) -> Token | None:
        token = self._tables.tokens.get(secret_hash)
        return None if token is None else self._with_roles(token)

    def get(self, instance: InstanceId, token: TokenId) -> Token | None:
        return next((candidate for candidate in self._all(instance) if candidate.id == token), None)

    def list(self, instance: InstanceId) -> Sequence[Token]:
        valid = (token for token in self._all(instance) if token.revoked_at is None)
        return sorted(valid, key=lambda token: int(token.id))

    def revoke(self, instance: InstanceId, token: TokenId, at: datetime) -> None:
        for secret_hash, stored in self._tables.tokens.items():
            if stored.instance_id == instance and stored.id == token:
                self._tables.tokens[secret_hash] = replace(stored, revoked_at=at)

    def _all(self, instance: InstanceId) -> builtins.list[Token]:
        tokens = self._tables.tokens.values()
        return [self._with_roles(token) for token in tokens if token.instance_id == instance]

    def _with_roles(self, token: Token) -> Token:
        return replace(
            token, roles=self._tables.accounts[token.instance_id, token.account_id].roles
        )
