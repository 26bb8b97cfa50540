"""Tokens of external issuers: recognized when a caller sends them, valid as long as they claim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from outrider.domain.access.external_issuer import ExternalIssuer
from outrider.domain.access.external_token import (
    check_external_claims,
    check_type,
    expiry,
    external_account,
    granted_roles,
)
from outrider.domain.ids import InstanceId, TokenId
from outrider.errors import Unavailable
from outrider.runtime import Runtime
from outrider.usecases.ports.access import Token
from outrider.usecases.ports.external_tokens import ExternalJwt, IssuerKeys, JwtParser, UnknownKey


@dataclass(frozen=True, slots=True)
class ExternalTokens:
    """Tokens of the issuers that the operator trusts. Nothing about them is stored.

    Issuers that name no instance are those of `instance`.
    """

    issuers: Sequence[ExternalIssuer]
    instance: InstanceId
    runtime: Runtime
    jwts: JwtParser
    keys_of: Callable[[ExternalIssuer], IssuerKeys] = field(repr=False)

    def recognizes(self, compact: str) -> bool:
        """Return whether a JWT claims to be from one of the issuers; nothing is verified."""
        named = self.jwts.unverified_issuer(compact)
        return any(issuer.issuer == named for issuer in self.issuers)

    async def find(self, compact: str, instance: InstanceId) -> Token | None:
        """The token with the roles that its claims are mapped to; None for what does not count.

        Raise `Unavailable` when the issuer's keys are not known and cannot be fetched now.
        """
        named = self.jwts.unverified_issuer(compact)
        issuer = next(
            (issuer for issuer in self.issuers if self._is_for(issuer, named, instance)), None
        )
        if issuer is None:
            return None
        try:
            jwt = await self._verified(compact, issuer)
            now = self.runtime.now()
            check_type(jwt.header)
            check_external_claims(jwt.claims, issuer, now)
            return _token(issuer, jwt, instance, now)
        except ValueError:
            return None

    def _is_for(self, issuer: ExternalIssuer, named: str | None, instance: InstanceId) -> bool:
        return issuer.issuer == named and (issuer.instance or self.instance) == instance

    async def _verified(self, compact: str, issuer: ExternalIssuer) -> ExternalJwt:
        cache = self.keys_of(issuer)
        keys = await cache.current()
        if keys is None:
            raise Unavailable(
                "the keys of the token's issuer cannot be fetched",
                hint="call again; the server's log says why",
            )
        try:
            return keys.verified(compact, issuer.algorithms)
        except UnknownKey:
            newer = await cache.newer(keys)
            if newer is None:
                raise
            return newer.verified(compact, issuer.algorithms)


def _token(issuer: ExternalIssuer, jwt: ExternalJwt, instance: InstanceId, now: datetime) -> Token:
    account = external_account(issuer, jwt.claims)
    return Token(
        id=TokenId(""),
        instance_id=instance,
        account_id=account,
        account_name=str(account),
        roles=granted_roles(issuer, jwt.claims),
        created_at=now,
        expires_at=expiry(jwt.claims),
    )
