"""Targets: where to call, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.access.permission import Actor
from outrider.domain.ids import TargetId
from outrider.domain.net.egress_policy import EgressPolicy, check_endpoint
from outrider.domain.net.endpoint import parse_written_endpoint
from outrider.domain.page import Listing, Page
from outrider.domain.search import TargetFilter, TargetSort
from outrider.domain.targets.target import (
    NewTarget,
    Target,
    TargetChange,
    changed_target,
    check_new_target,
    check_target_change,
    new_target,
)
from outrider.domain.targets.tunnel import is_tunnel_url, tunnel_of
from outrider.errors import InvalidRequest, NotFound
from outrider.runtime import Runtime
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.routing.routing_table import Routing


@dataclass(frozen=True, slots=True)
class ManageTargets:
    """Create, change, delete and find targets.

    Whether the actor may is decided before: each RPC declares its permission.
    """

    store: Store
    runtime: Runtime
    routing: Routing
    egress: EgressPolicy

    async def create(self, actor: Actor, wanted: NewTarget) -> Target:
        """Add a target. It is called by nothing until an execution names it.

        Checks and their order: sheet, section 2.1. Raise `InvalidRequest` or `AlreadyExists`.
        """
        check_new_target(wanted)
        self._check_endpoint(actor, wanted.endpoint, "COMMAND-1r2k6qo6wg", "COMMAND-NcJUKo")
        target = new_target(
            wanted,
            TargetId(str(self.runtime.new_id())),
            now=self.runtime.now(),
            new_key=self.runtime.new_signing_key(),
        )
        await self.store.write(lambda unit: unit.targets.add(actor.instance_id, target))
        return target

    async def update(self, actor: Actor, target_id: TargetId, change: TargetChange) -> Target:
        """Change what `change` names; nothing is written when nothing differs.

        Checks and their order: sheet, section 2.2. Raise `InvalidRequest`, `NotFound` or
        `AlreadyExists`.
        """
        if not target_id:
            raise InvalidRequest("ID missing", "COMMAND-1l6ympeagp")
        check_target_change(change)
        if change.endpoint is not None:
            self._check_endpoint(actor, change.endpoint, "COMMAND-jsbaera7b6", "COMMAND-jKbbu2")
        new_key = self.runtime.new_signing_key()

        def apply(unit: Unit) -> Target:
            target = unit.targets.get(actor.instance_id, target_id)
            if target is None:
                raise NotFound("Target not found", "COMMAND-xj14f2cccn")
            changed = changed_target(target, change, now=self.runtime.now(), new_key=new_key)
            if changed is not target:
                unit.targets.replace(actor.instance_id, changed)
            return changed

        target = await self.store.write(apply)
        await self.routing.refresh_after_commit()
        return target

    async def delete(self, actor: Actor, target_id: TargetId) -> datetime | None:
        """Delete a target and cancel what is owed to it.

        Return when it was deleted, now or before; None when it never existed (sheet, 2.3).
        """
        if not target_id:
            raise InvalidRequest("ID missing", "COMMAND-obqos2l3no")

        def apply(unit: Unit) -> datetime | None:
            if unit.targets.get(actor.instance_id, target_id) is None:
                return unit.targets.deleted_at(actor.instance_id, target_id)
            now = self.runtime.now()
            unit.targets.delete(actor.instance_id, target_id, now)
            return now

        deleted_at = await self.store.write(apply)
        await self.routing.refresh_after_commit()
        return deleted_at

    async def get(self, actor: Actor, target_id: TargetId) -> Target:
        """Raise `NotFound` for another instance's target, as for no target."""
        target = await self.store.read(lambda unit: unit.targets.get(actor.instance_id, target_id))
        if target is None:
            raise NotFound("Target not found", "QUERY-hj5oaniyrz")
        return target

    async def search(
        self, actor: Actor, filters: Sequence[TargetFilter], sort: TargetSort, page: Page
    ) -> Listing[Target]:
        """Filters are ANDed."""
        return await self.store.read(
            lambda unit: unit.targets.search(actor.instance_id, filters, sort, page)
        )

    def _check_endpoint(self, actor: Actor, endpoint: str, invalid_id: str, denied_id: str) -> None:
        # Only what can never be valid is refused here: names are resolved and judged when a
        # connection is made (outrider-v1, deliberate differences).
        try:
            parse_written_endpoint(endpoint)
        except ValueError:
            raise InvalidRequest("Target has an invalid URL", invalid_id) from None
        if is_tunnel_url(endpoint) and not _leads_to(actor, endpoint):
            raise InvalidRequest("Errors.Target.DeniedURL", denied_id)
        if check_endpoint(self.egress, endpoint) is not None:
            raise InvalidRequest("Errors.Target.DeniedURL", denied_id)


def _leads_to(actor: Actor, endpoint: str) -> bool:
    tunnel = tunnel_of(endpoint)
    return tunnel is not None and tunnel.instance == actor.instance_id
