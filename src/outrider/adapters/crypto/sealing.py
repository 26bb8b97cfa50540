"""Seal secrets at rest: AES-256-GCM under the master key.

A sealed value is one version byte, a 12-byte random nonce, the ciphertext and its 16-byte tag. The
tag also authenticates the owner of the value, so a secret cannot be moved to another row.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MASTER_KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12
_DIGEST_BYTES = 16


class WrongMasterKey(Exception):
    """The master key does not open what was sealed, or is no master key at all."""


class Sealing:
    """Seals and opens secrets. `repr` shows nothing of the key."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != MASTER_KEY_BYTES:
            raise WrongMasterKey(
                f"a master key has {MASTER_KEY_BYTES} bytes, this one {len(master_key)}"
            )
        self._cipher = AESGCM(master_key)
        digest_key = blake2b(b"digests of events", key=master_key, digest_size=MASTER_KEY_BYTES)
        self._hash = blake2b(key=digest_key.digest(), digest_size=_DIGEST_BYTES)

    def seal(self, secret: bytes, *, belongs_to: str) -> bytes:
        """Return the sealed secret; twice the same secret gives two different texts."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret, belongs_to.encode())

    def digest(self, content: bytes) -> bytes:
        """Return a digest that only tells, without the master key, that two contents are equal."""
        hashed = self._hash.copy()
        hashed.update(content)
        return hashed.digest()

    def open(self, sealed: bytes, *, belongs_to: str) -> bytes:
        """Return the secret. Raise `WrongMasterKey` when key, owner or bytes do not fit."""
        start = len(_VERSION)
        nonce, ciphertext = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        if sealed[:start] != _VERSION:
            raise WrongMasterKey(f"the sealed value of {belongs_to} has an unknown format")
        try:
            return self._cipher.decrypt(nonce, ciphertext, belongs_to.encode())
        except (InvalidTag, ValueError):
            raise WrongMasterKey(
                f"the master key does not open the sealed value of {belongs_to}"
            ) from None


def parse_master_key(text: str) -> bytes:
    """Read a master key: Base64 (standard or URL-safe) of 32 bytes. Raise `WrongMasterKey`."""
    try:
        master_key = base64.b64decode(
            text.strip().translate({0x2D: 0x2B, 0x5F: 0x2F}), validate=True
        )
    except (binascii.Error, ValueError):
        raise WrongMasterKey(
            "the master key is not Base64; make one with: openssl rand -base64 32"
        ) from None
    if len(master_key) != MASTER_KEY_BYTES:
        raise WrongMasterKey(
            f"the master key has {len(master_key)} bytes after Base64, it needs {MASTER_KEY_BYTES}"
        )
    return master_key


def load_master_key(path: Path) -> bytes:
    """Read the master key's file, or make it on first start: mode 0600, on disk when this returns.

    Of processes that start together one makes it, and the others read that one.
    """
    try:
        return _read_master_key(path)
    except FileNotFoundError:
        with _locked(path.parent):
            with suppress(FileNotFoundError):
                return _read_master_key(path)
            master_key = os.urandom(MASTER_KEY_BYTES)
            write_private(path, base64.b64encode(master_key).decode() + "\n")
        return master_key


def _read_master_key(path: Path) -> bytes:
    return parse_master_key(path.read_text("ascii", "replace"))


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Some network file systems lock no directories: there, first starts are made one by one.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, durably: a crash leaves the old file or the new."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
