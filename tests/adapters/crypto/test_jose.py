"""What we sign can be verified with what we publish, by a receiver that knows the RFCs and not us."""

from __future__ import annotations

import asyncio
from functools import cache

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from adapters.crypto.reference import number, verify
from outrider.adapters.crypto.jose import KeyPairs, make_key_pair, sign_jws
from outrider.domain.access.web_key import (
    SigningWebKey,
    WebKeyConfig,
    ecdsa_config,
    ed25519_config,
    rsa_config,
)
from outrider.domain.ids import WebKeyId

CONFIGS = [
    rsa_config(2048, 256),
    rsa_config(2048, 384),
    rsa_config(3072, 384),
    rsa_config(4096, 512),
    ecdsa_config("P-256"),
    ecdsa_config("P-384"),
    ecdsa_config("P-521"),
    ed25519_config(),
]
every_config = pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda value: f"{value.algorithm}-{value.rsa_bits}"
)
pair_of = cache(make_key_pair)


def signed(payload: bytes, config: WebKeyConfig, kid: str = "123") -> str:
    key = SigningWebKey(
        id=WebKeyId(kid), algorithm=config.algorithm, private_key=pair_of(config).private_key
    )
    return sign_jws(payload, key).decode()


@every_config
def test_a_signature_verifies_with_the_numbers_of_the_jwk(config):
    """
    With reference code, step by step as the RFC has it, and none of our libraries.
    """
    payload = '{"größe": 1.0, "a":  [1e3]}\n'.encode()

    assert payload == verify(signed(payload, config), pair_of(config).public_jwk)


@every_config
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_a_signature_verifies_with_the_key_that_the_set_has_for_its_kid(config):
    """
    What a receiver does: find the key by `kid`, and trust it for its own algorithm only.
    """
    members = {"alg": config.algorithm.value, "use": "sig", "kid": "123"}
    keys = KeySet.import_key_set({"keys": [{**pair_of(config).public_jwk, **members}]})
    found = jws.deserialize_compact(signed(b'{"a":1}', config), keys, [config.algorithm.value])

    assert b'{"a":1}' == found.payload
    assert {"alg": config.algorithm.value, "kid": "123", "typ": "JWT"} == found.headers()


@every_config
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_what_was_changed_on_the_way_does_not_verify(config):
    """
    The check of the other tests must be able to fail, too.
    """
    header, _, signature = signed(b'{"amount":1}', config).split(".")
    forged = f"{header}.eyJhbW91bnQiOjl9.{signature}"

    with pytest.raises(InvalidSignature):
        verify(forged, pair_of(config).public_jwk)
    keys = KeySet.import_key_set({"keys": [{**pair_of(config).public_jwk, "kid": "123"}]})
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(forged, keys, [config.algorithm.value])


@every_config
def test_a_public_jwk_has_the_members_of_its_type_and_no_other(config):
    """
    A `d` in here would be the private key, published.
    """
    kind = {"RS": ("kty", "n", "e"), "ES": ("kty", "crv", "x", "y"), "Ed": ("kty", "crv", "x")}
    jwk = pair_of(config).public_jwk

    assert set(kind[config.algorithm[:2]]) == set(jwk)
    assert config.rsa_bits == (number(jwk["n"]).bit_length() if "n" in jwk else 0)
    assert "AQAB" == jwk.get("e", "AQAB")


@pytest.mark.parametrize(
    ("curve", "digits"), [("P-256", 43), ("P-384", 64), ("P-521", 88)], ids=str
)
def test_coordinates_have_the_full_length_of_their_curve(curve, digits):
    """
    RFC 7518, section 6.2.1.2: one in 256 begins with a zero, and strict readers refuse it cut off.
    """
    for _ in range(600):
        jwk = make_key_pair(ecdsa_config(curve)).public_jwk
        assert (digits, digits, curve) == (len(jwk["x"]), len(jwk["y"]), jwk["crv"])


def test_the_header_is_written_as_zitadel_writes_it():
    """
    Exactly the text for key 123.
    """
    header, _, _ = signed(b"{}", rsa_config(2048, 256)).split(".")

    assert "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMyIsInR5cCI6IkpXVCJ9" == header


@given(payload=st.binary(max_size=300))
def test_any_bytes_are_signed_as_they_are(payload):
    """
    A body is signed, not what a parser understands it to be.
    """
    config = ed25519_config()

    assert payload == verify(signed(payload, config), pair_of(config).public_jwk)


def test_the_largest_body_can_be_signed():
    """
    A payload may have 512 KiB, and its escapes make it longer.
    """
    payload = b"x" * 3 * 1024 * 1024
    config = ecdsa_config("P-256")

    assert payload == verify(signed(payload, config), pair_of(config).public_jwk)


def test_no_private_part_is_printed():
    """
    Keys are part of what is printed when something fails.
    """
    pair = pair_of(ed25519_config())
    key = SigningWebKey(
        id=WebKeyId("1"), algorithm=ed25519_config().algorithm, private_key=pair.private_key
    )

    assert "private_key" not in repr(pair)
    assert "private_key" not in repr(key)


async def test_the_event_loop_continues_while_a_key_is_made():
    """
    Otherwise one request for RSA 4096 stops every other for seconds.
    """
    making, rounds = asyncio.create_task(KeyPairs().make(rsa_config(2048, 256))), 0
    while not making.done():
        await asyncio.sleep(0)
        rounds += 1

    # Made inside of the loop, it would be done after the first round.
    assert rounds > 1
    assert "RSA" == making.result().public_jwk["kty"]


async def test_every_key_is_a_new_one():
    """
    Two instances with one key could sign for each other.
    """
    key_pairs = KeyPairs()
    made = await asyncio.gather(*(key_pairs.make(ed25519_config()) for _ in range(20)))

    assert 20 == len({pair.public_jwk["x"] for pair in made})
