"""Targets in SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from outrider.adapters.sql.delivery import cancellations
from outrider.adapters.sql.schema.connection import (
    Connection,
    Row,
    Secrets,
    bump_routing_revision,
    from_duration,
    from_optional_time,
    from_time,
    marks,
    remember_sonyflake,
    to_duration,
    to_optional_time,
    to_time,
)
from outrider.adapters.sql.schema.dialect import Dialect
from outrider.adapters.sql.schema.filters import Where, name_clause, order_by
from outrider.adapters.sql.targets.policies import delete_policy
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.targets.search import NameFilter, TargetFilter, TargetSort
from outrider.domain.targets.target import SigningKey, Target, TargetType
from outrider.errors import AlreadyExists
from outrider.usecases.ports.targets import RoutedTarget

_COLUMNS = (
    "id, name, type, endpoint, timeout, interrupt_on_error, payload_type, sealed_signing_keys,"
    " created_at, changed_at"
)
_SORT_COLUMNS = {
    TargetSort.ID: "id",
    TargetSort.CREATED: "created_at",
    TargetSort.CHANGED: "changed_at",
    TargetSort.NAME: "name",
    TargetSort.TYPE: "type",
    TargetSort.ENDPOINT: "endpoint",
    TargetSort.TIMEOUT: "timeout",
    TargetSort.INTERRUPT: "interrupt_on_error",
}


class SqlTargets:
    """`ports.targets.Targets` on one connection, inside its transaction."""

    def __init__(self, connection: Connection, secrets: Secrets) -> None:
        self._connection = connection
        self._secrets = secrets

    def add(self, instance: InstanceId, target: Target) -> None:
        columns = f"instance_id, folded_name, {_COLUMNS}"
        values = (instance, target.name.lower(), *self._row(instance, target))
        self._reject_taken_name(instance, target)
        self._connection.execute(
            f"INSERT INTO targets ({columns}) VALUES ({marks(values)})",  # noqa: S608 - our names
            values,
        )
        remember_sonyflake(self._connection, target.id)
        bump_routing_revision(self._connection)

    def get(self, instance: InstanceId, target: TargetId) -> Target | None:
        return self.get_many([(instance, target)]).get((instance, target))

    def get_many(
        self, ids: Collection[tuple[InstanceId, TargetId]]
    ) -> dict[tuple[InstanceId, TargetId], Target]:
        query = (
            f"SELECT {_COLUMNS} FROM targets"  # noqa: S608 - our names
            " WHERE instance_id = ? AND id = ? AND deleted_at IS NULL"
        )
        asked = list(ids)
        rows = self._connection.first_of_each(query, asked)
        return {
            target_key: self._target(target_key[0], row)
            for target_key, row in zip(asked, rows, strict=True)
            if row is not None
        }

    def replace(self, instance: InstanceId, target: Target) -> None:
        names = _COLUMNS.split(", ")
        assignments = ", ".join(f"{name} = ?" for name in ("folded_name", *names))
        values = (target.name.lower(), *self._row(instance, target), instance, target.id)
        self._reject_taken_name(instance, target)
        self._connection.execute(
            f"UPDATE targets SET {assignments} WHERE instance_id = ? AND id = ?",  # noqa: S608
            values,
        )
        bump_routing_revision(self._connection)

    def delete(self, instance: InstanceId, target: TargetId, at: datetime) -> None:
        self._connection.execute(
            "UPDATE targets SET deleted_at = ? WHERE instance_id = ? AND id = ?",
            (from_time(at), instance, target),
        )
        delete_policy(self._connection, instance, target)
        bump_routing_revision(self._connection)
        cancellations.begin_deletion(self._connection, (instance, target))
        self.finish_deletion(instance, target, at)

    def finish_deletion(self, instance: InstanceId, target: TargetId, at: datetime) -> bool:
        return cancellations.finish_deletion(self._connection, (instance, target), at)

    def unfinished_deletions(self) -> Sequence[tuple[InstanceId, TargetId]]:
        return cancellations.unfinished_deletions(self._connection)

    def deleted_at(self, instance: InstanceId, target: TargetId) -> datetime | None:
        row = self._connection.execute(
            "SELECT deleted_at FROM targets WHERE instance_id = ? AND id = ?", (instance, target)
        ).fetchone()
        return None if row is None else to_optional_time(row[0])

    def existing(self, instance: InstanceId, targets: Collection[TargetId]) -> set[TargetId]:
        return set(self.routed(instance, targets))

    def routed(
        self, instance: InstanceId, targets: Collection[TargetId]
    ) -> dict[TargetId, RoutedTarget]:
        clause, value = self._connection.dialect.one_of("id", list(targets))
        rows = self._connection.execute(
            f"SELECT id, type FROM targets WHERE instance_id = ? AND {clause}"  # noqa: S608 - ours
            " AND deleted_at IS NULL",
            (instance, value),
        )
        return {
            TargetId(target): RoutedTarget(TargetId(target), type_ != TargetType.REST_ASYNC)
            for target, type_ in rows
        }

    def search(
        self, instance: InstanceId, filters: Sequence[TargetFilter], sort: TargetSort, page: Page
    ) -> Listing[Target]:
        where = Where("instance_id = ? AND deleted_at IS NULL", instance)
        for condition in filters:
            _add_filter(where, condition, self._connection.dialect)
        order = order_by(_SORT_COLUMNS[sort], ascending=page.ascending)
        # In two steps: the first needs an index alone, however many rows match or are passed over.
        row = self._connection.dialect.row
        found = f"SELECT {row} FROM targets WHERE {where.text} {order} LIMIT ? OFFSET ?"  # noqa: S608
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM targets WHERE {row} IN ({found}) {order}",  # noqa: S608
            (*where.values, page.limit, page.offset),
        ).fetchall()
        total = where.total(self._connection, "targets", page, len(rows))
        return Listing([self._target(instance, row) for row in rows], total)

    def _reject_taken_name(self, instance: InstanceId, target: Target) -> None:
        # Units happen one after the other: no other takes the name between this check and the change.
        taken = self._connection.execute(
            "SELECT id FROM targets WHERE instance_id = ? AND folded_name = ? AND id <> ?"
            " AND deleted_at IS NULL",
            (instance, target.name.lower(), target.id),
        ).fetchone()
        if taken:
            raise AlreadyExists(
                "Errors.Target.AlreadyExists",
                "V3-DKcYh",
                reason=f"target {taken[0]} has the name {target.name!r}, in some case of its letters",
                hint="choose another name, or change that target with `outrider target update`",
            )

    def _row(self, instance: InstanceId, target: Target) -> Row:
        return (
            target.id,
            target.name,
            target.type.value,
            target.endpoint,
            from_duration(target.timeout),
            int(target.interrupt_on_error),
            target.payload_type,
            self._sealed_keys(instance, target),
            from_time(target.created_at),
            from_time(target.changed_at),
        )

    def _target(self, instance: InstanceId, row: Row) -> Target:
        return Target(
            id=TargetId(row[0]),
            name=row[1],
            type=TargetType(row[2]),
            endpoint=row[3],
            timeout=to_duration(row[4]),
            interrupt_on_error=bool(row[5]),
            payload_type=row[6],
            signing_keys=self._read_keys(instance, TargetId(row[0]), row[7]),
            created_at=to_time(row[8]),
            changed_at=to_time(row[9]),
        )

    def _sealed_keys(self, instance: InstanceId, target: Target) -> bytes:
        keys = [
            [signing_key.secret, from_optional_time(signing_key.expires_at)]
            for signing_key in target.signing_keys
        ]
        return self._secrets.seal(json.dumps(keys).encode(), belongs_to=_owner(instance, target.id))

    def _read_keys(
        self, instance: InstanceId, target: TargetId, sealed: bytes
    ) -> tuple[SigningKey, ...]:
        keys = json.loads(self._secrets.open(sealed, belongs_to=_owner(instance, target)))
        return tuple(
            SigningKey(secret, to_optional_time(expires_at)) for secret, expires_at in keys
        )


def _owner(instance: InstanceId, target: TargetId) -> str:
    return f"signing keys of target {instance}/{target}"


def _add_filter(where: Where, condition: TargetFilter, dialect: Dialect) -> None:
    if isinstance(condition, NameFilter):
        clause, value = name_clause(condition, dialect)
        where.add(clause, value)
    else:
        where.add(*dialect.one_of("id", condition.ids))
