"""Public keys of targets: what payloads of the type JWE are encrypted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.access.permission import Actor
from outrider.domain.ids import InstanceId, PublicKeyId, TargetId, shown_id
from outrider.domain.page import Listing, Page
from outrider.domain.targets.public_key import (
    PublicKey,
    PublicKeyFilter,
    PublicKeySort,
    activated,
    check_removable,
    deactivated,
    fingerprint,
)
from outrider.errors import FailedPrecondition, InvalidRequest
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Store, Unit

_INVALID_KEY = (
    "The public key is invalid. Must be a PEM encoded RSA or ECDSA public key in PKCS#8 format"
)


@dataclass(frozen=True, slots=True)
class ManagePublicKeys:
    """Add, switch, remove and find the keys of a target.

    `read_spki` returns the SubjectPublicKeyInfo of a key in PEM, or raises `ValueError`.
    """

    store: Store
    runtime: Runtime
    read_spki: Callable[[bytes], bytes]

    async def add(
        self, actor: Actor, target_id: TargetId, pem: bytes, expires_at: datetime | None
    ) -> PublicKey:
        """Add a key, inactive. Adding the same key again makes another one."""
        _check_ids(target_id)
        now = self.runtime.now()
        if expires_at is not None and expires_at < now:
            text = "Key expiration date must be in the future"
            raise InvalidRequest(
                text,
                "ErrExpirationDateBeforeNow",
                reason=f"the date {expires_at:%Y-%m-%dT%H:%M:%SZ} has passed",
                hint="give a later date, or none for a key that does not expire",
            )
        public_key = PublicKey(
            id=PublicKeyId(str(self.runtime.new_sonyflake())),
            pem=pem,
            fingerprint=fingerprint(self._spki(pem)),
            is_active=False,
            expires_at=expires_at,
            created_at=now,
            changed_at=now,
        )

        def apply(unit: Unit) -> None:
            if unit.targets.get(actor.instance_id, target_id) is None:
                raise FailedPrecondition(
                    "Target not found",
                    "ErrTargetNotFound",
                    reason=f"there is no target {shown_id(target_id)} in this instance",
                    hint="give an id that `outrider target list` shows",
                )
            unit.public_keys.add(actor.instance_id, target_id, public_key)

        await self.store.write(apply)
        return public_key

    async def activate(
        self, actor: Actor, target_id: TargetId, key_id: PublicKeyId
    ) -> tuple[PublicKey, Sequence[PublicKeyId]]:
        """Encrypt to this key from now on; every other key of the target becomes inactive.

        Return it with the ids of those that were active.
        """
        _check_ids(target_id, key_id)

        def apply(unit: Unit) -> tuple[PublicKey, Sequence[PublicKeyId]]:
            now = self.runtime.now()
            keys = unit.public_keys.of_target(actor.instance_id, target_id)
            active = activated(_require(keys, target_id, key_id), now)
            others = [
                deactivated(public_key, now) for public_key in keys if public_key.id != key_id
            ]
            _write_changed(unit, actor.instance_id, target_id, keys, [*others, active])
            former = [found.id for found in keys if found.is_active and found.id != key_id]
            return active, former

        return await self.store.write(apply)

    async def deactivate(self, actor: Actor, target_id: TargetId, key_id: PublicKeyId) -> PublicKey:
        """Encrypt to this key no longer; an expired key may be deactivated, too."""
        _check_ids(target_id, key_id)

        def apply(unit: Unit) -> PublicKey:
            keys = unit.public_keys.of_target(actor.instance_id, target_id)
            public_key = _require(keys, target_id, key_id)
            inactive = deactivated(public_key, self.runtime.now())
            _write_changed(unit, actor.instance_id, target_id, keys, [inactive])
            return inactive

        return await self.store.write(apply)

    async def remove(
        self, actor: Actor, target_id: TargetId, key_id: PublicKeyId
    ) -> datetime | None:
        """Remove a key that is not active.

        Return when; for a key that is not there, when its target changed last; None when the
        target is unknown, too.
        """
        _check_ids(target_id, key_id)

        def apply(unit: Unit) -> datetime | None:
            keys = unit.public_keys.of_target(actor.instance_id, target_id)
            public_key = _find(keys, key_id)
            if public_key is None:
                return _last_change(unit, actor.instance_id, target_id, keys)
            check_removable(public_key)
            now = self.runtime.now()
            unit.public_keys.remove(actor.instance_id, target_id, key_id, now)
            return now

        return await self.store.write(apply)

    async def search(
        self,
        actor: Actor,
        target_id: TargetId,
        filters: Sequence[PublicKeyFilter],
        sort: PublicKeySort,
        page: Page,
    ) -> Listing[PublicKey]:
        """Filters are ANDed. A target that does not exist has no keys."""
        return await self.store.read(
            lambda unit: unit.public_keys.search(actor.instance_id, target_id, filters, sort, page)
        )

    def _spki(self, pem: bytes) -> bytes:
        try:
            return self.read_spki(pem)
        except ValueError as invalid:
            raise InvalidRequest(
                _INVALID_KEY,
                "ErrPublicKeyFormat",
                reason=f"the key cannot be used: {invalid}",
                hint="export it with `openssl pkey -in PRIVATE.pem -pubout`",
            ) from None


def _check_ids(*ids: str) -> None:
    if not all(ids):
        raise InvalidRequest(
            "ID missing",
            "ErrTargetIDMissing",
            reason="the id of the target or of the key is empty",
            hint="give ids that ListTargets and ListPublicKeys answer",
        )


def _require(
    public_keys: Sequence[PublicKey], target_id: TargetId, key_id: PublicKeyId
) -> PublicKey:
    public_key = _find(public_keys, key_id)
    if public_key is None:
        raise FailedPrecondition(
            "Target not found",
            "ErrKeyNotFound",
            reason=f"target {shown_id(target_id)} has no public key {shown_id(key_id)}, or there is no such"
            " target",
            hint=f"give an id that `outrider target key list {shown_id(target_id, 'TARGET_ID')}` shows",
        )
    return public_key


def _find(public_keys: Sequence[PublicKey], key_id: PublicKeyId) -> PublicKey | None:
    return next((public_key for public_key in public_keys if public_key.id == key_id), None)


def _write_changed(
    unit: Unit,
    instance: InstanceId,
    target_id: TargetId,
    before: Sequence[PublicKey],
    after: Sequence[PublicKey],
) -> None:
    for public_key in after:
        if public_key not in before:
            unit.public_keys.replace(instance, target_id, public_key)


def _last_change(
    unit: Unit, instance: InstanceId, target_id: TargetId, public_keys: Sequence[PublicKey]
) -> datetime | None:
    target = unit.targets.get(instance, target_id)
    if target is None:
        return unit.targets.deleted_at(instance, target_id)
    changes = [target.changed_at, *(public_key.changed_at for public_key in public_keys)]
    removal = unit.public_keys.last_removal(instance, target_id)
    return max([*changes, removal] if removal else changes)
