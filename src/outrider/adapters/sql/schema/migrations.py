"""Schema migrations: numbered SQL files, applied in order when a store is opened.

Each database has separate files under the same numbers. A file may say in a separate line
`-- compatible with: N`: releases that know version N still work on the schema that it makes, so
that nodes can be replaced one after the other. Without that line only newer ones do.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

from outrider.adapters.sql.schema.connection import Connection, from_time
from outrider.adapters.sql.schema.dialect import SQLITE, Dialect

_COMPATIBLE = re.compile(r"^-- compatible with: (\d+)$", re.MULTILINE)


class SchemaTooNew(Exception):
    """The data was written by a newer release."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. Steps are never edited after a release."""

    version: int
    name: str
    sql: str

    @property
    def compatible_with(self) -> int:
        """The oldest version whose release works on what this step leaves behind."""
        found = _COMPATIBLE.search(self.sql)
        return int(found[1]) if found else self.version


def all_migrations(dialect: Dialect = SQLITE) -> list[Migration]:
    """Every step there is, in order."""
    folder = resources.files(dialect.migrations)
    files = [path for path in folder.iterdir() if path.name.endswith(".sql")]
    steps = [Migration(int(file.name[:4]), file.name[5:-4], file.read_text()) for file in files]
    return sorted(steps, key=lambda step: step.version)


def migrate(connection: Connection, now: datetime) -> int:
    """Bring the schema up to date and return how many steps that took.

    Each step commits on its own. Raise `SchemaTooNew` for a schema on which this code cannot work.
    """
    steps = all_migrations(connection.dialect)
    done = _done(connection, steps[-1].version)
    pending = [step for step in steps if step.version > done]
    for step in pending:
        _apply(connection, step, now)
    return len(pending)


def _done(connection: Connection, known: int) -> int:
    """The schema's version; the table of migrations is made when it is missing."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)"
    )
    if not connection.execute(connection.dialect.has_compatible_with).fetchone()[0]:
        connection.execute("ALTER TABLE schema_migrations ADD COLUMN compatible_with INTEGER")
    done, needed = versions(connection, known)
    if needed > known:
        raise SchemaTooNew(
            f"the data has schema version {done}, for releases that know {needed} or more; this"
            f" release knows {known}: start the newer release that wrote it, or restore a backup"
        )
    return done


def versions(connection: Connection, known: int) -> tuple[int, int]:
    """The schema's version, and the oldest that a release must know to work on it.

    The second is 0 when a release that knows `known` is not older than the schema.
    """
    has_column = connection.execute(connection.dialect.has_compatible_with).fetchone()[0]
    least = "coalesce(compatible_with, version)" if has_column else "version"
    done, needed = connection.execute(
        f"SELECT coalesce(max(version), 0), coalesce(max(CASE WHEN version > ?"  # noqa: S608 - ours
        f" THEN {least} END), 0) FROM schema_migrations",
        (known,),
    ).fetchone()
    return int(done), int(needed)


def _apply(connection: Connection, step: Migration, now: datetime) -> None:
    connection.execute(connection.dialect.begin)
    try:
        for statement in _statements(step.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_migrations (version, name, applied_at, compatible_with)"
            " VALUES (?, ?, ?, ?)",
            (step.version, step.name, from_time(now), step.compatible_with),
        )
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back already when the disk is full: the failure below says more.
        with suppress(Exception):
            connection.execute("ROLLBACK")
        raise


def _statements(sql: str) -> list[str]:
    lines = (line.partition("--")[0] for line in sql.splitlines())
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]
