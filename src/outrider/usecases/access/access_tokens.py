"""Access tokens: issued for an account, recognized when a caller sends them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from outrider.domain.access.access_token import TYP, access_claims, check_access_claims, moment
from outrider.domain.access.service_account import ServiceAccount
from outrider.domain.access.web_key import WebKey, WebKeyState
from outrider.domain.ids import AccountId, InstanceId, TokenId, WebKeyId
from outrider.runtime import Runtime
from outrider.usecases.access.web_keys import UseWebKeys
from outrider.usecases.ports.access import Jwts, Token
from outrider.usecases.ports.store import Store, Unit

_MAX_CHARS = 8192


def looks_like_jwt(secret: str) -> bool:
    """Return whether a bearer token has the form of a JWT; outrider's opaque tokens never have."""
    return secret.count(".") == 2 and secret.isascii() and len(secret) <= _MAX_CHARS  # noqa: PLR2004 - RFC 7515, section 3.1


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """JWTs that the active web key signs, and any key verifies that is not removed.

    `external_url` is the one issuer of the default instance, which `instance` is here; without it
    the instance has as many as it has names.
    """

    store: Store
    runtime: Runtime
    instance: InstanceId
    jwts: Jwts
    external_url: str = ""

    def of(self, instance: InstanceId) -> Self:
        """The same for this instance. Another than the default has an issuer for each host name."""
        if instance == self.instance:
            return self
        return replace(self, instance=instance, external_url="")

    async def issue(self, account: AccountId, issuer: str) -> str:
        """Return a new token."""
        web_key = await UseWebKeys(self.store).signing_key(self.instance)
        token_id, now = str(self.runtime.new_id()), self.runtime.now()
        claims = access_claims(account, self.instance, issuer, token_id, now)
        return await self.jwts.sign(claims, web_key, TYP)

    async def find(self, compact: str) -> Token | None:
        """The token with its account's roles, expired as it may be; None for what is not ours."""
        try:
            header = self.jwts.header(compact)
            if header.get("typ") != TYP:
                return None
            web_key_id = WebKeyId(str(header.get("kid")))
            web_key = await self.store.read(lambda unit: self._web_key(unit, web_key_id))
            if web_key is None:
                return None
            claims = self.jwts.verified(compact, web_key)
            check_access_claims(claims, self.instance, self.external_url)
        except ValueError:
            return None
        account_id = AccountId(claims["sub"])
        account = await self.store.read(lambda unit: unit.accounts.get(self.instance, account_id))
        if account is None:
            return None
        dates = moment(claims, "iat"), moment(claims, "exp")
        return self._token(account, TokenId(claims["jti"]), *dates)

    def _web_key(self, unit: Unit, web_key_id: WebKeyId) -> WebKey | None:
        found = unit.web_keys.get(self.instance, web_key_id)
        return None if found is None or found.state is WebKeyState.REMOVED else found

    def _token(
        self, account: ServiceAccount, token_id: TokenId, issued_at: float, expires_at: float
    ) -> Token:
        return Token(
            id=token_id,
            instance_id=self.instance,
            account_id=account.id,
            account_name=account.name,
            roles=account.roles,
            created_at=datetime.fromtimestamp(issued_at, UTC),
            expires_at=datetime.fromtimestamp(expires_at, UTC),
        )
