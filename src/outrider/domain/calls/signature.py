"""Two signatures over the body of a request, by which a receiver verifies its sender.

Both are HMAC-SHA256 under the UTF-8 bytes of the target's signing keys (docs/contract.md#calls).
They differ in the bytes in front of the body and in the format of the result. A receiver checks
either. Every attempt has new signatures: the id stays, the timestamp changes.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Protocol, Self

SIGNATURE_HEADERS = ("Zitadel-Signature", "X-Zitadel-Signature")
"""The names under which the value of `zitadel_signature` is sent: the one that ZITADEL sends, and
the one that its API reference documents. Both carry the same value. They are spelled as Go writes
them, because some receivers compare case."""

_BLOCK_BYTES = 64  # of SHA-256; RFC 2104 pads the secret to this length
_INNER_PAD = bytes(octet ^ 0x36 for octet in range(256))
_OUTER_PAD = bytes(octet ^ 0x5C for octet in range(256))

# A hashed secret is four SHA-256 blocks of work that do not depend on the body. Remembering it
# makes a 340-byte signature cost 1.1 µs where `hmac.digest` takes 2.3 µs. The bound keeps a node
# with a million targets small; the secrets themselves are in this process's memory anyway.
_REMEMBERED_KEYS = 16384


def zitadel_signature(body: bytes, signing_keys: Sequence[str], at: int) -> str:
    """The value of the `Zitadel-Signature` header: `t=<at>,v1=<hex>[,v1=<hex>...]`.

    One `v1` for each key, in the order given: a receiver that knows any of them accepts the call.

    Args:
        body: the bytes that are sent, after signing as JWT or encrypting as JWE.
        signing_keys: the target's valid keys, at least one, none empty.
        at: Unix seconds of this attempt.

    Raises:
        ValueError: there is no key, or one is empty.
    """
    message = b"%d.%b" % (at, body)
    signatures = [f",v1={_mac(signing_key, message).hex()}" for signing_key in signing_keys]
    return f"t={at}" + "".join(_at_least_one(signatures))


def standard_webhooks_headers(
    body: bytes, message_id: str, signing_keys: Sequence[str], at: int
) -> dict[str, str]:
    """The three headers of Standard Webhooks 1.0: `webhook-id`, `-timestamp` and `-signature`.

    The signature has one `v1,<Base64>` for each key, separated by spaces, in the order given.
    Receivers' libraries want the key as `whsec_` + Base64 of the UTF-8 bytes of the signing key.

    Args:
        body: the very bytes that are sent.
        message_id: the delivery's id, or the call's for an interception; without a full stop.
        signing_keys: the target's valid keys, at least one, none empty.
        at: Unix seconds of this attempt.

    Raises:
        ValueError: there is no key, one is empty, or the id has a full stop: id, timestamp and
            body are joined by full stops, and would no longer have one reading.
    """
    if "." in message_id:
        raise ValueError("the id of a signed message has no full stop")
    message = b"%b.%d.%b" % (message_id.encode(), at, body)
    signatures = [
        "v1," + b2a_base64(_mac(signing_key, message), newline=False).decode("ascii")
        for signing_key in signing_keys
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(_at_least_one(signatures)),
    }


def _at_least_one(signatures: list[str]) -> list[str]:
    if not signatures:
        raise ValueError("a call is signed with at least one signing key")
    return signatures


def _mac(signing_key: str, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104), from the remembered halves of the secret."""
    inner, outer = _keyed(signing_key)
    inner = inner.copy()
    inner.update(message)
    outer = outer.copy()
    outer.update(inner.digest())
    return outer.digest()


class _Sha256(Protocol):
    """What `hashlib` returns; it has no public name for it."""

    def copy(self) -> Self: ...
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


@lru_cache(maxsize=_REMEMBERED_KEYS)
def _keyed(signing_key: str) -> tuple[_Sha256, _Sha256]:
    """SHA-256 after the inner and after the outer padded secret. Copy before updating."""
    secret = signing_key.encode()
    if not secret:
        raise ValueError("a signing key is empty")
    if len(secret) > _BLOCK_BYTES:
        secret = sha256(secret).digest()
    secret = secret.ljust(_BLOCK_BYTES, b"\0")
    return sha256(secret.translate(_INNER_PAD)), sha256(secret.translate(_OUTER_PAD))
