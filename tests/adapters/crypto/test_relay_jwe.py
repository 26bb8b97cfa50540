"""Private keys of the relay: which files are taken, and what they open."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from adapters.crypto.openssl import key_files
from api.endpoints.relay_sender import encrypted
from outrider.adapters.crypto.relay_jwe import MAX_CALL_BYTES, PrivateKeys

KINDS = ("RSA-2048", "P-256", "P-384", "P-521")


def pem_of(private_key, encryption=None) -> bytes:
    return private_key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()
    )


def with_password() -> bytes:
    loaded = load_pem_private_key(key_files("P-256").private_pem, None)
    return pem_of(loaded, BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"", "no private key in PEM without a password"),
        (lambda: key_files("P-256").public_pem, "no private key in PEM without a password"),
        (with_password, "no private key in PEM without a password"),
        (lambda: key_files("RSA-1024").private_pem, "has 1024 bits, too few for RSA-OAEP-256"),
        (lambda: key_files("P-224").private_pem, "neither an RSA key nor one of P-256, P-384"),
        (lambda: pem_of(ed25519.Ed25519PrivateKey.generate()), "neither an RSA key nor one of"),
    ],
)
def test_a_file_without_a_usable_key_is_refused(make, reason):
    """
    Else each event would be refused, one by one.
    """
    with pytest.raises(ValueError, match=reason):
        PrivateKeys([make()])


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_several_keys_opens_what_is_for_it(kind):
    """
    While a key is changed, both are there; `kid` is an id that only ZITADEL knows.
    """
    keys = PrivateKeys([key_files(name, copy).private_pem for name in KINDS for copy in (1, 0)])

    assert b"a.b.c" == keys.decrypted(encrypted(b"a.b.c", key_files(kind).public_pem))


def test_a_call_of_the_largest_size_is_opened():
    """
    The library's own limit is 64 KiB, less than a large event.
    """
    content = b"x" * (MAX_CALL_BYTES * 3 // 4 - 2000)
    sent = encrypted(content, key_files("P-256").public_pem)

    assert len(sent) < MAX_CALL_BYTES
    assert content == PrivateKeys([key_files("P-256").private_pem]).decrypted(sent)


@given(st.data())
def test_damage_is_one_kind_of_error(data):
    """
    Whatever stands where a JWE should: nothing but `ValueError` comes out.
    """
    keys = PrivateKeys([key_files("P-256").private_pem])
    sent = bytearray(encrypted(b"a.b.c", key_files("P-256").public_pem))
    at = data.draw(st.integers(0, len(sent) - 1))
    another = data.draw(st.binary(max_size=3).filter(lambda new: new != sent[at : at + 1]))
    sent[at : at + 1] = another
    try:
        opened = keys.decrypted(bytes(sent))
    except ValueError:
        return
    # The last character of a part may have bits that mean nothing.
    assert b"a.b.c" == opened
