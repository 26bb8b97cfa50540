"""Bearer tokens of service accounts: who is asking, and who may."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outrider.domain.access.permission import ASSIGNABLE_ROLES, Actor, Role
from outrider.domain.ids import AccountId, InstanceId, TokenId
from outrider.errors import InvalidRequest, NotFound, Unauthenticated
from outrider.runtime import Runtime
from outrider.usecases.access.access_tokens import AccessTokens, looks_like_jwt
from outrider.usecases.access.external_tokens import ExternalTokens
from outrider.usecases.ports.access import Token
from outrider.usecases.ports.store import Store, Unit

_SCHEME = "Bearer "
# A token is looked up again after this long: so long may a revoked one go on working on a node
# that did not revoke it.
_REMEMBERED_FOR = timedelta(seconds=1)
_MAX_REMEMBERED = 10_000
BOOTSTRAP_ACCOUNT = AccountId("admin")
_BOOTSTRAP_ROLES = frozenset({Role.IAM_OWNER, Role.SYSTEM_OWNER})


def hash_secret(secret: str) -> bytes:
    """What is stored of a token: SHA-256, enough for 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


@dataclass(slots=True)
class Authenticate:
    """Find out who is asking from the `Authorization` header (sheet, section 6).

    `instance` is where those ask who name no other.
    """

    store: Store
    runtime: Runtime
    instance: InstanceId
    bootstrap_secret: str | None = field(default=None, repr=False)
    access_tokens: AccessTokens | None = None
    external_tokens: ExternalTokens | None = None
    _remembered: dict[tuple[InstanceId, bytes], tuple[datetime, Token]] = field(
        default_factory=dict, repr=False
    )
    _forgotten: int = 0

    async def __call__(
        self, authorization: str | None, instance: InstanceId | None = None
    ) -> Actor:
        """Return the actor. Raise `Unauthenticated` for a header that is absent, odd or unknown.

        Another instance's token is unknown; the bootstrap secret is known in every instance.
        """
        if authorization is None:
            raise Unauthenticated("auth header missing")
        if not authorization.startswith(_SCHEME):
            raise Unauthenticated("invalid auth header", "AUTH-toLo1")
        secret = authorization.removeprefix(_SCHEME)
        if self.bootstrap_secret and hmac.compare_digest(
            hash_secret(secret), hash_secret(self.bootstrap_secret)
        ):
            return Actor(instance or self.instance, BOOTSTRAP_ACCOUNT, _BOOTSTRAP_ROLES)
        token = await self._token(secret, instance or self.instance)
        return Actor(token.instance_id, token.account_id, token.roles)

    def forget(self) -> None:
        """Look every token up again: one was revoked here, or has other roles."""
        self._forgotten += 1
        self._remembered.clear()

    async def _token(self, secret: str, instance: InstanceId) -> Token:
        now, secret_hash = self.runtime.now(), hash_secret(secret)
        remembered = self._remembered.get((instance, secret_hash))
        if remembered is None or not now - _REMEMBERED_FOR <= remembered[0] <= now:
            forgotten = self._forgotten
            found = await self._look_up(secret, secret_hash, instance)
            if found is None or found.instance_id != instance:
                raise _invalid_token()
            remembered = (now, found)
            # What was read before a revocation is not remembered after it.
            if forgotten == self._forgotten:
                self._remember((instance, secret_hash), remembered)
        token = remembered[1]
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

    def _remember(self, place: tuple[InstanceId, bytes], found: tuple[datetime, Token]) -> None:
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[place] = found


@dataclass(frozen=True, slots=True)
class ManageTokens:
    """Make, list and revoke tokens."""

    store: Store
    runtime: Runtime
    authenticate: Authenticate

    async def create(
        self, actor: Actor, account_name: str, roles: Sequence[str], expires_at: datetime | None
    ) -> tuple[Token, str]:
        """Return the token and its secret, which is shown this once. The account is made when new."""
        checked = checked_roles(roles, "CreateTokenRequest")
        now = self.runtime.now()
        if expires_at is not None and expires_at <= now:
            raise InvalidRequest(
                "invalid CreateTokenRequest.ExpirationDate: value must be in the future"
            )
        secret = self.runtime.new_token()
        new_id = self.runtime.new_id

        def add(unit: Unit) -> Token:
            account = unit.tokens.account_id(actor.instance_id, account_name)
            token = Token(
                id=TokenId(str(new_id())),
                instance_id=actor.instance_id,
                account_id=account or AccountId(str(new_id())),
                account_name=account_name,
                roles=checked,
                created_at=now,
                expires_at=expires_at,
            )
            unit.tokens.add(token, hash_secret(secret))
            return token

        token = await self.store.write(add)
        self.authenticate.forget()  # other tokens of the account have its new roles
        return token, secret

    async def list(self, actor: Actor) -> Sequence[Token]:
        """Tokens that are not revoked, oldest first."""
        return await self.store.read(lambda unit: unit.tokens.list(actor.instance_id))

    async def revoke(self, actor: Actor, token_id: TokenId) -> datetime:
        """Return when it was revoked, now or before. Raise `NotFound` for another instance's."""
        now = self.runtime.now()

        def apply(unit: Unit) -> datetime:
            token = unit.tokens.get(actor.instance_id, token_id)
            if token is None:
                raise NotFound("Token not found", "OUTRIDER-token")
            if token.revoked_at is None:
                unit.tokens.revoke(actor.instance_id, token_id, now)
            return token.revoked_at or now

        revoked_at = await self.store.write(apply)
        self.authenticate.forget()
        return revoked_at


def checked_roles(roles: Sequence[str], request: str) -> frozenset[Role]:
    """Return the roles of these names. Raise `InvalidRequest` about a field of `request`."""
    if set(ASSIGNABLE_ROLES).issuperset(roles):
        return frozenset(map(Role, roles))
    known = ", ".join(ASSIGNABLE_ROLES)
    raise InvalidRequest(f"invalid {request}.Roles: value must be one of {known}")


def _invalid_token() -> Unauthenticated:
    return Unauthenticated("Errors.Token.Invalid", "AUTH-7fs1e")
