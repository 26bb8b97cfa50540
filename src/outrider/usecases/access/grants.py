"""Grants: how a service account proves who it is, and gets an access token (RFC 6749, RFC 7523)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Self

from outrider.domain.access.access_token import check_assertion
from outrider.domain.access.service_account import hash_secret
from outrider.domain.ids import AccountId, AccountKeyId, InstanceId
from outrider.usecases.access.access_tokens import AccessTokens

_NO_SECRET = bytes(32)


class GrantError(Exception):
    """No token. `error` is one of RFC 6749, section 5.2; `description` is for the client's owner."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """An access token, and the account that it is for."""

    account_id: AccountId
    access_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grants:
    """Client credentials and JWT assertion. Both raise `GrantError`."""

    access_tokens: AccessTokens

    def of(self, instance: InstanceId) -> Self:
        """The same for accounts of this instance."""
        return type(self)(self.access_tokens.of(instance))

    async def client_credentials(
        self, client_id: str, client_secret: str, issuer: str
    ) -> TokenGrant:
        """Return an access token for the account whose id and secret these are."""
        tokens = self.access_tokens
        account = AccountId(client_id)
        stored = await tokens.store.read(
            lambda unit: unit.accounts.secret_hash(tokens.instance, account)
        )
        is_right = hmac.compare_digest(stored or _NO_SECRET, hash_secret(client_secret))
        if stored is None or not is_right:
            raise GrantError("invalid_client", "client id or client secret is wrong")
        return TokenGrant(account, await tokens.issue(account, issuer))

    async def assertion(self, assertion: str, issuer: str) -> TokenGrant:
        """Return an access token for the account whose key signed `assertion`."""
        tokens = self.access_tokens
        try:
            header = tokens.jwts.header(assertion)
        except ValueError:
            raise GrantError("invalid_grant", "the assertion is not a JWT") from None
        key_id = AccountKeyId(str(header.get("kid")))
        account_key = await tokens.store.read(
            lambda unit: unit.accounts.get_key(tokens.instance, key_id)
        )
        now = tokens.runtime.now()
        if account_key is None or not account_key.is_valid(now):
            raise _unverified()
        try:
            claims = tokens.jwts.verified_assertion(assertion, account_key.public_key)
        except ValueError:
            raise _unverified() from None
        try:
            check_assertion(claims, account_key.account_id, issuer, now)
        except ValueError as problem:
            raise GrantError("invalid_grant", str(problem)) from None
        return TokenGrant(
            account_key.account_id, await tokens.issue(account_key.account_id, issuer)
        )


def _unverified() -> GrantError:
    # The same for an unknown key, an expired one and another's signature: no caller learns which.
    return GrantError("invalid_grant", "no valid key of an account verifies the assertion")
