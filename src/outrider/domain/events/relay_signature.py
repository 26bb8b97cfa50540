"""Verify that a relayed call was signed by its source.

    ZITADEL-Signature: t=1700000000,v1=<64 hex digits>[,v1=...]

Stricter than ZITADEL's own library where that is lenient: one time, within a window on both sides.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_HEADER_CHARS = 4096
MAX_PARTS = 32

_TIMESTAMP = re.compile(r"0|[1-9][0-9]{0,10}")
_HEX = re.compile(r"[0-9A-Fa-f]{64}")


class InvalidSignature(ValueError):
    """No known key has signed this, or not lately. The text is for the log, and names no secret."""


@dataclass(frozen=True, slots=True)
class SignatureHeader:
    """A header that was read: a time in Unix seconds, and signatures of 32 bytes."""

    at: int
    signatures: tuple[bytes, ...]


def check_signature(
    headers: Sequence[str],
    body: bytes,
    signing_keys: Sequence[str],
    now: float,
    max_age_s: int,
) -> None:
    """Return when one of the keys signed exactly this body, lately. Raise `InvalidSignature`.

    Args:
        headers: every value of `ZITADEL-Signature` and `X-ZITADEL-Signature`.
        body: the bytes as they came.
        signing_keys: the valid ones, none empty.
        now: Unix seconds.
        max_age_s: how far the signature's time may be from now, in both directions.
    """
    header = check_header(headers, now, max_age_s)
    message = b"%d.%b" % (header.at, body)
    is_known = False
    for signing_key in signing_keys:
        expected = hmac.digest(signing_key.encode(), message, "sha256")
        for signature in header.signatures:
            # No early exit: how long it takes must not say which key matched.
            is_known |= hmac.compare_digest(expected, signature)
    if not is_known:
        raise InvalidSignature("no known signing key has made the signature")


def check_header(headers: Sequence[str], now: float, max_age_s: int) -> SignatureHeader:
    """Return what may be the signature of a body that was not read yet. Raise `InvalidSignature`.

    The arguments are those of `check_signature`.
    """
    if not headers:
        raise InvalidSignature("there is no signature")
    if len(set(headers)) > 1:
        raise InvalidSignature("there are different signature headers")
    header = read_signature(headers[0])
    if not header.signatures:
        raise InvalidSignature("the signature has no value of 64 hexadecimal digits")
    age = now - header.at
    if not abs(age) <= max_age_s:
        raise InvalidSignature(f"the signature is {'too old' if age > 0 else 'from the future'}")
    return header


def read_signature(header: str) -> SignatureHeader:
    """Read a header; parts of other names, and what cannot be a signature, count for nothing.

    Raise `InvalidSignature` for one that is not written as it must be.
    """
    if len(header) > MAX_HEADER_CHARS or not header.isascii():
        raise InvalidSignature("the signature is too long, or not ASCII")
    parts = header.split(",", MAX_PARTS)
    if len(parts) > MAX_PARTS:
        raise InvalidSignature("the signature has too many parts")
    named = [part.split("=") for part in parts]
    if any(len(part) != 2 for part in named):  # noqa: PLR2004 - name and value
        raise InvalidSignature("a part of the signature is not name=value")
    stamps = [value for name, value in named if name == "t"]
    if len(stamps) != 1 or not _TIMESTAMP.fullmatch(stamps[0]):
        raise InvalidSignature("the signature has not exactly one time in seconds")
    signatures = [value for name, value in named if name == "v1" and _HEX.fullmatch(value)]
    return SignatureHeader(int(stamps[0]), tuple(map(bytes.fromhex, signatures)))
