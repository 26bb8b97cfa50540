"""Write to the user's metadata when a token is made. The target's type: call."""

from outrider_receiver import Answer, PreUserinfo, Receiver

receiver = Receiver()


@receiver.function("preuserinfo")
def remember(call: PreUserinfo) -> Answer:
    """Text and bytes are sent in Base64, as ZITADEL wants them."""
    seen = {entry.name for entry in call.user_metadata}
    first = {} if "first_client" in seen else {"first_client": call.application.client_id}
    return Answer(metadata={"last_client": call.application.client_id, **first})
