"""Opaque bearer tokens of service accounts: made, listed, revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.access.permission import ASSIGNABLE_ROLES, Actor, Role
from outrider.domain.access.service_account import hash_secret
from outrider.domain.ids import AccountId, TokenId, shown_id
from outrider.errors import InvalidRequest, NotFound
from outrider.runtime import Runtime
from outrider.usecases.access.authenticate import Authenticate
from outrider.usecases.ports.access import Token
from outrider.usecases.ports.store import Store, Unit


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
                raise NotFound(
                    "Token not found",
                    "OUTRIDER-token",
                    reason=f"there is no token {shown_id(token_id)} in this instance",
                    hint="give an id that `outrider token list` shows, not the token itself",
                )
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
    unknown = next(role for role in roles if role not in ASSIGNABLE_ROLES)
    raise InvalidRequest(
        f"invalid {request}.Roles: value must be one of {known}",
        reason=f"there is no role {unknown!r}"
        if unknown not in set(Role)
        else f"no account can have the role {unknown}",
        hint="spell it as it is listed, in capital letters",
    )
