"""What the relay needs from the outside besides the keys of issuers."""

from __future__ import annotations

from typing import Protocol


class Decrypts(Protocol):
    """The private keys of one source."""

    def decrypted(self, compact: bytes) -> bytes:
        """What a compact JWE (RFC 7516) holds. Raise `ValueError` when it is none for these keys."""
        ...
