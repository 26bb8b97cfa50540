"""What others publish and sign, whatever it is."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from outrider.adapters.crypto.external_jwt import ExternalJwts, PublishedKeys
from outrider.domain.access.external_issuer import ALGORITHMS
from outrider.usecases.ports.external_tokens import UnknownKey

ALL = frozenset(ALGORITHMS)
READER = ExternalJwts()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.sampled_from(["kty", "crv", "n", "e", "x", "y", "kid", "use", "key_ops", "alg", "d"])


@cache
def public(kind: str) -> dict[str, object]:
    found = RSAKey.generate_key(2048) if kind == "RSA" else ECKey.generate_key(kind)
    return {**found.as_dict(private=False), "kid": "1"}


def keys_of(*members: object) -> PublishedKeys:
    found = READER.key_set(json.dumps({"keys": members}).encode())
    assert isinstance(found, PublishedKeys)
    return found


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@given(st.binary())
def test_whatever_is_published_is_a_set_or_none(document):
    """
    The answer comes from another server.
    """
    with suppress(ValueError):
        READER.key_set(document)


@given(st.dictionaries(MEMBERS, ANYTHING, min_size=1))
def test_one_odd_key_leaves_the_others(changes):
    """
    Issuers publish keys for uses that are not defined yet (RFC 7517, section 5).
    """
    found = keys_of(public("P-256"), {**public("P-256"), **changes})

    assert ["1"] == [published.kid for published in found.keys][:1]


@given(st.text() | st.tuples(ANYTHING, ANYTHING).map(lambda two: f"{part(two[0])}.{part(two[1])}."))
def test_whatever_is_shown_is_refused_with_one_kind_of_error(compact):
    """
    Tokens are written by strangers.
    """
    READER.unverified_issuer(compact)
    with pytest.raises(ValueError, match=r"."):
        keys_of(public("P-256")).verified(compact, ALL)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "typ", "jwk"]), ANYTHING))
def test_no_header_makes_up_for_a_signature(changes):
    """
    The header is the attacker's.
    """
    compact = f"{part({'alg': 'ES256', 'kid': '1', **changes})}.{part({'iss': 'a'})}.{'A' * 86}"
    with pytest.raises(ValueError, match=r"."):
        keys_of(public("P-256")).verified(compact, ALL)


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"alg": "HS256"},
        {"alg": "RSA-OAEP"},
        {"kid": 1},
        {"e": "AQ"},
        {"e": "AQAAAAAB"},
        {"n": base64.urlsafe_b64encode(b"\xff" * 128).decode()},
        {"n": base64.urlsafe_b64encode(b"\xff" * 1025).decode()},
        {"n": ""},
        {"kty": "oct", "k": "AA"},
        {"kty": "rsa"},
        {"kty": None},
    ],
    ids=str,
)
def test_a_key_that_is_not_for_this_is_left_out(changes):
    """
    An exponent of 1 makes every signature right, and 8 KiB of modulus every call slow.
    """
    assert [] == keys_of({**public("RSA"), **changes}).keys
    assert 1 == len(keys_of(public("RSA")).keys)


@pytest.mark.parametrize(
    "changes", [{"crv": "P-384"}, {"y": "AA"}, {"x": ""}, {"crv": "secp256k1"}]
)
def test_a_point_that_is_not_on_its_curve_is_left_out(changes):
    """
    Or the mathematics would be an attacker's.
    """
    assert [] == keys_of({**public("P-256"), **changes}).keys


def test_an_unknown_name_is_told_from_a_wrong_signature():
    """
    The one is a reason to ask the issuer again, the other is not.
    """
    keys = keys_of(public("P-256"))
    tail = f"{part({'iss': 'a'})}.{'A' * 86}"
    with pytest.raises(UnknownKey):
        keys.verified(f"{part({'alg': 'ES256', 'kid': '2'})}.{tail}", ALL)
    with pytest.raises(ValueError, match="not verified"):
        keys.verified(f"{part({'alg': 'ES256', 'kid': '1'})}.{tail}", ALL)


def test_private_parts_are_not_kept():
    """
    Should an issuer publish them by mistake, we are not the ones who have them.
    """
    leaked = {**ECKey.generate_key("P-256").as_dict(private=True), "kid": "1"}
    (kept,) = keys_of(leaked).keys

    assert not kept.loaded.is_private
