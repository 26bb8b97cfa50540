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
    """`ports.PublicKeys` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, instance: InstanceId, target: TargetId, public_key: PublicKey) -> None:
        self._write(instance, target, (*self._all(instance, target), public_key))

    def of_target(self, instance: InstanceId, target: TargetId) -> Sequence[PublicKey]:
        exists = (instance, target) in self._tables.targets
        return list(self._all(instance, target)) if exists else []

    def replace(self, instance: InstanceId, target: TargetId, public_key: PublicKey) -> None:
        everything = self._all(instance, target)
        changed = tuple(public_key if each.id == public_key.id else each for each in everything)
        self._write(instance, target, changed)

    def remove(
        self, instance: InstanceId, target: TargetId, public_key: PublicKeyId, at: datetime
    ) -> None:
        everything = self._all(instance, target)
        left = tuple(each for each in everything if each.id != public_key)
        if len(left) < len(everything):
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
            each
            for each in self.of_target(instance, target)
            if all(_meets(each, wanted) for wanted in filters)
        )
        return page_of(found, lambda each: (_SORTED_BY[sort](each), int(each.id)), page)

    def _all(self, instance: InstanceId, target: TargetId) -> tuple[PublicKey, ...]:
        return self._tables.public_keys.get((instance, target), ())

    def _write(
        self, instance: InstanceId, target: TargetId, public_keys: tuple[PublicKey, ...]
    ) -> None:
        self._tables.public_keys[instance, target] = public_keys
        self._tables.routing_revision += 1


def _meets(public_key: PublicKey, wanted: PublicKeyFilter) -> bool:
    if isinstance(wanted, PublicKeyIdsFilter):
        return public_key.id in wanted.ids
    if isinstance(wanted, ActiveFilter):
        return public_key.is_active is wanted.is_active
    if public_key.expires_at is None:
        return wanted.method in {TimeMethod.AFTER, TimeMethod.AFTER_OR_EQUALS}
    return _COMPARED_BY[wanted.method](public_key.expires_at, wanted.at)
