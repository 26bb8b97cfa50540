"""What is accepted as an access token, and for how long."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from api.endpoints.oauth.issuer import Issuer, claims_of, encoded, header_of, new_account, signed
from outrider.adapters.crypto.jose import sign_jws
from outrider.adapters.crypto.jwt import Jwts
from outrider.domain.access.permission import Actor, Role
from outrider.domain.access.web_key import ecdsa_config, ed25519_config
from outrider.usecases.access.access_tokens import AccessTokens
from outrider.usecases.access.web_keys import UseWebKeys
from support.runtime import fixed_runtime

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED = ("unauthenticated", "AUTH-7fs1e")
Make = Callable[[Issuer], Awaitable[str]]


def saying(**changes: object) -> Make:
    """Signed by the active web key, with other claims."""
    return lambda issuer: issuer.forged(**changes)


def with_header(**changes: object) -> Make:
    """Signed by the active web key, with another header."""
    return lambda issuer: issuer.forged(changes)


async def unsigned(issuer: Issuer) -> str:
    token = await issuer.token()
    header = {**header_of(token), "alg": "none"}
    return f"{encoded(header)}.{encoded(claims_of(token))}."


async def unsigned_as_it_was(issuer: Issuer) -> str:
    return (await issuer.token()).rpartition(".")[0] + "."


async def hs256(issuer: Issuer) -> str:
    """The published key as if it were a shared secret: the classic confusion."""
    token = await issuer.token()
    header = {**header_of(token), "alg": "HS256"}
    published = (await issuer.fetch("GET", "/oauth/v2/keys")).json()["keys"]
    (member,) = [jwk for jwk in published if jwk["kid"] == header["kid"]]
    public_pem = RSAKey.import_key(member).as_pem(private=False)
    shared = OctKey.import_key(base64.urlsafe_b64encode(public_pem).decode())
    payload = json.dumps(claims_of(token))
    return jws.serialize_compact(header, payload, shared, ["HS256"])


async def another_s(issuer: Issuer) -> str:
    """Signed with an unknown key, under the name of one that is known."""
    token = await issuer.token()
    private_key = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    return signed(claims_of(token), private_key, header_of(token))


async def tampered(issuer: Issuer) -> str:
    token = await issuer.token()
    head, _, signature = token.split(".")
    return f"{head}.{encoded({**claims_of(token), 'sub': '1'})}.{signature}"


async def the_waiting_key_s_name(issuer: Issuer) -> str:
    """The right signature under the id of another published key."""
    token = await issuer.token()
    listed = await issuer.web_keys.list(owner(issuer))
    other = next(web_key.id for web_key in listed if web_key.id != header_of(token)["kid"])
    return await issuer.forged({"kid": other})


async def the_accounts_assertion(issuer: Issuer) -> str:
    """What gets a token is none."""
    return issuer.assertion()


async def a_payload(issuer: Issuer) -> str:
    """A JWT for a target contains whatever a publisher chooses, and the same key signs it."""
    signing = await UseWebKeys(issuer.service.store).signing_key(issuer.service.instance)
    payload = json.dumps(claims_of(await issuer.token())).encode()
    return sign_jws(payload, signing).decode()


def owner(issuer: Issuer) -> Actor:
    return Actor(issuer.service.instance, "1", frozenset({Role.IAM_OWNER}))


FORGERIES: dict[str, Make] = {
    "expired": lambda issuer: issuer.forged(exp=issuer.now),
    "without an end": saying(exp=None),
    "an end that is no date": saying(exp="tomorrow"),
    "an end that is true": saying(exp=True),
    "an end in no year": saying(exp=10**15),
    "without a beginning": saying(iat=None),
    "for another audience": saying(aud=["another"]),
    "for an audience that is an object": saying(aud={"a": 1}),
    "for nobody": saying(aud=None),
    "for an account that is not there": saying(sub="2"),
    "for an account that is a number": saying(sub=2),
    "without an account": saying(sub=None),
    "without an issuer": saying(iss=None),
    "without an id": saying(jti=None),
    "of an unknown key": with_header(kid="7"),
    "of a key that is no text": with_header(kid="\ud800"),
    "of the type of a payload": with_header(typ="JWT"),
    "of a type that is a payload's": a_payload,
    "unsigned": unsigned,
    "with the signature left out": unsigned_as_it_was,
    "HS256 with the public key": hs256,
    "another's signature": another_s,
    "tampered": tampered,
    "the name of a key that waits": the_waiting_key_s_name,
    "an assertion": the_accounts_assertion,
}
GARBAGE = ["a.b.c", "..", "e30.e30.e30", f"{encoded([])}.e30.", f"{'W1tb' * 1500}.e30.e30"]


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forgery_is_refused(issuer: Issuer, name: str):
    """
    With the error of every unknown token.
    """
    assert REFUSED == await issuer.accepts(await FORGERIES[name](issuer))


@pytest.mark.parametrize("token", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_is_refused(issuer: Issuer, token: str):
    """
    Nothing that has two dots ends in a traceback.
    """
    assert REFUSED == await issuer.accepts(token)


async def test_what_is_forged_right_is_accepted(issuer: Issuer):
    """
    Or everything above could be refused for another reason.
    """
    assert ("ok", "") == await issuer.accepts(await issuer.forged())
    assert ("ok", "") == await issuer.accepts(await issuer.forged(aud=issuer.service.instance))


async def test_a_token_ends_after_twelve_hours(issuer: Issuer):
    """
    To the second.
    """
    token = await issuer.token()
    issuer.service.clock.now += timedelta(hours=12, seconds=-2)
    before = await issuer.accepts(token)
    issuer.service.clock.now += timedelta(seconds=2)

    assert ("ok", "") == before
    assert REFUSED == await issuer.accepts(token)


async def test_roles_are_those_that_the_account_has_now(issuer: Issuer):
    """
    A token does not carry what it may do: taking a role away reaches it.
    """
    account = await new_account(issuer.service, "demoted")
    token = await issuer.forged(sub=account.id)
    before = await issuer.accepts(token)
    await issuer.service.ask("CreateToken", {"account": "demoted", "roles": ["EVENT_PUBLISHER"]})

    assert ("ok", "") == before
    assert ("permission_denied", "AUTH-5mWD2") == await issuer.accepts(token)


@pytest.mark.parametrize("config", [ecdsa_config("P-256"), ed25519_config()], ids=str)
async def test_tokens_outlive_the_change_of_a_web_key_and_end_with_it(issuer: Issuer, config):
    """
    A change of keys logs no account out; an operator who removes a key wants that.
    """
    former = next(
        web_key.id for web_key in await issuer.web_keys.list(owner(issuer)) if web_key.state == 2
    )
    made = await issuer.web_keys.create(owner(issuer), config)
    await issuer.web_keys.activate(owner(issuer), made.id)
    token = await issuer.token()
    while_active = await issuer.accepts(token)
    await issuer.web_keys.activate(owner(issuer), former)
    issuer.service.clock.now += timedelta(seconds=2)
    while_inactive = await issuer.accepts(token)
    await issuer.web_keys.delete(owner(issuer), made.id)
    issuer.service.clock.now += timedelta(seconds=2)

    assert made.id == header_of(token)["kid"]
    assert ("ok", "") == while_active == while_inactive
    assert REFUSED == await issuer.accepts(token)


async def test_a_server_with_one_name_takes_tokens_of_this_name_alone(issuer: Issuer):
    """
    The setting says which one counts.
    """
    service = issuer.service
    tokens = {
        url: AccessTokens(
            service.store, fixed_runtime(service.clock), service.instance, Jwts(), url
        )
        for url in ("http://outrider.test", "https://outrider.example")
    }
    token = await issuer.token()
    found = {url: await access_tokens.find(token) for url, access_tokens in tokens.items()}

    assert issuer.account.id == found["http://outrider.test"].account_id
    assert None is found["https://outrider.example"]


async def test_another_instances_tokens_are_strangers(issuer: Issuer):
    """
    Its keys are not ours.
    """
    service = issuer.service
    elsewhere = AccessTokens(service.store, fixed_runtime(service.clock), "another", Jwts())

    assert None is await elsewhere.find(await issuer.token())
