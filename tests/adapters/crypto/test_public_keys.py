"""Which keys can be uploaded."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from outrider.adapters.crypto.public_keys import read_public_key
from outrider.domain.targets.public_key import fingerprint

SPKI = PublicFormat.SubjectPublicKeyInfo
RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())

# A known value for docs/contract.md#public-keys: the P-256 key with the private scalar 1.
SCALAR_ONE = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""
SCALAR_ONE_FINGERPRINT = "SHA256:XNJS+wzokyQ2+vjM0QQJgbie5K1rn+niorfnGqyyfNM"


def pem(key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, SPKI)


def labelled(label: bytes, der: bytes) -> bytes:
    text = base64.encodebytes(der)
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label, text, label)


def certificate() -> bytes:
    name = x509.Name([])
    day = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, P256.public_key(), 1, day, day + timedelta(1))
    return builder.sign(P256, hashes.SHA256()).public_bytes(Encoding.PEM)


def rsa_of(bits: int, exponent: int) -> bytes:
    """A key that encrypts to nobody, of any size."""
    numbers = rsa.RSAPublicNumbers(exponent, (1 << (bits - 1)) | 1)
    return numbers.public_key().public_bytes(Encoding.PEM, SPKI)


@pytest.mark.parametrize(("bits", "exponent"), [(8192, 65537), (2048, 2**31 - 1), (2048, 3)])
def test_large_keys_are_taken(bits: int, exponent: int):
    assert read_public_key(rsa_of(bits, exponent))


@pytest.mark.parametrize(
    ("bits", "exponent", "reason"),
    [
        (8200, 65537, "an RSA key of 8200 bits, more than 8192"),
        (2048, 2**31 + 1, "a public exponent of more than 31 bits"),
    ],
)
def test_keys_that_take_long_to_encrypt_to_are_not(bits: int, exponent: int, reason: str):
    """
    Each delivery is encrypted to it, by a worker that others wait for.
    """
    with pytest.raises(ValueError, match=reason):
        read_public_key(rsa_of(bits, exponent))


def test_the_fingerprint_of_the_contracts_vector():
    """
    Two implementations that differ here would show operators two names of one key.
    """
    assert SCALAR_ONE_FINGERPRINT == fingerprint(read_public_key(SCALAR_ONE))


DER = P256.public_key().public_bytes(Encoding.DER, SPKI)
ACCEPTED = {
    "RSA of 2048 bits": pem(RSA),
    "RSA of 1024 bits": pem(rsa.generate_private_key(65537, 1024)),
    "P-224": pem(ec.generate_private_key(ec.SECP224R1())),
    "P-384": pem(ec.generate_private_key(ec.SECP384R1())),
    "P-521": pem(ec.generate_private_key(ec.SECP521R1())),
    "another label": labelled(b"KEY", DER),
    "Windows line ends": pem(P256).replace(b"\n", b"\r\n"),
    "text around it": b"my key\n" + pem(P256) + b"more text",
    "a second block": pem(P256) + certificate(),
}
REFUSED = {
    "nothing": b"",
    "no PEM": DER,
    "a cut block": pem(P256)[:-10],
    "no Base64": b"-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n",
    "other bytes": labelled(b"PUBLIC KEY", b"\x30\x03\x02\x01\x01"),
    "bytes behind the key": labelled(b"PUBLIC KEY", DER + b"\x00"),
    "PKCS#1": RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
    "PKCS#1 as a public key": labelled(
        b"PUBLIC KEY", RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    ),
    "a certificate": certificate(),
    "a private key": P256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    "Ed25519": pem(ed25519.Ed25519PrivateKey.generate()),
    "X25519": pem(x25519.X25519PrivateKey.generate()),
    "a curve that Go does not know": pem(ec.generate_private_key(ec.SECP256K1())),
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_gos_x509_reads_is_accepted(text):
    """
    Keys that ZITADEL took must go on working.
    """
    assert read_public_key(text).startswith(b"\x30")


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused(text):
    """
    A key that cannot be encrypted to is found when it is uploaded, not when an event waits.
    """
    with pytest.raises(ValueError, match=r"."):
        read_public_key(text)


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda der: labelled(b"X", der)))
def test_any_bytes_are_a_key_or_one_exception(text):
    """
    A user who uploads a key cannot choose how it fails.
    """
    try:
        read_public_key(text)
    except ValueError:
        return
    pytest.fail("random bytes are no key")
