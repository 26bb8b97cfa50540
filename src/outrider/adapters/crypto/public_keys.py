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
    if isinstance(loaded, ec.EllipticCurvePublicKey) and not isinstance(loaded.curve, _CURVES):
        raise ValueError(f"the curve {loaded.curve.name} is not supported")  # noqa: TRY004
    if loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != der:
        # PKCS#1, which the library reads as well, and forms that no other reader would accept.
        raise ValueError("not a SubjectPublicKeyInfo")
    return der
