"""Instances in memory, and the end of all that is one's."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import fields

from fakes.memory.tables import Tables
from outrider.domain.access.instance import Instance
from outrider.domain.ids import InstanceId
from outrider.errors import AlreadyExists


class MemoryInstances:
    """`ports.access.Instances` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, instance: Instance) -> None:
        known = self._tables.instances.values()
        if any(other.name == instance.name for other in known):
            raise AlreadyExists("Instance already exists", "OUTRIDER-instance")
        if not self.hosts().keys().isdisjoint(instance.hosts):
            raise AlreadyExists("Host already exists", "OUTRIDER-host")
        self._tables.instances[instance.id] = instance
        self._tables.routing_revision += 1

    def list(self) -> Sequence[Instance]:
        return sorted(
            self._tables.instances.values(),
            key=lambda instance: (instance.created_at, int(instance.id)),
        )

    def delete(self, instance: InstanceId) -> bool:
        tables = self._tables
        is_there = instance in tables.instances
        tables.instances.pop(instance, None)
        for table in self._of_instances():
            for row_id in [row_id for row_id in table if row_id[0] == instance]:
                del table[row_id]
        for secret_hash, token in [*tables.tokens.items()]:
            if token.instance_id == instance:
                del tables.tokens[secret_hash]
        for delivery_id, stored in [*tables.deliveries.items()]:
            if stored.instance == instance:
                del tables.deliveries[delivery_id]
        tables.routing_revision += 1
        return is_there

    def finish_deletion(self, instance: InstanceId) -> bool:
        return True  # `delete` leaves nothing

    def unfinished_deletions(self) -> Sequence[InstanceId]:
        return []

    def hosts(self) -> Mapping[str, InstanceId]:
        known = self._tables.instances.values()
        return {host: instance.id for instance in known for host in instance.hosts}

    def _of_instances(self) -> builtins.list[dict[tuple[InstanceId, object], object]]:
        """The tables whose rows are found by their instance first."""
        every = (getattr(self._tables, field.name) for field in fields(self._tables))
        tables = [table for table in every if isinstance(table, dict) and table]
        return [table for table in tables if isinstance(next(iter(table)), tuple)]
