"""Sends to the relay as ZITADEL does, with nothing of outrider in it: HMAC, JWS and JWE by hand."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import load_pem_public_key

KEY = "98KmsU67ABCdef0123456789ghijklMNOPQR"
OAEP_256 = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
BODY = (
    b'{"aggregateID":"%b","aggregateType":"user","resourceOwner":"2","instanceID":"3",'
    b'"version":"v2","sequence":%d,"event_type":"user.human.added",'
    b'"created_at":"2025-01-02T04:04:05.678901+01:00","userID":"4",'
    b'"event_payload":{"userName":"a\\u0026b","z":1.0,"n":12345678901234567890}}'
)


def body(aggregate: str = "1", sequence: int = 7) -> bytes:
    """An event of ZITADEL."""
    return BODY % (aggregate.encode(), sequence)


def signature(content: bytes, at: float, *signing_keys: str) -> dict[str, str]:
    """The header, one `v1` for each key."""
    signed = b"%d.%b" % (at, content)
    macs = [
        hmac.new(signing_key.encode(), signed, hashlib.sha256)
        for signing_key in signing_keys or (KEY,)
    ]
    parts = [f"t={int(at)}", *(f"v1={mac.hexdigest()}" for mac in macs)]
    return {"ZITADEL-Signature": ",".join(parts)}


def encoded(octets: bytes) -> bytes:
    """Base64url without padding."""
    return urlsafe_b64encode(octets).rstrip(b"=")


def encrypted(jws: bytes, public_pem: bytes, **changes: Any) -> bytes:
    """A compact JWE for a public key (RFC 7516, section 5.1); `changes` are for its header."""
    public_key = load_pem_public_key(public_pem)
    content_key = AESGCM.generate_key(256)
    header: dict[str, Any] = {"cty": "JWT", "enc": "A256GCM", "kid": "321", "typ": "JWT"}
    if isinstance(public_key, rsa.RSAPublicKey):
        header["alg"] = "RSA-OAEP-256"
        wrapped = public_key.encrypt(content_key, OAEP_256)
    else:
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        header["alg"] = "ECDH-ES+A256KW"
        wrapped, header["epk"] = agreed(content_key, public_key)
    protected = encoded(json.dumps({**header, **changes}, sort_keys=True).encode())
    iv = os.urandom(12)
    sealed = AESGCM(content_key).encrypt(iv, jws, protected)
    parts = (wrapped, iv, sealed[:-16], sealed[-16:])
    return b".".join([protected, *map(encoded, parts)])


def agreed(
    content_key: bytes, public_key: ec.EllipticCurvePublicKey
) -> tuple[bytes, Mapping[str, str]]:
    """The key wrapped as RFC 7518, section 4.6 has it, and the ephemeral key."""
    own = ec.generate_private_key(public_key.curve)
    name = b"ECDH-ES+A256KW"
    info = len(name).to_bytes(4) + name + bytes(4) + bytes(4) + (256).to_bytes(4)
    shared = own.exchange(ec.ECDH(), public_key)
    wrapping_key = ConcatKDFHash(hashes.SHA256(), 32, info).derive(shared)
    numbers, size = own.public_key().public_numbers(), (public_key.curve.key_size + 7) // 8
    x, y = (encoded(coordinate.to_bytes(size)).decode() for coordinate in (numbers.x, numbers.y))
    curve = {256: "P-256", 384: "P-384", 521: "P-521"}[public_key.curve.key_size]
    return aes_key_wrap(wrapping_key, content_key), {"kty": "EC", "crv": curve, "x": x, "y": y}
