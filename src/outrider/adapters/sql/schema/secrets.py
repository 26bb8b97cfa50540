"""What the store needs to seal secrets: adapters do not import one another."""

from __future__ import annotations

from typing import Protocol


class Secrets(Protocol):
    """Seals secrets at rest."""

    def seal(self, secret: bytes, *, belongs_to: str) -> bytes:
        """Return the sealed secret, which may be stored."""
        ...

    def open(self, sealed: bytes, *, belongs_to: str) -> bytes:
        """Return the secret; raise when the key or the owner is another one."""
        ...
