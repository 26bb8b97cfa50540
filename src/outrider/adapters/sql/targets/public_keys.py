"""Public keys of targets in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from outrider.adapters.sql.schema.connection import (
    Connection,
    Row,
    bump_routing_revision,
    from_optional_time,
    from_time,
    remember_sonyflake,
    to_number,
    to_optional_time,
    to_time,
)
from outrider.adapters.sql.schema.dialect import Dialect
from outrider.adapters.sql.schema.filters import Where, order_by
from outrider.domain.ids import InstanceId, PublicKeyId, TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.targets.public_key import (
    ActiveFilter,
    ExpiryFilter,
    PublicKey,
    PublicKeyFilter,
    PublicKeyIdsFilter,
    PublicKeySort,
    TimeMethod,
)

_COLUMNS = "id, pem, fingerprint, is_active, expires_at, created_at, changed_at"
# A key that never expires is the last to expire.
_NEVER = 2**63 - 1
_EXPIRES = f"coalesce(expires_at, {_NEVER})"
_SORT_COLUMNS = {
    PublicKeySort.CREATED: "created_at",
    PublicKeySort.CHANGED: "changed_at",
    PublicKeySort.EXPIRES: _EXPIRES,
}
_COMPARISONS = {
    TimeMethod.EQUALS: "expires_at = ?",
    TimeMethod.AFTER: f"{_EXPIRES} > ?",
    TimeMethod.AFTER_OR_EQUALS: f"{_EXPIRES} >= ?",
    TimeMethod.BEFORE: "expires_at < ?",
    TimeMethod.BEFORE_OR_EQUALS: "expires_at <= ?",
}


class SqlPublicKeys:
    """`ports.targets.PublicKeys` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, instance: InstanceId, target: TargetId, public_key: PublicKey) -> None:
        self._connection.execute(
            f"INSERT INTO public_keys (instance_id, target_id, {_COLUMNS})"  # noqa: S608 - our names
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                instance,
                target,
                int(public_key.id),
                public_key.pem,
                public_key.fingerprint,
                int(public_key.is_active),
                from_optional_time(public_key.expires_at),
                from_time(public_key.created_at),
                from_time(public_key.changed_at),
            ),
        )
        remember_sonyflake(self._connection, public_key.id)
        bump_routing_revision(self._connection)

    def of_target(self, instance: InstanceId, target: TargetId) -> Sequence[PublicKey]:
        where = _where(instance, target)
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM public_keys WHERE {where.text} ORDER BY created_at, id",  # noqa: S608
            where.values,
        )
        return [_public_key(row) for row in rows]

    def replace(self, instance: InstanceId, target: TargetId, public_key: PublicKey) -> None:
        self._connection.execute(
            "UPDATE public_keys SET is_active = ?, changed_at = ?"
            " WHERE instance_id = ? AND target_id = ? AND id = ?",
            (
                int(public_key.is_active),
                from_time(public_key.changed_at),
                instance,
                target,
                int(public_key.id),
            ),
        )
        bump_routing_revision(self._connection)

    def remove(
        self, instance: InstanceId, target: TargetId, public_key: PublicKeyId, at: datetime
    ) -> None:
        self._connection.execute(
            "UPDATE public_keys SET removed_at = ?"
            " WHERE instance_id = ? AND target_id = ? AND id = ? AND removed_at IS NULL",
            (from_time(at), instance, target, to_number(public_key)),
        )
        bump_routing_revision(self._connection)

    def last_removal(self, instance: InstanceId, target: TargetId) -> datetime | None:
        (removed_at,) = self._connection.execute(
            "SELECT max(removed_at) FROM public_keys WHERE instance_id = ? AND target_id = ?",
            (instance, target),
        ).fetchone()
        return to_optional_time(removed_at)

    def search(
        self,
        instance: InstanceId,
        target: TargetId,
        filters: Sequence[PublicKeyFilter],
        sort: PublicKeySort,
        page: Page,
    ) -> Listing[PublicKey]:
        where = _where(instance, target)
        for condition in filters:
            _add_filter(where, condition, self._connection.dialect)
        order = order_by(_SORT_COLUMNS[sort], ascending=page.ascending)
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM public_keys WHERE {where.text} {order} LIMIT ? OFFSET ?",  # noqa: S608
            (*where.values, page.limit, page.offset),
        ).fetchall()
        total = where.count(self._connection, "public_keys") if rows else 0
        return Listing([_public_key(row) for row in rows], total)


def _where(instance: InstanceId, target: TargetId) -> Where:
    where = Where("instance_id = ? AND target_id = ? AND removed_at IS NULL", instance, target)
    where.add(
        "EXISTS (SELECT 1 FROM targets WHERE targets.instance_id = public_keys.instance_id"
        " AND targets.id = public_keys.target_id AND targets.deleted_at IS NULL)"
    )
    return where


def _add_filter(where: Where, condition: PublicKeyFilter, dialect: Dialect) -> None:
    match condition:
        case PublicKeyIdsFilter(ids):
            numbers = [number for key_id in ids if (number := to_number(key_id)) is not None]
            where.add(*dialect.one_of("id", numbers))
        case ActiveFilter(is_active):
            where.add("is_active = ?", int(is_active))
        case ExpiryFilter(at, method):
            where.add(_COMPARISONS[method], from_time(at))


def _public_key(row: Row) -> PublicKey:
    return PublicKey(
        id=PublicKeyId(str(row[0])),
        pem=row[1],
        fingerprint=row[2],
        is_active=bool(row[3]),
        expires_at=to_optional_time(row[4]),
        created_at=to_time(row[5]),
        changed_at=to_time(row[6]),
    )
