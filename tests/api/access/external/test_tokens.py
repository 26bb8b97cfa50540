"""Tokens of an external issuer: which are accepted, which roles they have, and every bad kind."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from joserfc import jws
from joserfc.jwk import OctKey

from api.access.external.issuer import private_key, published, signed
from api.access.external.trust import NOBODY_THERE, Trust
from api.endpoints.oauth.issuer import encoded
from api.wires import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED = ("unauthenticated", "AUTH-7fs1e")
OK = ("ok", "")
Make = Callable[[Trust], str]


def saying(**changes: object) -> Make:
    """Signed by the issuer, with other claims."""
    return lambda trust: trust.token(**changes)


def later(seconds: float, *names: str) -> Make:
    """Signed by the issuer, with dates so long after now."""
    return lambda trust: trust.token(**dict.fromkeys(names, trust.now + seconds))


def with_header(**changes: object) -> Make:
    """Signed by the issuer, with another header."""
    return lambda trust: trust.token(header=changes)


def by(name: str, alg: str, **header: object) -> Make:
    """Signed with this key, as its header claims."""
    return lambda trust: trust.token(name, alg, header)


def unsigned(alg: str) -> Make:
    """Unsigned, with `alg` none."""

    def make(trust: Trust) -> str:
        header = encoded({"alg": alg, "kid": "rsa", "typ": "at+jwt"})
        return f"{header}.{encoded(trust.issuer.claims(trust.now))}."

    return make


def hs256(trust: Trust) -> str:
    """The published key as if it were a shared secret: the classic confusion."""
    pem = private_key("rsa").as_pem(private=False)
    shared = OctKey.import_key(base64.urlsafe_b64encode(pem).decode())
    payload = json.dumps(trust.issuer.claims(trust.now))
    return jws.serialize_compact({"alg": "HS256", "kid": "rsa"}, payload, shared, ["HS256"])


def hs256_with_a_published_secret(trust: Trust) -> str:
    member = next(jwk for jwk in trust.issuer.keys if "k" in jwk)
    shared, payload = OctKey.import_key(member), json.dumps(trust.issuer.claims(trust.now))
    return jws.serialize_compact({"alg": "HS256", "kid": "shared"}, payload, shared, ["HS256"])


def tampered(trust: Trust) -> str:
    head, _, signature = trust.token().split(".")
    return f"{head}.{encoded(trust.issuer.claims(trust.now, sub='eve'))}.{signature}"


def of_the_other_issuer(trust: Trust) -> str:
    """Right in everything but the name in it."""
    claims = trust.issuer.claims(trust.now)
    return signed(claims, "unpublished", {"alg": "ES256", "kid": "unpublished"})


def bytes_of(payload: bytes) -> Make:
    """Signed, whatever it is."""
    return lambda _: signed(payload, "rsa", {"alg": "RS256", "kid": "rsa"})


BRINGS_ITS_KEY = {"kid": "unpublished", "jwk": published("unpublished")}
BAD: dict[str, Make] = {
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "no alg": lambda trust: f"{encoded({'kid': 'rsa'})}.{trust.token().partition('.')[2]}",
    "no signature": lambda trust: trust.token().rpartition(".")[0] + ".",
    "HS256 with the RSA key": hs256,
    "HS256 with a secret in the set": hs256_with_a_published_secret,
    "tampered": tampered,
    "another issuer's signature": of_the_other_issuer,
    "another issuer": saying(iss="https://elsewhere.example"),
    "no issuer": saying(iss=None),
    "another audience": saying(aud="another"),
    "no audience": saying(aud=None),
    "expired": later(-31, "exp"),
    "without an end": saying(exp=None),
    "valid later": later(40, "nbf"),
    "issued later": later(40, "iat"),
    "no subject": saying(sub=None),
    "a subject without end": saying(sub="a" * 256),
    "bound to a key": saying(cnf={"jkt": "x"}),
    "about an event": saying(events={}),
    "an unknown key": by("unpublished", "ES256"),
    "the name of another key": by("rsa of another", "RS256", kid="rsa"),
    "a name that is none": with_header(kid=["rsa"]),
    "another key, unnamed": by("unpublished", "ES256", kid=None),
    "another curve": by("P-384", "ES384", kid="P-256"),
    "another curve's algorithm": by("P-256", "ES384", kid="P-256"),
    "a key for encryption": by("new", "ES256", kid="for encryption"),
    "a key for signing only": by("new", "ES256", kid="for signing"),
    "a key for another algorithm": by("rsa of another", "RS256", kid="for RS512"),
    "an RSA key that is too small": by("rsa too small", "RS256"),
    "brings its key": by("unpublished", "ES256", **BRINGS_ITS_KEY),
    "brings its key's address": by("unpublished", "ES256", jku="http://127.0.0.1:1/keys"),
    "brings a certificate": by("unpublished", "ES256", x5c=["MII="]),
    "critical": with_header(crit=["exp"], exp=1),
    "critical, and known": with_header(crit=["kid"]),
    "critical, and nothing": with_header(crit=[]),
    "not in base64": with_header(b64=False),
    "in base64, and proud of it": with_header(b64=True),
    "for log-out": with_header(typ="logout+jwt"),
    "a list": bytes_of(b"[]"),
    "no JSON": bytes_of(b"\xff"),
    "a dot more": lambda trust: trust.token() + ".",
    "a part more": lambda trust: trust.token() + "." + trust.token(),
    "longer than 8 KiB": saying(padding="a" * 6200),
}
BOTH = pytest.mark.parametrize("wire", [Wire.CONNECT_JSON, Wire.GRPC])


@BOTH
@pytest.mark.parametrize("name", BAD)
async def test_a_bad_token_is_refused(trust: Trust, name: str, wire: Wire):
    """
    With the error of every unknown token.
    """
    assert REFUSED == await trust.answer(BAD[name](trust), wire)


GOOD: dict[str, Make] = {
    "RS256": by("rsa", "RS256"),
    "RS512": by("rsa", "RS512"),
    "PS256": by("rsa", "PS256"),
    "PS512": by("rsa", "PS512"),
    "ES256": by("P-256", "ES256"),
    "ES384": by("P-384", "ES384"),
    "ES512": by("P-521", "ES512"),
    "EdDSA": by("Ed25519", "EdDSA"),
    "a key for this algorithm": by("rsa of another", "RS512", kid="for RS512"),
    "any JWT": with_header(typ="JWT"),
    "no type": with_header(typ=None),
    "no key's name": with_header(kid=None),
    "a header that nobody knows": with_header(x_own="1", jku="http://127.0.0.1:1/keys"),
    "a long header": with_header(x5c=["a" * 2000]),
    "several audiences": saying(aud=["another", "outrider"]),
    "a clock that is ahead": later(20, "iat", "nbf"),
    "a clock that is behind": later(-20, "exp"),
    "nearly 8 KiB": saying(padding="a" * 5600),
}


@BOTH
@pytest.mark.parametrize("name", GOOD)
async def test_a_good_token_is_accepted(trust: Trust, name: str, wire: Wire):
    """
    Or everything above could be refused for another reason.
    """
    assert OK == await trust.answer(GOOD[name](trust), wire)


DENIED = ("permission_denied", "AUTH-5mWD2")
STRANGER = ("not_found", "AUTHZ-cdgFk")


@BOTH
@pytest.mark.parametrize(
    ("roles", "listed", "published_event"),
    [
        (["admin"], OK, OK),
        (["reader"], OK, DENIED),
        ("shop", DENIED, OK),
        (["reader", "shop", "unheard of"], OK, OK),
        ({"reader": {"9": "acme.example"}, "admin": {}}, OK, DENIED),
        ([], STRANGER, STRANGER),
        (["IAM_OWNER"], STRANGER, STRANGER),
        (None, STRANGER, STRANGER),
    ],
)
async def test_roles_are_those_that_the_claim_is_mapped_to(
    trust: Trust, wire: Wire, roles: object, listed: object, published_event: object
):
    """
    The issuer's names for them mean nothing here until the operator says what.
    """
    token, event = trust.token(roles=roles), {"eventType": "user.human.added"}

    assert listed == await trust.answer(token, wire)
    assert published_event == await trust.answer(token, wire, "PublishEvents", {"events": [event]})


async def test_every_token_of_an_issuer_has_its_default_roles(trust: Trust):
    """
    And what one issuer may grant, another may not.
    """
    claims = trust.other.claims(trust.now, roles=["admin"])
    token = signed(claims, "unpublished", {"alg": "ES256", "kid": "unpublished"})
    target = {"name": "a", "endpoint": "http://127.0.0.1:1", "restWebhook": {}, "timeout": "1s"}

    assert OK == await trust.answer(token)
    assert DENIED == await trust.answer(token, rpc="CreateTarget", request=target)


@BOTH
async def test_a_token_whose_issuer_is_down_is_not_called_wrong(trust: Trust, wire: Wire):
    """
    A client that is told "invalid" throws a good token away; this one tries again.
    """
    assert ("unavailable", "") == await trust.answer(trust.token(iss=NOBODY_THERE), wire)


async def test_a_token_ends_when_it_says(trust: Trust):
    """
    Also while it is remembered: clocks may be half a minute apart, and no more.
    """
    token = trust.token(exp=trust.now + 60)
    trust.service.clock.now += timedelta(seconds=89, milliseconds=500)
    before = await trust.answer(token)
    trust.service.clock.now += timedelta(milliseconds=500)

    assert OK == before
    assert REFUSED == await trust.answer(token)


async def test_our_own_tokens_are_still_ours(trust: Trust):
    """
    Nothing changes for accounts of this server.
    """
    made = await trust.service.ask("CreateToken", {"account": "a", "roles": ["IAM_OWNER"]})

    assert OK == await trust.answer(made["token"])


async def test_no_token_reaches_the_log(trust: Trust, capfd: pytest.CaptureFixture[str]):
    """
    A reader of the log sees which account called, and cannot call as that account.
    """
    token = trust.token(sub="somebody in particular")
    await trust.answer(token)
    await trust.answer(token + "x")
    output = "".join(capfd.readouterr())

    assert f"{trust.issuer.url}#somebody in particular" in output
    assert token.split(".")[1] not in output
    assert token.split(".")[2] not in output
