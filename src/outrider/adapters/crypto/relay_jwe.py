"""JWEs of calls to the relay, opened with the operator's private keys (RFC 7516, RFC 7518)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry, decrypt_compact
from joserfc.jwk import ECKey, RSAKey
from joserfc.registry import Header

MAX_CALL_BYTES = 4 * 1024 * 1024
"""No larger one is read before this."""

_FOR_RSA, _FOR_EC, _CONTENT = "RSA-OAEP-256", "ECDH-ES+A256KW", "A256GCM"
_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_BROKEN = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class _Registry(JWERegistry):
    """Takes bodies as large as they come, and nothing compressed."""

    max_protected_header_length = 4096
    max_ciphertext_length = MAX_CALL_BYTES

    def check_header(self, header: Header, check_more: bool = False) -> None:  # noqa: FBT001, FBT002 - as there
        # Nothing critical is understood here (RFC 7516, section 4.1.13).
        if "crit" in header or "zip" in header:
            raise ValueError("compressed, or a critical header")
        super().check_header(header, check_more)


class PrivateKeys:
    """Implements the port `JweDecrypter`."""

    def __init__(self, pems: Sequence[bytes]) -> None:
        """Raise `ValueError` with half a sentence for a PEM that is no usable private key."""
        self._keys = [_loaded(pem) for pem in pems]

    def decrypted(self, compact: bytes) -> bytes:
        """Try each key: the `kid` is ZITADEL's own id, which outrider does not know."""
        for algorithm, private_key in self._keys:
            registry = _Registry(algorithms=[algorithm, _CONTENT])
            try:
                opened = decrypt_compact(compact, private_key, registry=registry).plaintext
            except _BROKEN:
                continue
            if opened is not None:
                return opened
        raise ValueError("the body is encrypted with another key, or damaged")


def _loaded(pem: bytes) -> tuple[str, RSAKey | ECKey]:
    try:
        loaded = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        # The library's message may quote the file.
        raise ValueError("is no private key in PEM without a password") from None
    if isinstance(loaded, rsa.RSAPrivateKey):
        if loaded.key_size < _RSA_BITS:
            raise ValueError(f"has {loaded.key_size} bits, too few for {_FOR_RSA}")
        return _FOR_RSA, RSAKey.import_key(loaded)
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and isinstance(loaded.curve, _CURVES):
        return _FOR_EC, ECKey.import_key(loaded)
    raise ValueError("is neither an RSA key nor one of P-256, P-384 and P-521")
