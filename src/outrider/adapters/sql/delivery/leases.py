"""Leases in SQL: one a worker, covering all that it has claimed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from outrider.adapters.sql.delivery.deliveries import claimed_from_row
from outrider.adapters.sql.delivery.target_queues import SqlTargetQueues
from outrider.adapters.sql.schema.connection import Connection, from_time, to_time
from outrider.usecases.ports.deliveries import OrphanedDelivery


class SqlLeases:
    """`Leases` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def renew(self, owner: str, until: datetime) -> None:
        self._connection.execute(
            "INSERT INTO leases (owner, expires_at) VALUES (?, ?)"
            " ON CONFLICT (owner) DO UPDATE SET expires_at = excluded.expires_at",
            (owner, from_time(until)),
        )

    def drop(self, owner: str) -> None:
        self._connection.execute("DELETE FROM leases WHERE owner = ?", (owner,))

    def orphans(self, now: datetime, limit: int) -> Sequence[OrphanedDelivery]:
        # With a plus, the order is no reason to go through all deliveries that there are: few are
        # claimed, and they have a separate index.
        rows = self._connection.execute(
            "SELECT deliveries.id, deliveries.instance_id, deliveries.target_id,"
            " deliveries.attempt_count, deliveries.created_at, deliveries.has_dependents, events.body,"
            " events.trace, NULL, events.id, events.execution_id, deliveries.replay_of, events.hops,"
            " deliveries.owner, deliveries.claimed_at"
            " FROM deliveries JOIN events ON events.number = deliveries.event_number"
            " LEFT JOIN leases ON leases.owner = deliveries.owner"
            " WHERE deliveries.owner IS NOT NULL"
            " AND (leases.expires_at IS NULL OR leases.expires_at <= ?)"
            " ORDER BY +deliveries.id LIMIT ?",
            (from_time(now), limit),
        )
        return [OrphanedDelivery(claimed_from_row(row), row[13], to_time(row[14])) for row in rows]

    def secure(self, orphans: Sequence[OrphanedDelivery]) -> Sequence[OrphanedDelivery]:
        locked = self._connection.dialect.locked.format("deliveries")
        if not locked:
            return orphans
        # Before the rows, as `settle` does: else two transactions could wait for each other.
        SqlTargetQueues(self._connection).lock()
        clause, value = self._connection.dialect.one_of(
            "id", [int(orphan.claimed.id) for orphan in orphans]
        )
        rows = self._connection.execute(
            f"SELECT id, owner, attempt_count + 1 FROM deliveries WHERE {clause}"  # noqa: S608 - ours
            f" AND owner IS NOT NULL ORDER BY id{locked}",
            (value,),
        )
        claimed = {(str(number), owner, attempt) for number, owner, attempt in rows}
        return [
            orphan
            for orphan in orphans
            if (orphan.claimed.id, orphan.owner, orphan.claimed.attempt_number) in claimed
        ]

    def tidy(self, now: datetime, latest: datetime) -> None:
        self._connection.execute(
            "DELETE FROM leases WHERE expires_at <= ?"
            " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.owner = leases.owner)",
            (from_time(now),),
        )
        self._connection.execute(
            "UPDATE leases SET expires_at = ? WHERE expires_at > ?",
            (from_time(latest), from_time(latest)),
        )

    def expire_all(self) -> None:
        self._connection.execute("DELETE FROM leases")
