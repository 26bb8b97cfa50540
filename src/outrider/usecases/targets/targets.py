"""Create, change, delete and find targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.access.permission import Actor
from outrider.domain.ids import TargetId
from outrider.domain.net.egress_policy import EgressPolicy
from outrider.domain.page import Listing, Page
from outrider.domain.targets.search import TargetFilter, TargetSort
from outrider.domain.targets.target import (
    NewTarget,
    Target,
    TargetChange,
    change_target,
    check_target_change,
    create_target,
    target_not_found,
)
from outrider.errors import InvalidRequest
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Load, Store, Unit
from outrider.usecases.ports.targets import CANCELLED_AT_ONCE
from outrider.usecases.routing.routing_table import Routing


@dataclass(frozen=True, slots=True)
class ManageTargets:
    """Create, change, delete and find targets.

    Permissions are checked before: each RPC declares the one that it needs.
    """

    store: Store
    runtime: Runtime
    routing: Routing
    egress: EgressPolicy

    async def create(self, actor: Actor, new: NewTarget) -> Target:
        """Add a target. Nothing calls it until an execution names it.

        Raise `InvalidRequest` for what `create_target` refuses, `AlreadyExists` for a taken name.
        """
        target = create_target(
            new,
            TargetId(str(self.runtime.new_sonyflake())),
            instance=actor.instance_id,
            egress=self.egress,
            now=self.runtime.now(),
            signing_key=self.runtime.new_signing_key(),
        )
        await self.store.write(lambda unit: unit.targets.add(actor.instance_id, target))
        return target

    async def update(self, actor: Actor, target_id: TargetId, change: TargetChange) -> Target:
        """Change what `change` names; nothing is written when nothing differs.

        Raise `InvalidRequest` for what `check_target_change` refuses, then `NotFound`, then
        `AlreadyExists` for a taken name.
        """
        if not target_id:
            raise _id_missing("COMMAND-1l6ympeagp")
        check_target_change(change, actor.instance_id, self.egress)
        signing_key = self.runtime.new_signing_key()

        def apply(unit: Unit) -> Target:
            target = unit.targets.get(actor.instance_id, target_id)
            if target is None:
                raise target_not_found(target_id, "COMMAND-xj14f2cccn")
            changed = change_target(target, change, now=self.runtime.now(), signing_key=signing_key)
            if changed is not target:
                unit.targets.replace(actor.instance_id, changed)
            return changed

        target = await self.store.write(apply)
        await self.routing.refresh_after_commit()
        return target

    async def delete(self, actor: Actor, target_id: TargetId) -> datetime | None:
        """Delete a target and cancel its pending deliveries, many of them in several transactions.

        Nothing is sent to it after the first. Should this process end, a worker goes on. Return
        when it was deleted, now or before; None when it never existed.
        """
        if not target_id:
            raise _id_missing("COMMAND-obqos2l3no")
        instance = actor.instance_id

        def apply(unit: Unit) -> datetime | None:
            if unit.targets.get(instance, target_id) is None:
                return unit.targets.deleted_at(instance, target_id)
            now = self.runtime.now()
            unit.targets.delete(instance, target_id, now)
            return now

        load = Load(instance, CANCELLED_AT_ONCE)
        deleted_at = await self.store.write(apply, load=load)
        await self.routing.refresh_after_commit()
        while not await self.store.write(
            lambda unit: unit.targets.finish_deletion(instance, target_id, self.runtime.now()),
            load=load,
        ):
            pass
        return deleted_at

    async def get(self, actor: Actor, target_id: TargetId) -> Target:
        """Raise `NotFound` for another instance's target, as for no target."""
        target = await self.store.read(lambda unit: unit.targets.get(actor.instance_id, target_id))
        if target is None:
            raise target_not_found(target_id)
        return target

    async def search(
        self, actor: Actor, filters: Sequence[TargetFilter], sort: TargetSort, page: Page
    ) -> Listing[Target]:
        """Filters are ANDed."""
        return await self.store.read(
            lambda unit: unit.targets.search(actor.instance_id, filters, sort, page)
        )


def _id_missing(error_id: str) -> InvalidRequest:
    return InvalidRequest(
        "ID missing",
        error_id,
        reason="the id of the target is empty",
        hint="give an id that ListTargets answers",
    )
