"""Complete what an identity provider says of a new user. The target's type: call."""

from typing import Any

from outrider_receiver import Receiver, Response, replace

receiver = Receiver()


@receiver.response("/zitadel.user.v2.UserService/RetrieveIdentityProviderIntent")
def complete(call: Response) -> dict[str, Any] | None:
    """The login creates the user of `addHumanUser`; who is known already has none."""
    user = call.response.get("addHumanUser")
    if user is None:
        return None
    raw = call.response.get("idpInformation", {}).get("rawInformation", {})
    profile = replace(
        user.get("profile", {}),
        givenName=raw.get("first_name", "-"),
        familyName=raw.get("last_name", "-"),
    )
    return replace(call.response, addHumanUser=replace(user, profile=profile))
