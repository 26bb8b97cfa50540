"""The receiver's keys: uploaded to a target, to encrypt to. At most one of a target is active."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from outrider.domain.ids import PublicKeyId
from outrider.errors import FailedPrecondition


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """One key as it was uploaded. Immutable: a change is a new value.

    `pem` is what the caller sent, byte for byte. `expires_at` None: never.
    """

    id: PublicKeyId
    pem: bytes
    fingerprint: str
    is_active: bool
    expires_at: datetime | None
    created_at: datetime
    changed_at: datetime

    def has_expired(self, now: datetime) -> bool:
        """Return whether the key has expired: no payload may be encrypted to it."""
        return self.expires_at is not None and self.expires_at <= now


def fingerprint(spki: bytes) -> str:
    """`SHA256:` and unpadded Base64 of the hash of a SubjectPublicKeyInfo in DER."""
    digest = base64.b64encode(hashlib.sha256(spki).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"


def activated(public_key: PublicKey, now: datetime) -> PublicKey:
    """Return it active; itself when it is already. Raise `FailedPrecondition` when it has expired."""
    if public_key.has_expired(now):
        raise FailedPrecondition(
            "Target public key is expired",
            "ErrPublicKeyExpired",
            reason=f"public key {public_key.id} expired at {public_key.expires_at:%Y-%m-%dT%H:%M:%SZ}",
            hint="add a new key and activate that",
        )
    return _with_state(public_key, is_active=True, now=now)


def deactivated(public_key: PublicKey, now: datetime) -> PublicKey:
    """Return it inactive; itself when it is already. Expired keys may be deactivated."""
    return _with_state(public_key, is_active=False, now=now)


def check_removable(public_key: PublicKey) -> None:
    """Raise `FailedPrecondition` for the key that is in use."""
    if public_key.is_active:
        raise FailedPrecondition(
            "Cannot delete active target public key",
            "ErrPublicKeyDeleteActiveKey",
            reason=f"payloads are encrypted to public key {public_key.id}",
            hint="activate another key first, or `outrider target key deactivate` this one",
        )


def encryption_key(public_keys: Sequence[PublicKey], now: datetime) -> PublicKey | None:
    """The key to encrypt to: the active one, unless it has expired; expiry counts when it is used."""
    for public_key in public_keys:
        if public_key.is_active and not public_key.has_expired(now):
            return public_key
    return None


def _with_state(public_key: PublicKey, *, is_active: bool, now: datetime) -> PublicKey:
    if public_key.is_active is is_active:
        return public_key
    return replace(public_key, is_active=is_active, changed_at=now)


class PublicKeySort(Enum):
    """A sort column for lists of public keys."""

    CREATED = "created"
    CHANGED = "changed"
    EXPIRES = "expires"


class TimeMethod(Enum):
    """A comparison of times. The numbers are those of `zitadel.filter.v2.TimestampFilterMethod`."""

    EQUALS = 0
    AFTER = 1
    AFTER_OR_EQUALS = 2
    BEFORE = 3
    BEFORE_OR_EQUALS = 4


@dataclass(frozen=True, slots=True)
class PublicKeyIdsFilter:
    """Keys with one of these ids; never empty."""

    ids: tuple[PublicKeyId, ...]


@dataclass(frozen=True, slots=True)
class ActiveFilter:
    """Keys that are active, or that are not."""

    is_active: bool


@dataclass(frozen=True, slots=True)
class ExpiryFilter:
    """Keys that expire so; keys that never expire are after every time."""

    at: datetime
    method: TimeMethod


PublicKeyFilter = PublicKeyIdsFilter | ActiveFilter | ExpiryFilter
