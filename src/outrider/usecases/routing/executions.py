"""Executions: which targets are called for which condition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from outrider.domain.access.permission import Actor
from outrider.domain.ids import TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.routing.catalogue import Catalogue
from outrider.domain.routing.condition import Condition, Scope, exists, unknown_condition
from outrider.domain.routing.execution import (
    Execution,
    ExecutionChange,
    check_target_list,
    check_targets_exist,
)
from outrider.domain.routing.router import NO_SHADOWING, Shadowing
from outrider.domain.routing.search import ExecutionFilter, ExecutionSort
from outrider.domain.routing.similar_names import similar_names
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Load, Store, Unit
from outrider.usecases.routing.routing_table import Routing


@dataclass(frozen=True, slots=True)
class DescribedExecution:
    """An execution as it is now: id and name of its targets in calling order, deleted ones left out.

    `changed_at` is when it was set last; None when it never was.
    """

    condition: Condition
    targets: Sequence[tuple[TargetId, str]]
    changed_at: datetime | None
    shadowing: Shadowing = NO_SHADOWING


@dataclass(frozen=True, slots=True)
class ManageExecutions:
    """Set and find executions, and say what they can be set for."""

    store: Store
    runtime: Runtime
    routing: Routing

    async def set(
        self, actor: Actor, condition: Condition, targets: Sequence[TargetId]
    ) -> ExecutionChange:
        """Replace the list of a condition; an empty list clears it.

        Checks and their order are ZITADEL's.
        """
        check_target_list(targets)
        await self._check_exists(actor, condition)
        new = tuple(targets)

        def apply(unit: Unit) -> ExecutionChange:
            stored = unit.executions.get(actor.instance_id, condition.execution_id)
            former = stored.targets if stored else ()
            if new == former:
                return ExecutionChange(stored.changed_at if stored else None)
            existing = unit.targets.existing(actor.instance_id, {*new, *former})
            check_targets_exist(new, existing)
            now = self.runtime.now()
            created_at = stored.created_at if stored else now
            execution = Execution(
                condition=condition, targets=new, created_at=created_at, changed_at=now
            )
            unit.executions.put(actor.instance_id, execution)
            return ExecutionChange(now, tuple(target for target in former if target in existing))

        change = await self.routing.write(apply, load=Load(actor.instance_id, len(new)))
        return replace(change, shadowing=self._shadowing(actor, condition) if new else NO_SHADOWING)

    async def get(self, actor: Actor, condition: Condition) -> DescribedExecution:
        """The execution of exactly this condition, also one without targets, and what it shadows.

        Raise `NotFound` for a condition that none was or can be set for.
        """
        instance = actor.instance_id

        def find(unit: Unit) -> DescribedExecution:
            stored = unit.executions.get(instance, condition.execution_id)
            targets = stored.targets if stored else ()
            known = unit.targets.get_many([(instance, target) for target in targets])
            live = [known[instance, target] for target in targets if (instance, target) in known]
            return DescribedExecution(
                condition,
                [(target.id, target.name) for target in live],
                stored.changed_at if stored else None,
            )

        found = await self.store.read(find)
        if found.changed_at is None:
            await self._check_exists(actor, condition)
        return replace(found, shadowing=self._shadowing(actor, condition))

    def _shadowing(self, actor: Actor, condition: Condition) -> Shadowing:
        return self.routing.routes(actor.instance_id).router.shadowing(condition.execution_id)

    async def _check_exists(self, actor: Actor, condition: Condition) -> None:
        catalogue = self.routing.catalogue(actor.instance_id)
        if exists(condition, catalogue):
            return
        suggestions: Sequence[str] = ()
        if condition.scope in {Scope.METHOD, Scope.NAME, Scope.EVENT}:
            # Thousands of names are compared, which takes milliseconds.
            suggestions = await asyncio.to_thread(
                similar_names, catalogue, (), condition.kind, condition.value
            )
        raise unknown_condition(condition, suggestions)

    async def search(
        self, actor: Actor, filters: Sequence[ExecutionFilter], sort: ExecutionSort, page: Page
    ) -> Listing[Execution]:
        """Only executions with a target that still exists. Filters are ANDed."""
        return await self.store.read(
            lambda unit: unit.executions.search(actor.instance_id, filters, sort, page)
        )

    def known(self, actor: Actor) -> Catalogue:
        """Return the catalogue of names for which executions can be set."""
        return self.routing.catalogue(actor.instance_id)
