"""JSON Web Tokens (RFC 7519), and the keys that accounts sign theirs with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import deserialize_compact, extract_compact

from outrider.adapters.crypto.jose import ALGORITHMS, key_type, sign_compact
from outrider.domain.access.web_key import Algorithm, SigningWebKey, WebKey
from outrider.usecases.ports.access import NewAccountKey

_RSA_EXPONENT = 65537
_RSA_BITS = 2048


class Jwts:
    """Implements the port `Jwts`."""

    def header(self, compact: str) -> Mapping[str, Any]:
        try:
            return dict(extract_compact(compact.encode("ascii")).headers())
        except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
            raise ValueError("no JWT") from None

    async def sign(self, claims: Mapping[str, Any], web_key: SigningWebKey, typ: str) -> str:
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return await asyncio.to_thread(sign_compact, payload, web_key, typ)

    def verified(self, compact: str, web_key: WebKey) -> Mapping[str, Any]:
        algorithm = web_key.config.algorithm
        public_key = key_type(algorithm).import_key(dict(web_key.public_jwk))
        return self._claims(compact, public_key, algorithm)

    def verified_assertion(self, compact: str, public_key: bytes) -> Mapping[str, Any]:
        loaded = load_der_public_key(public_key)
        if not isinstance(loaded, rsa.RSAPublicKey):
            raise ValueError("another kind of key")  # noqa: TRY004 - callers handle one type
        return self._claims(compact, RSAKey.import_key(loaded), Algorithm.RS256)

    def _claims(
        self, compact: str, public_key: RSAKey | ECKey | OKPKey, algorithm: Algorithm
    ) -> Mapping[str, Any]:
        # The key says how it signs, never the token (RFC 8725, section 3.1).
        if self.header(compact).get("alg") != algorithm.value:
            raise ValueError("another algorithm")
        try:
            found = deserialize_compact(compact.encode("ascii"), public_key, registry=ALGORITHMS)
            claims = json.loads(found.payload)
        except (JoseError, ValueError, RecursionError):
            raise ValueError("not verified") from None
        if not isinstance(claims, dict):
            raise ValueError("no claims")  # noqa: TRY004 - callers handle one type
        return claims


class AccountKeyPairs:
    """Implements the port `AccountKeyPairs`: one at a time, and never in the event loop's thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="account-keys")

    async def make(self) -> NewAccountKey:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, make_account_key)


def make_account_key() -> NewAccountKey:
    """Make a new key; takes a good part of a second."""
    private_key = rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS)
    public_key = private_key.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    # PKCS #1, as in ZITADEL's own key files: older clients read nothing else.
    private_pem = private_key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    return NewAccountKey(public_key, private_pem.decode())
