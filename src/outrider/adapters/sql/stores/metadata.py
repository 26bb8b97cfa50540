"""The metadata of a store, read once when it is opened."""

from __future__ import annotations

from outrider.adapters.sql.schema.connection import (
    LAST_SONYFLAKE,
    Connection,
    Secrets,
    from_time,
)
from outrider.domain.ids import InstanceId
from outrider.runtime import Runtime

_CHECK = "master key check"
_CHECK_TEXT = b"outrider"
_TEXT_ID = "CAST(id AS BIGINT)"
_IDENTIFIERS = {
    "deliveries": "id",
    "tokens": "id",
    "account_keys": "id",
    "accounts": _TEXT_ID,
    "instances": _TEXT_ID,
}


def check_secrets(connection: Connection, secrets: Secrets) -> None:
    """Seal a known text on first use, open it later: this finds a wrong key before it does harm."""
    row = connection.execute("SELECT value FROM metadata WHERE name = ?", (_CHECK,)).fetchone()
    if row is None:
        sealed = secrets.seal(_CHECK_TEXT, belongs_to=_CHECK)
        connection.execute("INSERT INTO metadata (name, value) VALUES (?, ?)", (_CHECK, sealed))
    else:
        secrets.open(row[0], belongs_to=_CHECK)


def last_identifier(connection: Connection) -> int:
    """The largest identifier in use that `Runtime.new_id` made; 0 in a new store."""
    largest = " UNION ALL ".join(
        f"SELECT max({number}) AS id FROM {table}"  # noqa: S608 - our names
        for table, number in _IDENTIFIERS.items()
    )
    (found,) = connection.execute(f"SELECT max(id) FROM ({largest}) AS largest").fetchone()  # noqa: S608
    return int(found or 0)


def last_sonyflake(connection: Connection) -> int:
    """The largest identifier that `Runtime.new_sonyflake` made for this store; 0 in a new one."""
    row = connection.execute(
        "SELECT value FROM metadata WHERE name = ?", (LAST_SONYFLAKE,)
    ).fetchone()
    return 0 if row is None else int.from_bytes(row[0])


def default_instance(connection: Connection, runtime: Runtime) -> InstanceId:
    """The instance of every host name that no other one has; made when there is none."""
    row = connection.execute("SELECT id FROM instances WHERE is_default = 1").fetchone()
    if row is not None:
        return InstanceId(row[0])
    instance = InstanceId(str(runtime.new_id()))
    connection.execute(
        "INSERT INTO instances (id, name, is_default, created_at) VALUES (?, 'default', 1, ?)",
        (instance, from_time(runtime.now())),
    )
    return instance
