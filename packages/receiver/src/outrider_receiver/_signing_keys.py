"""From what a programmer configured to the secrets of HMAC. Mistakes here are the programmer's."""

from __future__ import annotations

from collections.abc import Sequence


def secrets_of(signing_keys: str | Sequence[str]) -> list[bytes]:
    """The secret of each signing key: its UTF-8 bytes.

    Raises:
        TypeError: not text, or a list of texts.
        ValueError: no key, or an empty one. A forgotten setting must not verify everything.
    """
    if isinstance(signing_keys, str):
        signing_keys = [signing_keys]
    if signing_keys is None or isinstance(signing_keys, bytes):
        raise TypeError(f"{_WANTED}, not {type(signing_keys).__name__}")
    secrets = [_secret_of(signing_key) for signing_key in signing_keys]
    if not secrets:
        raise ValueError("there is no signing key: nothing could be verified")
    return secrets


_WANTED = "signing_keys is the text that CreateTarget returned, or a list of such texts"


def _secret_of(signing_key: str) -> bytes:
    if not isinstance(signing_key, str):
        raise TypeError(f"{_WANTED}, not of {type(signing_key).__name__}")
    if not signing_key:
        raise ValueError("a signing key is empty: is the setting missing?")
    return signing_key.encode()
