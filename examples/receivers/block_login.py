"""Block logins by metadata. The target's type: call, and it interrupts on errors."""

from outrider_receiver import PreUserinfo, Receiver, Refusal, refuse

receiver = Receiver()


@receiver.function("preuserinfo")
def check(call: PreUserinfo) -> Refusal | None:
    """Values of metadata are bytes: the payload has them in Base64."""
    metadata = {entry.name: entry.value for entry in call.user_metadata}
    if metadata.get("blocked") == b"true":
        return refuse(403, "this account is blocked: call +00 555 0100")
    return None
