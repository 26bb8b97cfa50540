"""Executions in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from fakes.memory.pages import page_of
from fakes.memory.tables import Tables
from outrider.domain.ids import ExecutionId, InstanceId, TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.routing.execution import Execution
from outrider.domain.routing.search import (
    ExecutionFilter,
    ExecutionIdsFilter,
    ExecutionSort,
    KindFilter,
)
from outrider.usecases.ports.targets import RoutedTarget

_SORTED_BY: dict[ExecutionSort, Callable[[Execution], Any]] = {
    ExecutionSort.ID: lambda execution: execution.id,
    ExecutionSort.CREATED: lambda execution: execution.created_at,
    ExecutionSort.CHANGED: lambda execution: execution.changed_at,
}


class MemoryExecutions:
    """`ports.targets.Executions` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, instance: InstanceId, execution: ExecutionId) -> Execution | None:
        return self._tables.executions.get((instance, execution))

    def existing(
        self, instance: InstanceId, executions: Collection[ExecutionId]
    ) -> set[ExecutionId]:
        return {found for found in executions if (instance, found) in self._tables.executions}

    def put(self, instance: InstanceId, execution: Execution) -> None:
        self._tables.executions[instance, execution.id] = execution
        self._tables.routing_revision += 1

    def search(
        self,
        instance: InstanceId,
        filters: Sequence[ExecutionFilter],
        sort: ExecutionSort,
        page: Page,
    ) -> Listing[Execution]:
        matching = [
            execution
            for execution in self._live(instance)
            if all(_matches(execution, condition) for condition in filters)
        ]
        value = _SORTED_BY[sort]
        return page_of(matching, lambda execution: (value(execution), execution.id), page)

    def routes(self) -> dict[InstanceId, dict[ExecutionId, tuple[RoutedTarget, ...]]]:
        instances = {instance for instance, _ in self._tables.executions}
        routes = {instance: self._routes_of(instance) for instance in instances}
        return {instance: executions for instance, executions in routes.items() if executions}

    def _routes_of(self, instance: InstanceId) -> dict[ExecutionId, tuple[RoutedTarget, ...]]:
        targets = self._tables.targets
        return {
            execution.id: tuple(
                RoutedTarget(target, targets[instance, target].is_awaited)
                for target in execution.targets
            )
            for execution in self._live(instance)
        }

    def _live(self, instance: InstanceId) -> list[Execution]:
        """Executions with a target that still exists, with only those targets."""
        live = (
            replace(execution, targets=self._existing(instance, execution))
            for (owner, _), execution in self._tables.executions.items()
            if owner == instance
        )
        return [execution for execution in live if execution.targets]

    def _existing(self, instance: InstanceId, execution: Execution) -> tuple[TargetId, ...]:
        return tuple(
            target for target in execution.targets if (instance, target) in self._tables.targets
        )


def _matches(execution: Execution, condition: ExecutionFilter) -> bool:
    if isinstance(condition, ExecutionIdsFilter):
        return execution.id in condition.ids
    if isinstance(condition, KindFilter):
        return execution.condition.kind is condition.kind
    return condition.target_id in execution.targets
