"""Policies of targets: how each is called, and whether it is called at all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from outrider.domain.access.permission import Actor
from outrider.domain.events.operator_event import OperatorEvent
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.targets.policy import NOTHING_STORED, StoredPolicy, TargetPolicy
from outrider.domain.targets.policy_validation import (
    CheckTls,
    check_policy,
    check_tls,
    redacted_policy,
    with_kept_secrets,
)
from outrider.domain.targets.target import target_not_found
from outrider.errors import FailedPrecondition
from outrider.runtime import Runtime
from outrider.usecases.delivery.operator_events import REQUESTED, publish_operator_event
from outrider.usecases.ports.store import Store, Unit


@dataclass(frozen=True, slots=True)
class ManageTargetPolicies:
    """Read and set policies, pause and resume targets.

    Permissions are checked before: each RPC declares the one that it needs. Every method raises
    `NotFound` for another instance's target, as for no target.
    """

    store: Store
    runtime: Runtime
    check_tls: CheckTls

    async def get(self, actor: Actor, target_id: TargetId) -> StoredPolicy:
        """Return what is stored, without its secrets; the default when nothing is."""
        stored = await self._read(actor, target_id)
        return replace(stored, policy=redacted_policy(stored.policy))

    async def set(self, actor: Actor, target_id: TargetId, new: TargetPolicy) -> datetime:
        """Replace the policy and return when; secrets that are left open stay as they were.

        Raise `InvalidRequest` for what no policy may say, and `FailedPrecondition` when another
        caller has just changed a secret that was to stay.
        """
        check_policy(new)
        stored = await self._read(actor, target_id)
        policy = with_kept_secrets(new, stored.policy)
        # Reading long PEM takes a while: not in the loop, and not in the store's thread.
        await asyncio.to_thread(check_tls, policy, self.check_tls)

        def apply(unit: Unit) -> datetime:
            stored = _stored(unit, actor.instance_id, target_id)
            if with_kept_secrets(new, stored.policy) != policy:
                raise FailedPrecondition(
                    "The policy has just been changed: read it again",
                    "OUTRIDER-policy",
                    reason="another call changed a secret that this one leaves as it is",
                    hint="call again, or give every secret",
                )
            now = self.runtime.now()
            unit.policies.put(actor.instance_id, target_id, policy, now)
            return now

        return await self.store.write(apply)

    async def pause(self, actor: Actor, target_id: TargetId) -> datetime:
        """Stop calling the target. Return since when: earlier when it was paused already."""

        def apply(unit: Unit) -> datetime:
            stored = _stored(unit, actor.instance_id, target_id)
            if stored.paused_at is not None:
                return stored.paused_at
            now = self.runtime.now()
            unit.policies.pause(actor.instance_id, target_id, now)
            self._notify_operators(
                unit, actor, target_id, OperatorEvent.TARGET_PAUSED, now, REQUESTED
            )
            return now

        return await self.store.write(apply)

    async def resume(self, actor: Actor, target_id: TargetId) -> datetime | None:
        """Resume a target's deliveries. Return the time; None when it was not paused."""

        def apply(unit: Unit) -> datetime | None:
            if _stored(unit, actor.instance_id, target_id).paused_at is None:
                return None
            now = self.runtime.now()
            unit.policies.resume(actor.instance_id, target_id)
            self._notify_operators(unit, actor, target_id, OperatorEvent.TARGET_RESUMED, now)
            return now

        return await self.store.write(apply)

    def _notify_operators(  # noqa: PLR0917 - where, about what, when
        self,
        unit: Unit,
        actor: Actor,
        target_id: TargetId,
        event_type: OperatorEvent,
        now: datetime,
        reason: str | None = None,
    ) -> None:
        data = {"targetId": target_id, "reason": reason}
        publish_operator_event(
            unit, self.runtime, actor.instance_id, event_type, target_id, data, now
        )

    async def _read(self, actor: Actor, target_id: TargetId) -> StoredPolicy:
        return await self.store.read(lambda unit: _stored(unit, actor.instance_id, target_id))


def _stored(unit: Unit, instance: InstanceId, target_id: TargetId) -> StoredPolicy:
    if unit.targets.get(instance, target_id) is None:
        raise target_not_found(target_id)
    return unit.policies.get(instance, target_id) or NOTHING_STORED
