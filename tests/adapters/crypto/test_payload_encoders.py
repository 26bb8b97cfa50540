"""JWT and JWE: holders of the keys can read them, with other code than ours, and others cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe, jws
from joserfc.jwk import ECKey, KeySet, RSAKey

from adapters.crypto.openssl import key_files
from adapters.crypto.reference import decrypt, header_of, verify
from outrider.adapters.crypto.jose import make_key_pair
from outrider.adapters.crypto.payload_encoders import encrypted, signed
from outrider.domain.access.web_key import (
    SigningWebKey,
    WebKeyConfig,
    ecdsa_config,
    ed25519_config,
    rsa_config,
)
from outrider.domain.calls.request_builder import RequestBuildError
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.ids import WebKeyId
from outrider.domain.targets.target import PayloadType
from support.builders import SIGNING_KEY, a_public_key, a_target
from support.runtime import NOW

BODY = '{"event_type":"user.human.added","größe":1.0}'.encode()
SIGNERS = [
    rsa_config(2048, 256),
    rsa_config(2048, 384),
    rsa_config(2048, 512),
    ecdsa_config("P-256"),
    ecdsa_config("P-384"),
    ecdsa_config("P-521"),
    ed25519_config(),
]
QUICK = ed25519_config()
RECIPIENTS = ["RSA-2048", "RSA-4096", "P-256", "P-384", "P-521"]
SECOND = timedelta(seconds=1)

every_signer = pytest.mark.parametrize("signer", SIGNERS, ids=lambda value: value.algorithm)
every_recipient = pytest.mark.parametrize("recipient", RECIPIENTS)
pair_of = cache(make_key_pair)


def web_key(config: WebKeyConfig, kid: str = "123") -> SigningWebKey:
    private_key = pair_of(config).private_key
    return SigningWebKey(id=WebKeyId(kid), algorithm=config.algorithm, private_key=private_key)


def resolved_target(
    recipient: str = "P-256", signer: WebKeyConfig = QUICK, *, copy: int = 0, **fields
) -> ResolvedTarget:
    pem = key_files(recipient, copy).public_pem
    public_key = a_public_key(**{"id": "321", "pem": pem, "is_active": True, **fields})
    return ResolvedTarget(a_target(payload_type=PayloadType.JWE), (public_key,), web_key(signer))


def refused(encode, whom: ResolvedTarget, now=NOW) -> RequestBuildError:
    with pytest.raises(RequestBuildError) as refusal:
        encode(BODY, whom, now)
    return refusal.value


def swapped(digit: str) -> str:
    # The lowest bit alone: a letter of the header stays a letter.
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return digits[digits.index(digit) ^ 1]


def private(recipient: str) -> RSAKey | ECKey:
    kind = RSAKey if recipient.startswith("RSA") else ECKey
    return kind.import_key(key_files(recipient).private_pem)


@every_signer
@every_recipient
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_a_receiver_with_a_library_decrypts_and_verifies(recipient, signer):
    """
    The whole matrix: what is inside is the JWS that the type JWT would have sent.
    """
    algorithms = ["RSA-OAEP-256", "ECDH-ES+A256KW", "A256GCM"]
    sent = encrypted(BODY, resolved_target(recipient, signer), NOW)
    opened = jwe.decrypt_compact(sent, private(recipient), algorithms)
    jwks = KeySet.import_key_set({"keys": [{**pair_of(signer).public_jwk, "kid": "123"}]})
    found = jws.deserialize_compact(opened.plaintext, jwks, [signer.algorithm.value])

    assert found.payload == BODY
    assert {"alg": signer.algorithm.value, "kid": "123", "typ": "JWT"} == found.headers()


@every_signer
@every_recipient
def test_a_receiver_with_nothing_but_the_rfcs_decrypts_and_verifies(recipient, signer):
    """
    Two libraries of one author may share a mistake: these are the primitives alone.
    """
    sent = encrypted(BODY, resolved_target(recipient, signer), NOW).decode()
    inner = decrypt(sent, key_files(recipient).private_pem).decode()

    assert verify(inner, pair_of(signer).public_jwk) == BODY


@every_signer
def test_the_type_jwt_is_the_signature_alone(signer):
    """
    Nothing is added to the body, and no public key is asked for.
    """
    sent = signed(BODY, replace(resolved_target(signer=signer), public_keys=()), NOW).decode()

    assert verify(sent, pair_of(signer).public_jwk) == BODY
    assert ["alg", "kid", "typ"] == list(header_of(sent))


def test_the_header_for_rsa_is_zitadels_to_the_byte():
    """
    Exactly the text for key 321.
    """
    sent = encrypted(BODY, resolved_target("RSA-2048"), NOW).decode()

    assert (
        "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJjdHkiOiJKV1QiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiMzIxIiwidHlwIjoiSldUIn0"
        == sent.partition(".")[0]
    )


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_the_header_for_ec_has_the_ephemeral_key_in_its_place(curve):
    """
    Sorted, as ZITADEL's library writes it; the key is public, and on the receiver's curve.
    """
    header = header_of(encrypted(BODY, resolved_target(curve), NOW).decode())
    epk = header.pop("epk")

    assert {
        "alg": "ECDH-ES+A256KW",
        "cty": "JWT",
        "enc": "A256GCM",
        "kid": "321",
        "typ": "JWT",
    } == header
    assert (curve, "EC", {"kty", "crv", "x", "y"}) == (epk["crv"], epk["kty"], set(epk))
    names = list(header_of(encrypted(BODY, resolved_target(curve), NOW).decode()))
    assert sorted(names) == names


@every_recipient
def test_the_same_body_is_never_encrypted_in_the_same_way(recipient):
    """
    A repeated key and nonce would break AES-GCM; an observer may not see that a retry is one.
    """
    sent = [encrypted(BODY, resolved_target(recipient), NOW).decode().split(".") for _ in range(20)]

    for position in (1, 2, 3, 4):
        assert 20 == len({parts[position] for parts in sent})
    assert (1 if recipient.startswith("RSA") else 20) == len({parts[0] for parts in sent})


def test_another_key_cannot_read_it():
    """
    The check of the other tests must be able to fail, too.
    """
    sent = encrypted(BODY, resolved_target("RSA-2048"), NOW).decode()

    with pytest.raises(ValueError, match="Decryption failed"):
        decrypt(sent, key_files("RSA-2048", 1).private_pem)


@pytest.mark.parametrize("position", [0, 2, 3, 4], ids=["header", "nonce", "ciphertext", "tag"])
def test_what_was_changed_on_the_way_is_noticed(position):
    """
    The header is authenticated, too: an attacker cannot make a receiver look for another key.
    """
    parts = encrypted(BODY, resolved_target("RSA-2048"), NOW).decode().split(".")
    part = parts[position]
    parts[position] = f"{part[:-6]}{swapped(part[-6])}{part[-5:]}"

    with pytest.raises(InvalidTag):
        decrypt(".".join(parts), key_files("RSA-2048").private_pem)


@given(body=st.binary(max_size=300))
def test_any_bytes_come_out_as_they_went_in(body):
    """
    A body is wrapped, not what a parser understands it to be.
    """
    inner = decrypt(
        encrypted(body, resolved_target(), NOW).decode(), key_files("P-256").private_pem
    )

    assert body == verify(inner.decode(), pair_of(QUICK).public_jwk)


def test_the_largest_body_is_encrypted():
    """
    A payload may have 512 KiB, and its escapes make it longer.
    """
    body = b"x" * 3 * 1024 * 1024
    inner = decrypt(
        encrypted(body, resolved_target(), NOW).decode(), key_files("P-256").private_pem
    )

    assert body == verify(inner.decode(), pair_of(QUICK).public_jwk)


def test_neither_the_body_nor_its_length_is_cut_short_by_compression():
    """
    No `zip`: lengths of compressed secrets tell about them.
    """
    short, long = (encrypted(b"x" * size, resolved_target(), NOW) for size in (1_000, 10_000))

    assert len(long) - len(short) > 9_000


@pytest.mark.parametrize("encode", [signed, encrypted])
def test_without_an_active_web_key_nothing_is_sent(encode):
    """
    Not in plain text, not unsigned. An interception answers what ZITADEL does.
    """
    refusal = refused(encode, replace(resolved_target(), web_key=None))

    assert "the instance has no active web key to sign with" == str(refusal)
    assert ("internal", "No active web key found (QUERY-Opoh7)") == (
        refusal.error.code,
        str(refusal.error),
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_active": False}, "the target has no active public key to encrypt to"),
        ({"expires_at": NOW}, "the target's active public key 321 has expired"),
        ({"expires_at": NOW - SECOND}, "the target's active public key 321 has expired"),
    ],
    ids=["inactive", "expires now", "expired"],
)
def test_without_a_usable_public_key_nothing_is_sent(fields, reason):
    """
    It never falls back to JWT or JSON; the log tells which of the two it was.
    """
    refusal = refused(encrypted, resolved_target(**fields))

    assert reason == str(refusal)
    assert ("internal", "No encryption key found for target (EXEC-2n8fhs7g)") == (
        refusal.error.code,
        str(refusal.error),
    )


def test_without_any_public_key_nothing_is_sent():
    """
    A target may be given the type JWE before its first key.
    """
    refusal = refused(encrypted, replace(resolved_target(), public_keys=()))

    assert "the target has no active public key to encrypt to" == str(refusal)


def test_expiry_counts_when_the_call_is_made():
    """
    The same resolved target a second earlier could still be written to.
    """
    whom = resolved_target(expires_at=NOW + SECOND)

    assert encrypted(BODY, whom, NOW)
    assert refused(encrypted, whom, NOW + SECOND).error


OVERSIZED = (
    rsa.RSAPublicNumbers(65537, (1 << 16_999) + 1)
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
)


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        (key_files("P-224").public_pem, "its curve has no name in JOSE"),
        (key_files("RSA-1024").public_pem, "1024 bits are too few for RSA-OAEP-256"),
        (OVERSIZED, "an RSA key of 17000 bits, more than 8192"),
        (b"not a key", "no PEM block"),
    ],
    ids=["P-224", "RSA-1024", "RSA-17000", "no key"],
)
def test_a_stored_key_that_cannot_be_used_is_said_so(pem, reason):
    """
    Uploading takes more than encrypting does; the operator reads which key to replace.
    """
    refusal = refused(encrypted, resolved_target(pem=pem))

    assert f"public key 321 cannot be encrypted to: {reason}" == str(refusal)
    assert ("internal", "Errors.Execution.InvalidPublicKey (EXEC-3n8fhs7g)") == (
        refusal.error.code,
        str(refusal.error),
    )


def test_the_active_key_is_used_among_many():
    """
    Receivers upload the next key before they switch.
    """
    kinds = {"601": "P-256", "602": "RSA-2048", "603": "P-384"}
    keys = [
        a_public_key(kid, pem=key_files(kind).public_pem, is_active=kid == "602")
        for kid, kind in kinds.items()
    ]
    sent = encrypted(BODY, replace(resolved_target(), public_keys=tuple(keys)), NOW).decode()

    assert "602" == header_of(sent)["kid"]
    assert decrypt(sent, key_files("RSA-2048").private_pem)


def test_keys_are_kept_by_what_they_are_and_not_by_their_id():
    """
    Loaded keys are kept; a store that was restored may have another key under an old id.
    """
    for copy in (0, 1, 0):
        sent = encrypted(BODY, resolved_target(copy=copy), NOW).decode()
        assert decrypt(sent, key_files("P-256", copy).private_pem)
    for signer in (QUICK, ecdsa_config("P-256"), QUICK):
        sent = signed(BODY, resolved_target(signer=signer), NOW).decode()
        assert BODY == verify(sent, pair_of(signer).public_jwk)


def test_no_secret_is_printed():
    """
    A resolved target is part of what is printed when something fails.
    """
    shown = repr(resolved_target())

    assert "private_key" not in shown
    assert SIGNING_KEY not in shown
