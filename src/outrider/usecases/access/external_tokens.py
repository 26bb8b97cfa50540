"""Tokens of outside issuers: recognized when they are shown, for as long as they say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from outrider.domain.access.external_issuer import OutsideIssuer
from outrider.domain.access.external_token import (
    check_outside_claims,
    check_type,
    expiry,
    granted_roles,
    outside_account,
)
from outrider.domain.ids import InstanceId, TokenId
from outrider.errors import Unavailable
from outrider.runtime import Ambient
from outrider.usecases.access.external_keys import IssuerKeys, PublishedBy
from outrider.usecases.ports.external_tokens import Fetcher, OutsideJwt, ReadsJwts, UnknownKey
from outrider.usecases.ports.store import Token

Report = Callable[[str, str], None]
"""Told the issuer, and why its keys could not be fetched."""


@dataclass(frozen=True, slots=True)
class OutsideTokens:
    """Tokens of the issuers that the operator trusts. Nothing about them is stored.

    Issuers that name no instance are those of `instance`.
    """

    issuers: Sequence[OutsideIssuer]
    instance: InstanceId
    ambient: Ambient
    jwts: ReadsJwts
    fetcher: Fetcher = field(repr=False)
    report: Report = field(repr=False)
    _keys: dict[tuple[str, str], IssuerKeys] = field(default_factory=dict, repr=False)

    def recognizes(self, compact: str) -> bool:
        """Whether a JWT says that it is from one of the issuers; it may be lying."""
        named = self.jwts.unverified_issuer(compact)
        return any(each.issuer == named for each in self.issuers)

    async def find(self, compact: str, instance: InstanceId) -> Token | None:
        """The token with the roles that its claims are mapped to; None for what does not count.

        Raise `Unavailable` when the issuer's keys are not known and cannot be fetched now.
        """
        named = self.jwts.unverified_issuer(compact)
        issuer = next((each for each in self.issuers if self._is_for(each, named, instance)), None)
        if issuer is None:
            return None
        try:
            jwt = await self._verified(compact, issuer)
            now = self.ambient.now()
            check_type(jwt.header)
            check_outside_claims(jwt.claims, issuer, now)
            return _token(issuer, jwt, instance, now)
        except ValueError:
            return None

    async def aclose(self) -> None:
        """Fetch no more."""
        await asyncio.gather(*(each.aclose() for each in self._keys.values()))

    def _is_for(self, issuer: OutsideIssuer, named: str | None, instance: InstanceId) -> bool:
        return issuer.issuer == named and (issuer.instance or self.instance) == instance

    async def _verified(self, compact: str, issuer: OutsideIssuer) -> OutsideJwt:
        keys = self._keys_of(issuer)
        known = await keys.current()
        if known is None:
            raise Unavailable("the keys of the token's issuer cannot be fetched")
        try:
            return known.verified(compact, issuer.algorithms)
        except UnknownKey:
            newer = await keys.newer(known)
            if newer is None:
                raise
            return newer.verified(compact, issuer.algorithms)

    def _keys_of(self, issuer: OutsideIssuer) -> IssuerKeys:
        place = issuer.issuer, issuer.jwks_url
        if place not in self._keys:
            fetch = PublishedBy(issuer, self.fetcher, self.jwts)
            failed = partial(self.report, issuer.issuer)
            self._keys[place] = IssuerKeys(fetch, self.ambient.now, failed)
        return self._keys[place]


def _token(issuer: OutsideIssuer, jwt: OutsideJwt, instance: InstanceId, now: datetime) -> Token:
    account = outside_account(issuer, jwt.claims)
    return Token(
        id=TokenId(""),
        instance_id=instance,
        account_id=account,
        account_name=str(account),
        roles=granted_roles(issuer, jwt.claims),
        created_at=now,
        expires_at=expiry(jwt.claims),
    )
