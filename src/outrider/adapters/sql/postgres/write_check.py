"""A write that is tried and taken back: whether a publish or a delivery could be recorded now."""

from __future__ import annotations

import os

from outrider.adapters.sql.postgres.connection import PostgresConnection
from outrider.adapters.sql.postgres.failures import NO_PERMISSION, NO_TABLE, refusal_named

TABLES = (
    "accounts",
    "account_keys",
    "attempts",
    "cancel_requests",
    "catalogue_entries",
    "deliveries",
    "delivery_buckets",
    "delivery_totals",
    "events",
    "execution_targets",
    "executions",
    "instance_deletions",
    "instance_hosts",
    "instances",
    "leader_leases",
    "leases",
    "metadata",
    "paused_targets",
    "public_keys",
    "rollup_marks",
    "routing_revision",
    "shared_queue",
    "target_deletions",
    "target_policies",
    "target_queues",
    "targets",
    "tokens",
    "web_keys",
)
"""Every table that outrider writes to."""

# After the disk was full: what is left of it is too little for most calls.
LARGE_BYTES = 256 * 1024
_SMALL_BYTES = 16
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_UNUSABLE = (
    "SELECT name, to_regclass(name) IS NULL FROM unnest(CAST(? AS text[])) AS name"  # noqa: S608 - ours
    " WHERE NOT coalesce("
    + " AND ".join(f"has_table_privilege(to_regclass(name), '{right}')" for right in _RIGHTS)
    + ", false) ORDER BY name LIMIT 1"
)
# A process that stands still in the middle of it is not in the way of the others' checks.
_INSERT = "INSERT INTO metadata (name, value) VALUES ('write check ' || pg_backend_pid(), ?)"


def try_write(connection: PostgresConnection, *, was_full: bool = False) -> None:
    """Write a row within the open transaction and take it back; the commit writes to the disk.

    Raise what the database raises, or `WriteRefused` for a table that the role may not write to.
    With `was_full` the row is as large as a call: a disk with a few bytes left refuses it.
    """
    connection.execute("SAVEPOINT write_check")
    # Random, so that it cannot be compressed.
    connection.execute(_INSERT, (os.urandom(LARGE_BYTES if was_full else _SMALL_BYTES),))
    connection.script("ROLLBACK TO SAVEPOINT write_check; RELEASE SAVEPOINT write_check")
    unusable = connection.execute(_UNUSABLE, (list(TABLES),)).fetchone()
    if unusable is not None:
        table, is_missing = unusable
        raise refusal_named(NO_TABLE if is_missing else NO_PERMISSION, f"table {table}")
