"""Targets in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from fakes.memory.delivery import transitions
from fakes.memory.pages import page_of
from fakes.memory.tables import Tables
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.targets.search import NameFilter, TargetFilter, TargetSort, TextMethod
from outrider.domain.targets.target import Target
from outrider.errors import AlreadyExists
from outrider.usecases.ports.targets import RoutedTarget

_SORTED_BY: dict[TargetSort, Callable[[Target], Any]] = {
    TargetSort.ID: lambda target: target.id,
    TargetSort.CREATED: lambda target: target.created_at,
    TargetSort.CHANGED: lambda target: target.changed_at,
    TargetSort.NAME: lambda target: target.name,
    TargetSort.TYPE: lambda target: target.type,
    TargetSort.ENDPOINT: lambda target: target.endpoint,
    TargetSort.TIMEOUT: lambda target: target.timeout,
    TargetSort.INTERRUPT: lambda target: target.interrupt_on_error,
}
_COMPARED_BY: dict[TextMethod, Callable[[str, str], bool]] = {
    TextMethod.EQUALS: str.__eq__,
    TextMethod.STARTS_WITH: str.startswith,
    TextMethod.CONTAINS: str.__contains__,
    TextMethod.ENDS_WITH: str.endswith,
}


class MemoryTargets:
    """`ports.targets.Targets` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, instance: InstanceId, target: Target) -> None:
        self._write(instance, target)

    def get(self, instance: InstanceId, target: TargetId) -> Target | None:
        return self._tables.targets.get((instance, target))

    def get_many(
        self, ids: Collection[tuple[InstanceId, TargetId]]
    ) -> dict[tuple[InstanceId, TargetId], Target]:
        targets = self._tables.targets
        return {target_key: targets[target_key] for target_key in ids if target_key in targets}

    def replace(self, instance: InstanceId, target: Target) -> None:
        self._write(instance, target)

    def delete(self, instance: InstanceId, target: TargetId, at: datetime) -> None:
        if self._tables.targets.pop((instance, target), None) is None:
            return
        self._tables.deleted_targets[instance, target] = at
        self._tables.policies.pop((instance, target), None)
        self._tables.target_queues.pop((instance, target), None)
        self._tables.routing_revision += 1
        transitions.cancel_deliveries_to(self._tables, instance, target, at)

    def finish_deletion(self, instance: InstanceId, target: TargetId, at: datetime) -> bool:
        return True  # `delete` leaves nothing

    def unfinished_deletions(self) -> Sequence[tuple[InstanceId, TargetId]]:
        return []

    def deleted_at(self, instance: InstanceId, target: TargetId) -> datetime | None:
        return self._tables.deleted_targets.get((instance, target))

    def existing(self, instance: InstanceId, targets: Collection[TargetId]) -> set[TargetId]:
        return {target for target in targets if (instance, target) in self._tables.targets}

    def routed(
        self, instance: InstanceId, targets: Collection[TargetId]
    ) -> dict[TargetId, RoutedTarget]:
        found = self.get_many([(instance, target) for target in targets])
        return {target.id: RoutedTarget(target.id, target.is_awaited) for target in found.values()}

    def search(
        self, instance: InstanceId, filters: Sequence[TargetFilter], sort: TargetSort, page: Page
    ) -> Listing[Target]:
        matching = [
            target
            for (owner, _), target in self._tables.targets.items()
            if owner == instance and all(_matches(target, condition) for condition in filters)
        ]
        value = _SORTED_BY[sort]
        return page_of(matching, lambda target: (value(target), target.id), page)

    def _write(self, instance: InstanceId, target: Target) -> None:
        for (owner, other_id), other in self._tables.targets.items():
            is_another = owner == instance and other_id != target.id
            if is_another and other.name.lower() == target.name.lower():
                raise AlreadyExists("Errors.Target.AlreadyExists", "V3-DKcYh")
        self._tables.targets[instance, target.id] = target
        self._tables.routing_revision += 1


def _matches(target: Target, condition: TargetFilter) -> bool:
    if not isinstance(condition, NameFilter):
        return target.id in condition.ids
    name, text, method = target.name, condition.text, condition.method
    if method.ignores_case:
        name, text, method = name.lower(), text.lower(), TextMethod(method - 1)
    return _COMPARED_BY[method](name, text)
