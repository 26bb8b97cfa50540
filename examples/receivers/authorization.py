"""Permissions by project: roles become permissions in the token. The target's type: call."""

from outrider_receiver import Answer, PreAccessToken, Receiver

receiver = Receiver()

PERMISSIONS = {
    "reader": {"order.read"},
    "clerk": {"order.read", "order.write"},
}


@receiver.function("preaccesstoken")
def permissions(call: PreAccessToken) -> Answer | None:
    """Grants of the user's own organization count, not those that others gave it."""
    found = {
        grant.project_id: sorted(set().union(*(PERMISSIONS.get(role, ()) for role in grant.roles)))
        for grant in call.user_grants
        if grant.resource_owner == call.org.id
    }
    return Answer(claims={"permissions": found}) if found else None
