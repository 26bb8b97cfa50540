"""Actors, their roles, and the permissions of each role."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from outrider.domain.ids import AccountId, InstanceId
from outrider.errors import NotFound, PermissionDenied

AUTHENTICATED = "authenticated"
"""The permission of calls that need a valid token and nothing more."""


class Role(StrEnum):
    """What a service account may be."""

    IAM_OWNER = "IAM_OWNER"
    IAM_OWNER_VIEWER = "IAM_OWNER_VIEWER"
    EVENT_PUBLISHER = "EVENT_PUBLISHER"
    ORG_OWNER = "ORG_OWNER"
    SYSTEM_OWNER = "SYSTEM_OWNER"
    """Makes and deletes instances. The admin token alone has it; no account can get it."""


ASSIGNABLE_ROLES = tuple(role for role in Role if role is not Role.SYSTEM_OWNER)
"""What an account, or the subject of an external issuer's token, may be."""


_READS = frozenset(
    {"action.target.read", "action.execution.read", "iam.web_key.read", "delivery.read"}
)
_PUBLISHES = frozenset({"event.write", "interception.call", "catalogue.write"})
_WRITES = frozenset(
    {
        "action.target.write",
        "action.target.delete",
        "action.execution.write",
        "iam.web_key.write",
        "iam.web_key.delete",
        "delivery.write",
        "iam.user.write",
    }
)

GRANTS: dict[Role, frozenset[str]] = {
    Role.IAM_OWNER: _READS | _PUBLISHES | _WRITES,
    Role.IAM_OWNER_VIEWER: _READS,
    Role.EVENT_PUBLISHER: _PUBLISHES,
    Role.ORG_OWNER: frozenset(),
    Role.SYSTEM_OWNER: frozenset({"system.instance.read", "system.instance.write"}),
}
ALL_PERMISSIONS = frozenset().union(*GRANTS.values())


@dataclass(frozen=True, slots=True)
class Actor:
    """The account that makes a call, inside one instance."""

    instance_id: InstanceId
    account_id: AccountId
    roles: frozenset[Role]

    def may(self, permission: str) -> bool:
        """Whether one of the roles grants it."""
        return permission == AUTHENTICATED or any(permission in GRANTS[role] for role in self.roles)


def require(actor: Actor, permission: str) -> None:
    """Raise ZITADEL's error unless the actor has the permission."""
    if actor.may(permission):
        return
    granting = ", ".join(role for role in Role if permission in GRANTS[role])
    if not actor.roles:
        raise NotFound(
            "membership not found",
            "AUTHZ-cdgFk",
            reason=f"the account {actor.account_id} has no role",
            hint=f"use an account that has one of the roles {granting}",
        )
    raise permission_denied(
        f"none of the roles {', '.join(sorted(actor.roles))} has the permission {permission}",
        f"use an account that has one of the roles {granting}",
    )


def permission_denied(reason: str, hint: str) -> PermissionDenied:
    """ZITADEL's error for a known caller who may not."""
    return PermissionDenied("No matching permissions found", "AUTH-5mWD2", reason=reason, hint=hint)
