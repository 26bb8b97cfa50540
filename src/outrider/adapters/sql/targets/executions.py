"""Executions in SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

from outrider.adapters.sql.schema.connection import (
    Connection,
    bump_routing_revision,
    from_time,
    to_time,
)
from outrider.adapters.sql.schema.dialect import Dialect
from outrider.adapters.sql.schema.filters import Where, order_by
from outrider.domain.ids import ExecutionId, InstanceId, TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.routing.condition import condition_from_id
from outrider.domain.routing.execution import Execution
from outrider.domain.routing.search import (
    ExecutionFilter,
    ExecutionIdsFilter,
    ExecutionSort,
    KindFilter,
)
from outrider.domain.targets.target import TargetType
from outrider.usecases.ports.targets import RoutedTarget

_SORT_COLUMNS = {
    ExecutionSort.ID: "id",
    ExecutionSort.CREATED: "created_at",
    ExecutionSort.CHANGED: "changed_at",
}
_LIVE = """EXISTS (
    SELECT 1 FROM execution_targets AS member
    JOIN targets ON targets.instance_id = member.instance_id AND targets.id = member.target_id
    WHERE member.instance_id = executions.instance_id AND member.execution_id = executions.id
    AND targets.deleted_at IS NULL)"""
_HAS_TARGET = """EXISTS (
    SELECT 1 FROM execution_targets AS member
    JOIN targets ON targets.instance_id = member.instance_id AND targets.id = member.target_id
    WHERE member.instance_id = executions.instance_id AND member.execution_id = executions.id
    AND targets.deleted_at IS NULL AND member.target_id = ?)"""


class SqlExecutions:
    """`ports.targets.Executions` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, instance: InstanceId, execution: ExecutionId) -> Execution | None:
        row = self._connection.execute(
            "SELECT created_at, changed_at FROM executions WHERE instance_id = ? AND id = ?",
            (instance, execution),
        ).fetchone()
        if row is None:
            return None
        targets = self._connection.execute(
            "SELECT target_id FROM execution_targets"
            " WHERE instance_id = ? AND execution_id = ? ORDER BY position",
            (instance, execution),
        )
        return _execution(execution, (target_id for (target_id,) in targets), row[0], row[1])

    def existing(
        self, instance: InstanceId, executions: Collection[ExecutionId]
    ) -> set[ExecutionId]:
        clause, value = self._connection.dialect.one_of("id", list(executions))
        rows = self._connection.execute(
            f"SELECT id FROM executions WHERE instance_id = ? AND {clause}",  # noqa: S608 - ours
            (instance, value),
        )
        return {ExecutionId(execution) for (execution,) in rows}

    def put(self, instance: InstanceId, execution: Execution) -> None:
        self._connection.execute(
            "INSERT INTO executions (instance_id, id, created_at, changed_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (instance_id, id) DO UPDATE SET changed_at = excluded.changed_at,"
            " created_at = excluded.created_at",
            (
                instance,
                execution.id,
                from_time(execution.created_at),
                from_time(execution.changed_at),
            ),
        )
        self._connection.execute(
            "DELETE FROM execution_targets WHERE instance_id = ? AND execution_id = ?",
            (instance, execution.id),
        )
        self._connection.executemany(
            "INSERT INTO execution_targets (instance_id, execution_id, position, target_id)"
            " VALUES (?, ?, ?, ?)",
            [
                (instance, execution.id, position, target_id)
                for position, target_id in enumerate(execution.targets)
            ],
        )
        bump_routing_revision(self._connection)

    def search(
        self,
        instance: InstanceId,
        filters: Sequence[ExecutionFilter],
        sort: ExecutionSort,
        page: Page,
    ) -> Listing[Execution]:
        where = Where("instance_id = ?", instance)
        where.add(_LIVE)
        for condition in filters:
            _add_filter(where, condition, self._connection.dialect)
        order = order_by(_SORT_COLUMNS[sort], ascending=page.ascending)
        rows = self._connection.execute(
            f"SELECT id, created_at, changed_at FROM executions WHERE {where.text} {order}"  # noqa: S608
            " LIMIT ? OFFSET ?",
            (*where.values, page.limit, page.offset),
        ).fetchall()
        total = where.count(self._connection, "executions") if rows else 0
        return Listing([self._with_live_targets(instance, *row) for row in rows], total)

    def routes(self) -> dict[InstanceId, dict[ExecutionId, tuple[RoutedTarget, ...]]]:
        rows = self._connection.execute(
            "SELECT member.instance_id, member.execution_id, member.target_id, targets.type"
            " FROM execution_targets AS member"
            " JOIN targets ON targets.instance_id = member.instance_id AND targets.id = member.target_id"
            " WHERE targets.deleted_at IS NULL"
            " ORDER BY member.instance_id, member.execution_id, member.position"
        )
        routes: dict[InstanceId, dict[ExecutionId, tuple[RoutedTarget, ...]]] = {}
        for (instance, execution), members in groupby(rows, lambda row: row[:2]):
            routes.setdefault(InstanceId(instance), {})[ExecutionId(execution)] = tuple(
                RoutedTarget(TargetId(target), type_ != TargetType.REST_ASYNC)
                for _, _, target, type_ in members
            )
        return routes

    def _with_live_targets(
        self, instance: InstanceId, execution: str, created_at: int, changed_at: int
    ) -> Execution:
        targets = self._connection.execute(
            "SELECT member.target_id FROM execution_targets AS member"
            " JOIN targets ON targets.instance_id = member.instance_id AND targets.id = member.target_id"
            " WHERE member.instance_id = ? AND member.execution_id = ? AND targets.deleted_at IS NULL"
            " ORDER BY member.position",
            (instance, execution),
        )
        return _execution(
            ExecutionId(execution), (target_id for (target_id,) in targets), created_at, changed_at
        )


def _execution(
    execution: ExecutionId, targets: Iterable[str], created_at: int, changed_at: int
) -> Execution:
    return Execution(
        condition=condition_from_id(execution),
        targets=tuple(map(TargetId, targets)),
        created_at=to_time(created_at),
        changed_at=to_time(changed_at),
    )


def _add_filter(where: Where, condition: ExecutionFilter, dialect: Dialect) -> None:
    if isinstance(condition, ExecutionIdsFilter):
        where.add(*dialect.one_of("id", condition.ids))
    elif isinstance(condition, KindFilter):
        kind = condition.kind.value
        where.add(f"id = ? OR {dialect.like.format('id')}", kind, f"{kind}/{dialect.any_text}")
    else:
        where.add(_HAS_TARGET, condition.target_id)
