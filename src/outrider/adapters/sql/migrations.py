"""Schema migrations: numbered SQL files, applied in order when a store is opened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib import resources

from outrider.adapters.sql.columns import Connection, from_time

_PACKAGE = "outrider.adapters.sql.migrations_sql"


class SchemaTooNew(Exception):
    """The data was written by a newer release."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. Steps are never edited after a release."""

    version: int
    name: str
    sql: str


def all_migrations() -> list[Migration]:
    """Every step there is, in order."""
    files = [each for each in resources.files(_PACKAGE).iterdir() if each.name.endswith(".sql")]
    steps = [Migration(int(each.name[:4]), each.name[5:-4], each.read_text()) for each in files]
    return sorted(steps, key=lambda step: step.version)


def migrate(connection: Connection, now: datetime) -> int:
    """Bring the schema up to date and return how many steps that took.

    Each step commits on its own. Raise `SchemaTooNew` when the data knows more than this code.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
    )
    (done,) = connection.execute(
        "SELECT coalesce(max(version), 0) FROM schema_migrations"
    ).fetchone()
    steps = all_migrations()
    if done > steps[-1].version:
        raise SchemaTooNew(
            f"the data has schema version {done}, this release knows {steps[-1].version}:"
            " start the newer release that wrote it, or restore a backup"
        )
    pending = [step for step in steps if step.version > done]
    for step in pending:
        _apply(connection, step, now)
    return len(pending)


def _apply(connection: Connection, step: Migration, now: datetime) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _statements(step.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)",
            (step.version, step.name, from_time(now)),
        )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(sql: str) -> list[str]:
    lines = (line.partition("--")[0] for line in sql.splitlines())
    return [each.strip() for each in "\n".join(lines).split(";") if each.strip()]
