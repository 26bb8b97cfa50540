"""Target policies in memory, and which targets are paused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from fakes.memory.delivery import target_queues
from fakes.memory.tables import Tables
from outrider.domain.delivery.target_queue import resumed, with_policy
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.targets.policy import StoredPolicy, TargetPolicy

_NO_POLICY = StoredPolicy()


class MemoryTargetPolicies:
    """`ports.targets.TargetPolicies` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, instance: InstanceId, target: TargetId) -> StoredPolicy | None:
        stored = self._tables.policies.get((instance, target))
        target_queue = self._tables.target_queues.get((instance, target))
        if stored is None or target_queue is None:
            return stored
        return replace(stored, breaker_open_until=target_queue.state.open_until)

    def get_many(
        self, ids: Collection[tuple[InstanceId, TargetId]]
    ) -> dict[tuple[InstanceId, TargetId], StoredPolicy]:
        found = {target_key: self.get(*target_key) for target_key in ids}
        return {target_key: stored for target_key, stored in found.items() if stored is not None}

    def put(
        self, instance: InstanceId, target: TargetId, policy: TargetPolicy, at: datetime
    ) -> None:
        stored = self.get(instance, target) or _NO_POLICY
        self._write(instance, target, replace(stored, policy=policy, changed_at=at))
        target_queues.change(
            self._tables,
            (instance, target),
            lambda target_queue: with_policy(target_queue, policy, at),
        )

    def pause(self, instance: InstanceId, target: TargetId, at: datetime) -> None:
        stored = self.get(instance, target) or _NO_POLICY
        self._write(instance, target, replace(stored, paused_at=stored.paused_at or at))
        target_queues.change(
            self._tables,
            (instance, target),
            lambda target_queue: replace(target_queue, is_paused=True),
        )

    def resume(self, instance: InstanceId, target: TargetId) -> None:
        stored = self.get(instance, target) or _NO_POLICY
        self._write(instance, target, replace(stored, paused_at=None))
        target_queues.change(self._tables, (instance, target), resumed)

    def _write(self, instance: InstanceId, target: TargetId, stored: StoredPolicy) -> None:
        stored = replace(stored, breaker_open_until=None)  # the target queue knows
        if stored == _NO_POLICY:
            self._tables.policies.pop((instance, target), None)
        else:
            self._tables.policies[instance, target] = stored
        self._tables.routing_revision += 1
