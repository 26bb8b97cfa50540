"""Authenticate a caller: host name to instance, `Authorization` header to account."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outrider.domain.access.permission import Actor, Role
from outrider.domain.access.service_account import hash_secret
from outrider.domain.ids import AccountId, InstanceId
from outrider.errors import Unauthenticated
from outrider.runtime import Runtime
from outrider.usecases.access.access_tokens import AccessTokens, looks_like_jwt
from outrider.usecases.access.external_tokens import ExternalTokens
from outrider.usecases.ports.access import Token
from outrider.usecases.ports.store import Store
from outrider.usecases.routing.routing_table import Routing

_SCHEME = "Bearer "
_TO_SEND = "send `Authorization: Bearer TOKEN`"
# A token is looked up again after this long: so long may a revoked one go on working on a node
# that did not revoke it.
_CACHED_FOR = timedelta(seconds=1)
_MAX_CACHED = 10_000
BOOTSTRAP_ACCOUNT = AccountId("admin")
_BOOTSTRAP_ROLES = frozenset({Role.IAM_OWNER, Role.SYSTEM_OWNER})


@dataclass(frozen=True, slots=True)
class InstanceResolver:
    """Finds the instance of a host name. Every unknown name leads to the default instance."""

    routing: Routing
    default: InstanceId

    def __call__(self, host: str) -> InstanceId:
        """Return the instance of the header `Host`, or `:authority`; "" when there is none."""
        return self.routing.instance_at(host) or self.default


@dataclass(slots=True)
class Authenticate:
    """Find out which account calls, and in which instance.

    `resolve_instance` is an `InstanceResolver`.
    """

    store: Store
    runtime: Runtime
    resolve_instance: Callable[[str], InstanceId]
    bootstrap_secret: str | None = field(default=None, repr=False)
    access_tokens: AccessTokens | None = None
    external_tokens: ExternalTokens | None = None
    _cache: dict[tuple[InstanceId, bytes], tuple[datetime, Token]] = field(
        default_factory=dict, repr=False
    )
    _cache_generation: int = 0

    async def __call__(self, host: str, authorization: str | None) -> Actor:
        """Return the actor. Raise `Unauthenticated` for a header that is absent, odd or unknown.

        `host` is the host name that the call came to, with its port if any; "" when there is none.
        Another instance's token is unknown; the bootstrap secret is known in every instance.
        """
        if authorization is None:
            raise Unauthenticated(
                "auth header missing",
                reason="the call has no header Authorization",
                hint=_TO_SEND,
            )
        if not authorization.startswith(_SCHEME):
            raise Unauthenticated(
                "invalid auth header",
                "AUTH-toLo1",
                reason=f"the header Authorization does not begin with {_SCHEME.strip()!r} and a space",
                hint=_TO_SEND,
            )
        secret, instance = authorization.removeprefix(_SCHEME), self.resolve_instance(host)
        if self.bootstrap_secret and hmac.compare_digest(
            hash_secret(secret), hash_secret(self.bootstrap_secret)
        ):
            return Actor(instance, BOOTSTRAP_ACCOUNT, _BOOTSTRAP_ROLES)
        token = await self._token(secret, instance)
        return Actor(token.instance_id, token.account_id, token.roles)

    def forget(self) -> None:
        """Look every token up again: one was revoked here, or has other roles."""
        self._cache_generation += 1
        self._cache.clear()

    async def _token(self, secret: str, instance: InstanceId) -> Token:
        now, secret_hash = self.runtime.now(), hash_secret(secret)
        cached = self._cache.get((instance, secret_hash))
        if cached is None or not now - _CACHED_FOR <= cached[0] <= now:
            generation = self._cache_generation
            found = await self._look_up(secret, secret_hash, instance)
            if found is None or found.instance_id != instance:
                raise _invalid_token()
            cached = (now, found)
            # What was read before a revocation is not cached after it.
            if generation == self._cache_generation:
                self._add_to_cache((instance, secret_hash), cached)
        token = cached[1]
        if token.revoked_at is not None or (
            token.expires_at is not None and token.expires_at <= now
        ):
            raise _invalid_token()
        return token

    async def _look_up(self, secret: str, secret_hash: bytes, instance: InstanceId) -> Token | None:
        is_jwt, external = looks_like_jwt(secret), self.external_tokens
        if is_jwt and external is not None and external.recognizes(secret):
            return await external.find(secret, instance)
        if is_jwt and self.access_tokens is not None:
            return await self.access_tokens.of(instance).find(secret)
        return await self.store.read(lambda unit: unit.tokens.by_hash(secret_hash))

    def _add_to_cache(
        self, instance_and_hash: tuple[InstanceId, bytes], found: tuple[datetime, Token]
    ) -> None:
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[instance_and_hash] = found


def _invalid_token() -> Unauthenticated:
    return Unauthenticated(
        "Errors.Token.Invalid",
        "AUTH-7fs1e",
        reason="the token is unknown in the instance of this host name, was revoked or has expired",
        hint="make one with `outrider token create`, and call the host name of its instance",
    )
