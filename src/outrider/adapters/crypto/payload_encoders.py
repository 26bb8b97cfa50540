"""Payload types JWT and JWE: sign the body, and for JWE also encrypt it.

If a key is missing, raise `RequestBuildError`; never fall back to another type.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import ECKey, RSAKey
from joserfc.registry import Header

from outrider.adapters.crypto.jose import sign_jws
from outrider.adapters.crypto.public_keys import read_public_key
from outrider.domain.access.web_key import SigningWebKey, no_active_web_key
from outrider.domain.calls.request_builder import RequestBuildError
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.targets.public_key import PublicKey, encryption_key
from outrider.errors import Internal

_FOR_RSA, _FOR_EC, _CONTENT = "RSA-OAEP-256", "ECDH-ES+A256KW", "A256GCM"
_ALGORITHMS = JWERegistry(algorithms=[_FOR_RSA, _FOR_EC, _CONTENT])
# RFC 7518, section 4.3: a smaller one MUST NOT be used.
_RSA_BITS = 2048
# RFC 7518, section 6.2.1.1: JOSE has no name for P-224, which may be uploaded all the same.
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
# The first payload for a key costs up to five times as much as the next. A target has one.
_KEPT_KEYS = 1024


def signed(body: bytes, resolved_target: ResolvedTarget, now: datetime) -> bytes:  # noqa: ARG001 - an encoder
    """The payload type JWT: the compact JWS of the body, by the instance's active web key."""
    return sign_jws(body, _web_key(resolved_target))


def encrypted(body: bytes, resolved_target: ResolvedTarget, now: datetime) -> bytes:
    """The payload type JWE: that JWS in a compact JWE, to the target's active public key."""
    web_key, public_key = _web_key(resolved_target), _public_key(resolved_target, now)
    inner = sign_jws(body, web_key)
    try:
        algorithm, recipient = _recipient(public_key.pem)
        # In ZITADEL's order; the library puts its ephemeral key where `epk` is.
        header: Header = {"alg": algorithm, "cty": "JWT", "enc": _CONTENT}
        if algorithm == _FOR_EC:
            header["epk"] = {}
        header |= {"kid": str(public_key.id), "typ": "JWT"}
        return encrypt_compact(header, inner, recipient, registry=_ALGORITHMS).encode()
    except (ValueError, JoseError) as failure:
        raise RequestBuildError(
            f"public key {public_key.id} cannot be encrypted to: {failure}",
            Internal(
                "Errors.Execution.InvalidPublicKey",
                "EXEC-3n8fhs7g",
                reason="nothing can be encrypted to the target's active public key",
                hint="activate an RSA key of 2048 bits or more, or an ECDSA key on P-256, P-384 or"
                " P-521",
            ),
        ) from None


def _web_key(resolved_target: ResolvedTarget) -> SigningWebKey:
    if resolved_target.web_key is None:
        raise RequestBuildError(
            "the instance has no active web key to sign with",
            no_active_web_key(),
        )
    return resolved_target.web_key


def _public_key(resolved_target: ResolvedTarget, now: datetime) -> PublicKey:
    public_key = encryption_key(resolved_target.public_keys, now)
    if public_key is None:
        active = (found for found in resolved_target.public_keys if found.is_active)
        expired = next(active, None)
        raise RequestBuildError(
            f"the target's active public key {expired.id} has expired"
            if expired
            else "the target has no active public key to encrypt to",
            Internal(
                "No encryption key found for target",
                "EXEC-2n8fhs7g",
                reason="the target has no active public key that has not expired",
                hint="add one with `outrider target key add` and activate it",
            ),
        )
    return public_key


@lru_cache(_KEPT_KEYS)
def _recipient(pem: bytes) -> tuple[str, RSAKey | ECKey]:
    """The algorithm that goes with a key, and the key. Raise `ValueError` when none does.

    Kept by what was uploaded: another key is another entry, and no rotation can meet a stale one.
    """
    loaded = load_der_public_key(read_public_key(pem))
    if isinstance(loaded, rsa.RSAPublicKey):
        if loaded.key_size < _RSA_BITS:
            raise ValueError(f"{loaded.key_size} bits are too few for {_FOR_RSA}")
        return _FOR_RSA, RSAKey.import_key(loaded)
    if isinstance(loaded, ec.EllipticCurvePublicKey) and isinstance(loaded.curve, _CURVES):
        return _FOR_EC, ECKey.import_key(loaded)
    raise ValueError("its curve has no name in JOSE")
