"""Executions: which targets are called for which condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.access.permission import Actor
from outrider.domain.ids import TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.routing.catalogue import Catalogue
from outrider.domain.routing.condition import Condition, check_exists
from outrider.domain.routing.execution import Execution, check_target_list, check_targets_exist
from outrider.domain.routing.search import ExecutionFilter, ExecutionSort
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Load, Store, Unit
from outrider.usecases.routing.routing_table import Routing


@dataclass(frozen=True, slots=True)
class ManageExecutions:
    """Set and find executions, and say what they can be set for."""

    store: Store
    runtime: Runtime
    routing: Routing

    async def set(
        self, actor: Actor, condition: Condition, targets: Sequence[TargetId]
    ) -> datetime | None:
        """Replace the list of a condition; an empty list clears it.

        Checks and their order are ZITADEL's. Return when the list was set: the stored date when it
        is the same list, None when an empty list was never anything else.
        """
        check_target_list(targets)
        check_exists(condition, self.routing.catalogue(actor.instance_id))
        new = tuple(targets)

        def apply(unit: Unit) -> datetime | None:
            stored = unit.executions.get(actor.instance_id, condition.execution_id)
            if new == (stored.targets if stored else ()):
                return stored.changed_at if stored else None
            check_targets_exist(new, unit.targets.existing(actor.instance_id, new))
            now = self.runtime.now()
            created_at = stored.created_at if stored else now
            execution = Execution(
                condition=condition, targets=new, created_at=created_at, changed_at=now
            )
            unit.executions.put(actor.instance_id, execution)
            return now

        set_at = await self.store.write(apply, load=Load(actor.instance_id, len(new)))
        await self.routing.refresh_after_commit()
        return set_at

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
