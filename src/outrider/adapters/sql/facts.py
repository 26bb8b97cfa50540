"""What a store knows about itself, asked once when it is opened."""

from __future__ import annotations

from outrider.adapters.sql.columns import Connection, from_time
from outrider.adapters.sql.secrets import Secrets
from outrider.ambient import Ambient
from outrider.domain.ids import InstanceId

_CHECK = "master key check"
_CHECK_TEXT = b"outrider"


def check_secrets(connection: Connection, secrets: Secrets) -> None:
    """Seal a known text on first use, open it later: a wrong key is found before it does harm."""
    row = connection.execute("SELECT value FROM facts WHERE name = ?", (_CHECK,)).fetchone()
    if row is None:
        sealed = secrets.seal(_CHECK_TEXT, belongs_to=_CHECK)
        connection.execute("INSERT INTO facts (name, value) VALUES (?, ?)", (_CHECK, sealed))
    else:
        secrets.open(row[0], belongs_to=_CHECK)


def last_identifier(connection: Connection) -> int:
    """The largest identifier that was ever made here; 0 in a new store."""
    row = connection.execute(
        "SELECT max((SELECT coalesce(max(id), 0) FROM deliveries),"
        " (SELECT coalesce(max(id), 0) FROM tokens),"
        " (SELECT coalesce(max(id), 0) FROM web_keys),"
        " (SELECT coalesce(max(id), 0) FROM account_keys),"
        " (SELECT coalesce(max(CAST(id AS INTEGER)), 0) FROM accounts),"
        " (SELECT coalesce(max(id), 0) FROM public_keys),"
        " (SELECT coalesce(max(CAST(id AS INTEGER)), 0) FROM targets),"
        " (SELECT coalesce(max(CAST(id AS INTEGER)), 0) FROM instances))"
    ).fetchone()
    return int(row[0])


def default_instance(connection: Connection, ambient: Ambient) -> InstanceId:
    """The instance of every host name that is no other's; made when there is none."""
    row = connection.execute("SELECT id FROM instances WHERE is_default = 1").fetchone()
    if row is not None:
        return InstanceId(row[0])
    instance = InstanceId(str(ambient.new_id()))
    connection.execute(
        "INSERT INTO instances (id, name, is_default, created_at) VALUES (?, 'default', 1, ?)",
        (instance, from_time(ambient.now())),
    )
    return instance
