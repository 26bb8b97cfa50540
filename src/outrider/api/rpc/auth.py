"""Who calls, as the interceptors ask it."""

from __future__ import annotations

from dataclasses import dataclass

from outrider.domain.access.permission import Actor, require
from outrider.usecases.access.instances import InstanceResolver
from outrider.usecases.access.tokens import Authenticate


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """Bearer tokens of service accounts."""

    check: Authenticate
    choose: InstanceResolver

    async def authenticate(self, authorization: str | None, authority: str) -> Actor:
        """See `Authenticate`; in the instance of this host name."""
        return await self.check(authorization, self.choose(authority))

    def require(self, actor: Actor, permission: str) -> None:
        """See `domain.permission.require`."""
        require(actor, permission)
