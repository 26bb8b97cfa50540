"""JOSE step by step as the RFCs have it, on primitives alone: no JOSE library is asked."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from cryptography.hazmat.primitives.serialization import load_pem_private_key

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
OAEP_256 = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def decoded(text: str) -> bytes:
    """Base64url without padding, and refused with it (RFC 7515, section 2)."""
    assert "=" not in text
    return urlsafe_b64decode(text + "==")


def number(text: str) -> int:
    """A Base64urlUInt (RFC 7518, section 2)."""
    return int.from_bytes(decoded(text), "big")


def header_of(compact: str) -> dict[str, Any]:
    """The protected header of a JWS or a JWE; its members are in the order of the wire."""
    header: dict[str, Any] = json.loads(decoded(compact.partition(".")[0]))
    return header


def verify(compact: str, jwk: Mapping[str, str]) -> bytes:
    """The payload, checked with numbers from the JWK alone (RFC 7518, sections 3.3 and 3.4)."""
    header, payload, signature = compact.split(".")
    message, raw = f"{header}.{payload}".encode(), decoded(signature)
    digest = HASHES.get(header_of(compact)["alg"][2:])
    if jwk["kty"] == "RSA":
        numbers = rsa.RSAPublicNumbers(number(jwk["e"]), number(jwk["n"]))
        numbers.public_key().verify(raw, message, padding.PKCS1v15(), digest)
    elif jwk["kty"] == "EC":
        half = len(raw) // 2
        r_and_s = (int.from_bytes(part, "big") for part in (raw[:half], raw[half:]))
        _point(jwk).verify(encode_dss_signature(*r_and_s), message, ec.ECDSA(digest))
    else:
        ed25519.Ed25519PublicKey.from_public_bytes(decoded(jwk["x"])).verify(raw, message)
    return decoded(payload)


def decrypt(compact: str, private_pem: bytes) -> bytes:
    """The plaintext of a JWE (RFC 7516, section 5.2) with AES-256-GCM."""
    protected, encrypted_key, iv, ciphertext, tag = compact.split(".")
    content_key = _content_key(header_of(compact), decoded(encrypted_key), private_pem)
    sealed = decoded(ciphertext) + decoded(tag)
    return AESGCM(content_key).decrypt(decoded(iv), sealed, protected.encode())


def _content_key(header: Mapping[str, Any], encrypted: bytes, private_pem: bytes) -> bytes:
    private = load_pem_private_key(private_pem, None)
    if isinstance(private, rsa.RSAPrivateKey):
        assert "RSA-OAEP-256" == header["alg"]
        return private.decrypt(encrypted, OAEP_256)
    # RFC 7518, section 4.6.2: both parties are empty, and the key is 256 bits long.
    assert "ECDH-ES+A256KW" == header["alg"]
    shared = private.exchange(ec.ECDH(), _point(header["epk"]))
    name = header["alg"].encode()
    info = len(name).to_bytes(4) + name + bytes(4) + bytes(4) + (256).to_bytes(4)
    return aes_key_unwrap(ConcatKDFHash(hashes.SHA256(), 32, info).derive(shared), encrypted)


def _point(jwk: Mapping[str, str]) -> ec.EllipticCurvePublicKey:
    x, y = number(jwk["x"]), number(jwk["y"])
    return ec.EllipticCurvePublicNumbers(x, y, CURVES[jwk["crv"]]).public_key()
