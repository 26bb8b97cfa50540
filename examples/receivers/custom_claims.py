"""Add your own claims to userinfo, id tokens and access tokens. The target's type: call."""

from outrider_receiver import Answer, PreAccessToken, PreUserinfo, Receiver

receiver = Receiver()

PLANS = {"acme.example": "enterprise"}


@receiver.function("preuserinfo", "preaccesstoken")
def add_claims(call: PreUserinfo | PreAccessToken) -> Answer:
    """A claim that exists already is not changed: choose your own names."""
    plan = PLANS.get(call.org.primary_domain, "free")
    return Answer(claims={"plan": plan, "org_id": call.org.id}, log=[f"plan is {plan}"])
