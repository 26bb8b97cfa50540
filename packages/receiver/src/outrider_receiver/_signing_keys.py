"""From what a programmer configured to the secrets of HMAC. Mistakes here are the programmer's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from hashlib import _Hash

_BLOCK_BYTES = 64  # of SHA-256; RFC 2104 pads the secret to this length
_INNER_PAD = bytes(octet ^ 0x36 for octet in range(256))
_OUTER_PAD = bytes(octet ^ 0x5C for octet in range(256))

Hasher: TypeAlias = "Callable[[], _Hash]"
"""Makes a SHA-256 to hash on with, from where another one was."""

_WANTED = "signing_keys is the text that CreateTarget returned, or a list of such texts"


def secrets_of(signing_keys: str | Sequence[str]) -> tuple[str, ...]:
    """The signing keys, checked: at least one, none empty.

    Raises:
        TypeError: not text, or a list of texts.
        ValueError: no key, or an empty one. A forgotten setting must not verify everything.
    """
    if isinstance(signing_keys, str):
        return (_checked(signing_keys),)
    if signing_keys is None or isinstance(signing_keys, bytes):
        raise TypeError(f"{_WANTED}, not {type(signing_keys).__name__}")
    secrets = tuple(_checked(signing_key) for signing_key in signing_keys)
    if not secrets:
        raise ValueError("there is no signing key: nothing could be verified")
    return secrets


def hmac_sha256(signing_key: str, prefix: bytes, body: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104) over prefix and body, under the UTF-8 bytes of the signing key.

    From the remembered halves of the padded secret, which halves the time for a body of 1 KiB.
    """
    inner, outer = halves(signing_key)
    hashed, mac = inner(), outer()
    hashed.update(prefix + body)
    mac.update(hashed.digest())
    return mac.digest()


# The bound keeps a receiver that reads keys from a database small; the secrets themselves are in
# this process's memory anyway.
@lru_cache(maxsize=256)
def halves(signing_key: str) -> tuple[Hasher, Hasher]:
    """Make SHA-256 after the inner, and after the outer, padded secret: hash on from there."""
    secret = signing_key.encode()
    if len(secret) > _BLOCK_BYTES:
        secret = sha256(secret).digest()
    secret = secret.ljust(_BLOCK_BYTES, b"\0")
    inner, outer = sha256(secret.translate(_INNER_PAD)), sha256(secret.translate(_OUTER_PAD))
    return inner.copy, outer.copy


def _checked(signing_key: str) -> str:
    if not isinstance(signing_key, str):
        raise TypeError(f"{_WANTED}, not of {type(signing_key).__name__}")
    if not signing_key:
        raise ValueError("a signing key is empty: is the setting missing?")
    return signing_key
