"""Public keys of targets in memory."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from fakes.memory.pages import page_of
from fakes.memory.tables import Tables
from outrider.domain.ids import InstanceId, PublicKeyId, TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.targets.public_key import (
    ActiveFilter,
    PublicKey,
    PublicKeyFilter,
    PublicKeyIdsFilter,
    PublicKeySort,
    TimeMethod,
)

_NEVER = datetime.max.replace(tzinfo=UTC)
_SORTED_BY: dict[PublicKeySort, Callable[[PublicKey], Any]] = {
    PublicKeySort.CREATED: lambda public_key: public_key.created_at,
    PublicKeySort.CHANGED: lambda public_key: public_key.changed_at,
    PublicKeySort.EXPIRES: lambda public_key: public_key.expires_at or _NEVER,
}
_COMPARED_BY: dict[TimeMethod, Callable[[datetime, datetime], bool]] = {
    TimeMethod.EQUALS: operator.eq,
    TimeMethod.AFTER: operator.gt,
    TimeMethod.AFTER_OR_EQUALS: operator.ge,
    TimeMethod.BEFORE: operator.lt,
    TimeMethod.BEFORE_OR_EQUALS: operator.le,
}


class MemoryPublicKeys:
    """`ports.targets.PublicKeys` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, instance: InstanceId, target: TargetId, public_key: PublicKey) -> None:
        self._write(instance, target, (*self._all(instance, target), public_key))

    def of_target(self, instance: InstanceId, target: TargetId) -> Sequence[PublicKey]:
        exists = (instance, target) in self._tables.targets
        return list(self._all(instance, target)) if exists else []

    def replace(self, instance: InstanceId, target: TargetId, public_key: PublicKey) -> None:
        public_keys = self._all(instance, target)
        changed = tuple(public_key if old.id == public_key.id else old for old in public_keys)
        self._write(instance, target, changed)

    def remove(
        self, instance: InstanceId, target: TargetId, public_key: PublicKeyId, at: datetime
    ) -> None:
        public_keys = self._all(instance, target)
        left = tuple(other for other in public_keys if other.id != public_key)
        if len(left) < len(public_keys):
            self._write(instance, target, left)
            self._tables.public_key_removals[instance, target] = at

    def last_removal(self, instance: InstanceId, target: TargetId) -> datetime | None:
        return self._tables.public_key_removals.get((instance, target))

    def search(
        self,
        instance: InstanceId,
        target: TargetId,
        filters: Sequence[PublicKeyFilter],
        sort: PublicKeySort,
        page: Page,
    ) -> Listing[PublicKey]:
        found = (
            public_key
            for public_key in self.of_target(instance, target)
            if all(_matches(public_key, condition) for condition in filters)
        )
        value = _SORTED_BY[sort]
        return page_of(found, lambda public_key: (value(public_key), int(public_key.id)), page)

    def _all(self, instance: InstanceId, target: TargetId) -> tuple[PublicKey, ...]:
        return self._tables.public_keys.get((instance, target), ())

    def _write(
        self, instance: InstanceId, target: TargetId, public_keys: tuple[PublicKey, ...]
    ) -> None:
        self._tables.public_keys[instance, target] = public_keys
        self._tables.routing_revision += 1


def _matches(public_key: PublicKey, condition: PublicKeyFilter) -> bool:
    if isinstance(condition, PublicKeyIdsFilter):
        return public_key.id in condition.ids
    if isinstance(condition, ActiveFilter):
        return public_key.is_active is condition.is_active
    if public_key.expires_at is None:
        return condition.method in {TimeMethod.AFTER, TimeMethod.AFTER_OR_EQUALS}
    return _COMPARED_BY[condition.method](public_key.expires_at, condition.at)
