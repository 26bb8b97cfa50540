"""Reading the keys that receivers upload."""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

# The first block counts, whatever its label; text around it is ignored, as Go's encoding/pem does.
_PEM = re.compile(
    rb"-----BEGIN (?P<label>[^\r\n-]*)-----[ \t]*\r?\n(?P<text>[A-Za-z0-9+/=\s]*?)-----END (?P=label)-----"
)
# The curves that Go's x509 knows.
_CURVES = (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


# To encrypt to a key of 16384 bits takes a worker 12 ms for each delivery, and 0.2 ms here.
_MAX_RSA_BITS = 8192
# Go's crypto/rsa takes no larger one either.
_MAX_EXPONENT = 2**31 - 1


def read_public_key(pem: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) in DER of an RSA or ECDSA key in PEM.

    Raise `ValueError` for everything else: PKCS#1, certificates, other algorithms, other curves.
    """
    block = _PEM.search(pem)
    if block is None:
        raise ValueError("no PEM block")
    try:
        der = base64.b64decode(b"".join(block["text"].split()), validate=True)
        loaded = load_der_public_key(der)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise ValueError("no public key") from None
    if not isinstance(loaded, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise ValueError("neither RSA nor ECDSA")  # noqa: TRY004 - callers handle one type
    if isinstance(loaded, rsa.RSAPublicKey):
        _check_size(loaded)
    if isinstance(loaded, ec.EllipticCurvePublicKey) and not isinstance(loaded.curve, _CURVES):
        raise ValueError(f"the curve {loaded.curve.name} is not supported")  # noqa: TRY004
    if loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != der:
        # PKCS#1, which the library reads as well, and forms that no other reader would accept.
        raise ValueError("not a SubjectPublicKeyInfo")
    return der


def _check_size(public_key: rsa.RSAPublicKey) -> None:
    if public_key.key_size > _MAX_RSA_BITS:
        raise ValueError(f"an RSA key of {public_key.key_size} bits, more than {_MAX_RSA_BITS}")
    if public_key.public_numbers().e > _MAX_EXPONENT:
        raise ValueError("an RSA key with a public exponent of more than 31 bits")
