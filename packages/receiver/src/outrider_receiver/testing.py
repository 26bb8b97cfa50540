"""Make calls that `verify` believes, to test a receiver without a sender."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from outrider_receiver._signing_keys import secrets_of


def sign(body: bytes, *, signing_keys: str | Sequence[str], at: int) -> str:
    """The value of a `ZITADEL-Signature` header over this body, with one `v1` for each key.

    Args:
        body: the bytes that the receiver will get.
        signing_keys: as for `verify`.
        at: Unix seconds; the receiver refuses what is too far from its own clock.
    """
    message = b"%d." % at + body
    signatures = [hmac.digest(secret, message, "sha256") for secret in secrets_of(signing_keys)]
    return ",".join([f"t={at}", *(f"v1={signature.hex()}" for signature in signatures)])
