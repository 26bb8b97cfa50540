"""Attributes for a service provider that wants other names. The target's type: call."""

from outrider_receiver import Answer, Attribute, PreSamlResponse, Receiver

receiver = Receiver()

BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"


@receiver.function("presamlresponse")
def attributes(call: PreSamlResponse) -> Answer:
    """Attributes are added, also to one of the same name."""
    roles = sorted({role for grant in call.user_grants for role in grant.roles})
    email = call.user.human.email if call.user.human else ""
    found = [Attribute("role", tuple(roles), BASIC)]
    if email:
        found.append(Attribute("mail", (email,), BASIC))
    return Answer(attributes=found)
