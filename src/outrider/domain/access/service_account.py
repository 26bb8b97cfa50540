"""Service accounts, and the keys and secrets with which they prove who they are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from outrider.domain.access.permission import Role
from outrider.domain.ids import AccountId, AccountKeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A caller that is a program. Its tokens may do what its roles allow at the time of a call."""

    id: AccountId
    name: str
    roles: frozenset[Role]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKey:
    """The public part of an account's key: `public_key` is a SubjectPublicKeyInfo in DER, of RSA."""

    id: AccountKeyId
    account_id: AccountId
    public_key: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Return whether it has not expired."""
        return self.expires_at is None or now < self.expires_at


def hash_secret(secret: str) -> bytes:
    """Return the digest that is stored of a token or a secret: SHA-256 suffices for 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
