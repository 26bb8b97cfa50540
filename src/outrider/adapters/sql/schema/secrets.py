"""What the store needs to keep secrets: an adapter never imports another one."""

from __future__ import annotations

from typing import Protocol


class Secrets(Protocol):
    """Seals secrets at rest."""

    def seal(self, secret: bytes, *, belongs_to: str) -> bytes:
        """Return what may be written down."""
        ...

    def open(self, sealed: bytes, *, belongs_to: str) -> bytes:
        """Return the secret; raise when the key or the owner is another one."""
        ...
