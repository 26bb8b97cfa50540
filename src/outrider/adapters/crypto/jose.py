"""JOSE: new key pairs, and signatures that every holder of the JWK set can verify.

RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 (RSA and EC), RFC 8037 (Ed25519).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, serialize_compact

from outrider.domain.access.web_key import Algorithm, KeyPair, SigningWebKey, WebKeyConfig

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_RSA_EXPONENT = 65537
_CURVES: dict[Algorithm, ec.EllipticCurve] = {
    Algorithm.ES256: ec.SECP256R1(),
    Algorithm.ES384: ec.SECP384R1(),
    Algorithm.ES512: ec.SECP521R1(),
}
# An RSA key of 4096 bits takes a core for a second or more: many requests must not take all cores.
_THREADS = 2
# The first signature with a key costs two to six times as much as the next. An instance has one.
_KEPT_KEYS = 256


class KeyPairs:
    """Implements the port `KeyPairs`: a few threads at a time, and never the event loop's."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="key-pairs")

    async def make(self, config: WebKeyConfig) -> KeyPair:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, make_key_pair, config)


def make_key_pair(config: WebKeyConfig) -> KeyPair:
    """Make a new key. Slow for RSA: up to seconds."""
    private_key = _new_private_key(config)
    encoded = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(_public_jwk(config.algorithm, encoded), encoded)


def sign_jws(payload: bytes, web_key: SigningWebKey) -> bytes:
    """Return the compact JWS of `payload`: nothing is added to it.

    Its header has `alg`, `kid` and `typ`, in this order.
    """
    return sign_compact(payload, web_key, "JWT").encode()


def sign_compact(payload: bytes, web_key: SigningWebKey, typ: str) -> str:
    """Return the compact JWS of `payload` with this `typ`: it says what the payload may be taken for."""
    header = {"alg": web_key.algorithm.value, "kid": str(web_key.id), "typ": typ}
    return serialize_compact(header, payload, _signer(web_key), registry=ALGORITHMS)


@lru_cache(_KEPT_KEYS)
def _signer(web_key: SigningWebKey) -> RSAKey | ECKey | OKPKey:
    # By its whole content: another key is another entry, whatever its id.
    return key_type(web_key.algorithm).import_key(_loaded(web_key.private_key))


class _Algorithms(JWSRegistry):
    """The library's registry without its warning about `EdDSA` (docs/contract.md#web-keys).

    RFC 9864 prefers `Ed25519` since 2025; receivers may not know that one.
    """

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


ALGORITHMS = _Algorithms()
"""Knows every algorithm: code that verifies with it compares the header's `alg` before."""


def _loaded(private_key: bytes) -> Any:
    # We made it, and sealing has authenticated it: proving again that it is one takes 50 to
    # 500 ms for RSA, for every signature.
    return load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)


def _new_private_key(config: WebKeyConfig) -> PrivateKey:
    if config.rsa_bits:
        return rsa.generate_private_key(_RSA_EXPONENT, config.rsa_bits)
    if config.algorithm is Algorithm.EDDSA:
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(_CURVES[config.algorithm])


def _public_jwk(algorithm: Algorithm, private_key: bytes) -> dict[str, str]:
    members = key_type(algorithm).import_key(_loaded(private_key)).as_dict(private=False)
    # What the library adds, such as a thumbprint as `kid`, is not ours.
    return {
        name: str(members[name]) for name in ("kty", "crv", "n", "e", "x", "y") if name in members
    }


def key_type(algorithm: Algorithm) -> type[RSAKey | ECKey | OKPKey]:
    """The library's class for keys of this algorithm."""
    if algorithm is Algorithm.EDDSA:
        return OKPKey
    return ECKey if algorithm in _CURVES else RSAKey
