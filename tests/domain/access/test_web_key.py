"""Which algorithm a key has, and the states that it goes through."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.store.access.web_keys import a_web_key
from outrider.domain.access.web_key import (
    DEFAULT_CONFIG,
    FIRST_CONFIGS,
    Algorithm,
    WebKeyConfig,
    WebKeyState,
    activated,
    ecdsa_config,
    ed25519_config,
    jwk_of,
    new_web_key,
    removed,
    rsa_config,
)
from outrider.domain.ids import WebKeyId
from outrider.errors import FailedPrecondition, InvalidRequest
from support.runtime import NOW

LATER = NOW + timedelta(hours=1)
JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
@pytest.mark.parametrize(
    ("hash_bits", "algorithm"),
    [(256, Algorithm.RS256), (384, Algorithm.RS384), (512, Algorithm.RS512)],
)
def test_the_hash_decides_the_algorithm_of_an_rsa_key(bits, hash_bits, algorithm):
    """
    Whatever the size of its modulus.
    """
    assert WebKeyConfig(algorithm, bits) == rsa_config(bits, hash_bits)


@pytest.mark.parametrize(
    ("curve", "algorithm"),
    [("P-256", Algorithm.ES256), ("P-384", Algorithm.ES384), ("P-521", Algorithm.ES512)],
)
def test_the_curve_decides_the_algorithm_of_an_ecdsa_key(curve, algorithm):
    """
    RFC 7518, section 3.4; 521 is no misprint.
    """
    assert WebKeyConfig(algorithm) == ecdsa_config(curve)


def test_ed25519_is_called_eddsa():
    """
    RFC 8037, and the name in docs/contract.md#web-keys.
    """
    assert "EdDSA" == ed25519_config().algorithm


def test_a_new_instance_has_two_keys_of_the_default_kind():
    """
    docs/contract.md#web-keys: RSA 2048 with SHA-256.
    """
    assert (rsa_config(2048, 256),) * 2 == FIRST_CONFIGS
    assert rsa_config(2048, 256) == DEFAULT_CONFIG


@pytest.mark.parametrize(
    ("make", "id_"),
    [
        (lambda: rsa_config(1024, 256), "CRYPTO-eaz3T"),
        (lambda: rsa_config(0, 0), "CRYPTO-eaz3T"),
        (lambda: rsa_config(2048, 1), "CRYPTO-ODie7"),
        (lambda: ecdsa_config("P-512"), "CRYPTO-Ii2ai"),
        (lambda: ecdsa_config(""), "CRYPTO-Ii2ai"),
    ],
)
def test_another_kind_of_key_is_refused(make, id_):
    """
    A key of 1024 bits would be no key.
    """
    with pytest.raises(InvalidRequest) as refused:
        make()

    assert f"Invalid web key config ({id_})" == str(refused.value)


@pytest.mark.parametrize(
    ("active", "state"),
    [(None, WebKeyState.ACTIVE), (a_web_key(state=WebKeyState.ACTIVE), WebKeyState.INITIAL)],
    ids=["none is active", "another is active"],
)
def test_a_new_key_is_active_when_no_other_is(active, state):
    """
    An instance without an active key could sign nothing.
    """
    new = new_web_key(ed25519_config(), JWK, WebKeyId("7"), active=active, now=NOW)

    assert (state, NOW, NOW) == (new.state, new.created_at, new.changed_at)
    assert (WebKeyId("7"), ed25519_config(), JWK) == (new.id, new.config, new.public_jwk)


@pytest.mark.parametrize("state", [WebKeyState.INITIAL, WebKeyState.INACTIVE])
def test_a_key_that_becomes_active_takes_over(state):
    """
    The former one goes first: a store never has two.
    """
    former, key = a_web_key("601", WebKeyState.ACTIVE), a_web_key("602", state)

    assert [
        a_web_key("601", WebKeyState.INACTIVE, changed_at=LATER),
        a_web_key("602", WebKeyState.ACTIVE, changed_at=LATER),
    ] == list(activated(key, former, LATER))


def test_a_key_becomes_active_where_no_other_was():
    """
    There is nobody to take over from.
    """
    assert [a_web_key(state=WebKeyState.ACTIVE, changed_at=LATER)] == list(
        activated(a_web_key(), None, LATER)
    )


def test_activating_the_active_key_changes_nothing():
    """
    Not even its date.
    """
    active = a_web_key(state=WebKeyState.ACTIVE)

    assert [] == list(activated(active, active, LATER))


@pytest.mark.parametrize("state", [WebKeyState.INITIAL, WebKeyState.INACTIVE])
def test_a_key_that_does_not_sign_can_be_removed(state):
    """
    With the date of its removal.
    """
    gone = a_web_key(state=WebKeyState.REMOVED, changed_at=LATER)

    assert gone == removed(a_web_key(state=state), LATER)


def test_a_removed_key_stays_as_it_is():
    """
    Removing it again answers the first date.
    """
    gone = a_web_key(state=WebKeyState.REMOVED)

    assert gone is removed(gone, LATER)


def test_the_active_key_cannot_be_removed():
    """
    The first step is to activate another.
    """
    with pytest.raises(FailedPrecondition) as refused:
        removed(a_web_key(state=WebKeyState.ACTIVE), LATER)

    assert "Cannot delete active web key (COMMAND-Chai1)" == str(refused.value)


def test_a_published_key_says_who_it_is_and_what_it_is_for():
    """
    Receivers choose by `kid`, and must not let the sender choose the algorithm.
    """
    new = new_web_key(ed25519_config(), JWK, WebKeyId("7"), active=None, now=NOW)

    assert {"kid": "7", "alg": "EdDSA", "use": "sig", **JWK} == jwk_of(new)
