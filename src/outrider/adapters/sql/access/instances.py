"""Instances in SQL, and the end of all that is one's."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence

from outrider.adapters.sql.access.instance_rows import delete_rows
from outrider.adapters.sql.schema.connection import (
    Connection,
    bump_routing_revision,
    from_time,
    to_time,
)
from outrider.domain.access.instance import Instance
from outrider.domain.ids import InstanceId
from outrider.errors import AlreadyExists
from outrider.usecases.ports.access import DELETED_AT_ONCE


class SqlInstances:
    """`ports.access.Instances` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, instance: Instance) -> None:
        written = self._connection.execute(
            "INSERT INTO instances (id, name, created_at) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO NOTHING",
            (instance.id, instance.name, from_time(instance.created_at)),
        )
        if not written.rowcount:
            raise AlreadyExists(
                "Instance already exists",
                "OUTRIDER-instance",
                reason=f"another instance has the name {instance.name!r}",
                hint="choose another name, or use that instance: `outrider instance list`",
            )
        for position, host in enumerate(instance.hosts):
            self._add_host(instance.id, position, host)
        bump_routing_revision(self._connection)

    def list(self) -> Sequence[Instance]:
        hosts: dict[str, builtins.list[str]] = {}
        for instance, host in self._connection.execute(
            "SELECT instance_id, host FROM instance_hosts ORDER BY instance_id, position"
        ):
            hosts.setdefault(instance, []).append(host)
        rows = self._connection.execute(
            "SELECT id, name, created_at FROM instances ORDER BY created_at, CAST(id AS BIGINT)"
        )
        return [
            Instance(
                id=InstanceId(id_),
                name=name,
                hosts=tuple(hosts.get(id_, ())),
                created_at=to_time(created_at),
            )
            for id_, name, created_at in rows
        ]

    def delete(self, instance: InstanceId) -> bool:
        run = self._connection.execute
        # Hosts and tokens first: no call reaches the rows that are still to be deleted.
        for table in ("instance_hosts", "tokens"):
            run(f"DELETE FROM {table} WHERE instance_id = ?", (instance,))  # noqa: S608 - ours
        is_gone = run("DELETE FROM instances WHERE id = ?", (instance,)).rowcount > 0
        run(
            "INSERT INTO instance_deletions (id) VALUES (?) ON CONFLICT (id) DO NOTHING",
            (instance,),
        )
        self.finish_deletion(instance)
        bump_routing_revision(self._connection)
        return is_gone

    def finish_deletion(self, instance: InstanceId) -> bool:
        if not delete_rows(self._connection, instance, DELETED_AT_ONCE):
            return False
        self._connection.execute("DELETE FROM instance_deletions WHERE id = ?", (instance,))
        return True

    def unfinished_deletions(self) -> builtins.list[InstanceId]:
        rows = self._connection.execute("SELECT id FROM instance_deletions")
        return [InstanceId(instance) for (instance,) in rows]

    def hosts(self) -> Mapping[str, InstanceId]:
        rows = self._connection.execute("SELECT host, instance_id FROM instance_hosts")
        return {host: InstanceId(instance) for host, instance in rows}

    def _add_host(self, instance: InstanceId, position: int, host: str) -> None:
        written = self._connection.execute(
            "INSERT INTO instance_hosts (host, instance_id, position) VALUES (?, ?, ?)"
            " ON CONFLICT (host) DO NOTHING",
            (host, instance, position),
        )
        if not written.rowcount:
            raise AlreadyExists(
                "Host already exists",
                "OUTRIDER-host",
                reason=f"the host name {host!r} chooses another instance",
                hint="choose another host name, or use that instance: `outrider instance list`",
            )
