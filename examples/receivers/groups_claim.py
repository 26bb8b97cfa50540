"""One flat claim with every role, as many applications want it. The target's type: call."""

from outrider_receiver import Answer, PreAccessToken, PreUserinfo, Receiver

receiver = Receiver()


@receiver.function("preuserinfo", "preaccesstoken")
def groups(call: PreUserinfo | PreAccessToken) -> Answer:
    """Roles of several projects may have the same name: each is named once."""
    roles = {role for grant in call.user_grants for role in grant.roles}
    return Answer(claims={"groups": sorted(roles)})
