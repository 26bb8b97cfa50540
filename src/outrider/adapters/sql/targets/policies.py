"""Target policies in SQL, and the paused targets."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from outrider.adapters.sql.delivery import ordering
from outrider.adapters.sql.delivery.target_queues import SqlTargetQueues
from outrider.adapters.sql.schema.connection import (
    Connection,
    Secrets,
    bump_routing_revision,
    from_time,
    to_optional_time,
)
from outrider.adapters.sql.targets.policy_columns import plain_json, policy_from_json, secret_json
from outrider.domain.delivery.target_queue import TargetKey, TargetQueue, resumed, with_policy
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.targets.policy import DEFAULT_POLICY, StoredPolicy, TargetPolicy

# Each of the three tables may have a row or none.
_SELECT = (
    "SELECT policy.plain, policy.sealed_secrets, policy.changed_at, paused.paused_at,"
    " target_queues.open_until"
    " FROM (SELECT ? AS instance_id, ? AS target_id) AS target"
    " LEFT JOIN target_policies AS policy ON policy.instance_id = target.instance_id"
    " AND policy.target_id = target.target_id"
    " LEFT JOIN paused_targets AS paused ON paused.instance_id = target.instance_id"
    " AND paused.target_id = target.target_id"
    " LEFT JOIN target_queues ON target_queues.instance_id = target.instance_id"
    " AND target_queues.target_id = target.target_id"
)


class SqlTargetPolicies:
    """`ports.targets.TargetPolicies` on one connection, inside its transaction."""

    def __init__(self, connection: Connection, secrets: Secrets) -> None:
        self._connection = connection
        self._secrets = secrets

    def get(self, instance: InstanceId, target: TargetId) -> StoredPolicy | None:
        plain, sealed, changed_at, paused_at, open_until = self._connection.execute(
            _SELECT, (instance, target)
        ).fetchone()
        if changed_at is None and paused_at is None:
            return None
        return StoredPolicy(
            DEFAULT_POLICY if plain is None else self._read(instance, target, plain, sealed),
            to_optional_time(changed_at),
            to_optional_time(paused_at),
            to_optional_time(open_until),
        )

    def get_many(
        self, ids: Collection[tuple[InstanceId, TargetId]]
    ) -> dict[tuple[InstanceId, TargetId], StoredPolicy]:
        found = {target_key: self.get(*target_key) for target_key in ids}
        return {target_key: stored for target_key, stored in found.items() if stored is not None}

    def put(
        self, instance: InstanceId, target: TargetId, policy: TargetPolicy, at: datetime
    ) -> None:
        sealed = self._secrets.seal(secret_json(policy), belongs_to=_owner(instance, target))
        self._connection.execute(
            "INSERT INTO target_policies"
            " (instance_id, target_id, plain, sealed_secrets, changed_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (instance_id, target_id) DO UPDATE SET plain = excluded.plain,"
            " sealed_secrets = excluded.sealed_secrets, changed_at = excluded.changed_at",
            (instance, target, plain_json(policy), sealed, from_time(at)),
        )
        self._change_target_queue(
            (instance, target), lambda target_queue: with_policy(target_queue, policy, at)
        )
        bump_routing_revision(self._connection)

    def pause(self, instance: InstanceId, target: TargetId, at: datetime) -> None:
        self._connection.execute(
            "INSERT INTO paused_targets (instance_id, target_id, paused_at)"
            " VALUES (?, ?, ?) ON CONFLICT (instance_id, target_id) DO NOTHING",
            (instance, target, from_time(at)),
        )
        self._change_target_queue(
            (instance, target), lambda target_queue: replace(target_queue, is_paused=True)
        )
        bump_routing_revision(self._connection)

    def resume(self, instance: InstanceId, target: TargetId) -> None:
        self._connection.execute(
            "DELETE FROM paused_targets WHERE instance_id = ? AND target_id = ?", (instance, target)
        )
        self._change_target_queue((instance, target), resumed)
        bump_routing_revision(self._connection)

    def _change_target_queue(
        self, name: TargetKey, change: Callable[[TargetQueue], TargetQueue]
    ) -> None:
        target_queues = SqlTargetQueues(self._connection)
        before = target_queues.get(name)
        after = change(before or TargetQueue())
        if before is None and not after.is_limited:
            return
        target_queues.put(name, after)
        ordering.order_changed(self._connection, name, before or TargetQueue(), after)
        ordering.put_in_order(self._connection, name)
        target_queues.refresh({name: after})

    def _read(
        self, instance: InstanceId, target: TargetId, plain: str, sealed: bytes
    ) -> TargetPolicy:
        secret = self._secrets.open(sealed, belongs_to=_owner(instance, target))
        return policy_from_json(plain, secret)


def delete_policy(connection: Connection, instance: InstanceId, target: TargetId) -> None:
    """Delete the policy, the pause and the queue of a target that is deleted."""
    for table in ("target_policies", "paused_targets", "target_queues"):
        connection.execute(
            f"DELETE FROM {table} WHERE instance_id = ? AND target_id = ?",  # noqa: S608 - our names
            (instance, target),
        )


def _owner(instance: InstanceId, target: TargetId) -> str:
    return f"policy of target {instance}/{target}"
