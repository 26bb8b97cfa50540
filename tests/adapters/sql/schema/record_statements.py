"""Record the statements of this release: `python tests/adapters/sql/schema/record_statements.py`.

Once for each release, before it is made. It runs the contracts on PostgreSQL, and keeps one example
of each statement in `previous_release/<schema version>.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from outrider.adapters.sql.postgres.connection import PostgresConnection
from outrider.adapters.sql.schema.dialect import POSTGRES
from outrider.adapters.sql.schema.migrations import all_migrations

HERE = Path(__file__).parent


class Recorder:
    """A plugin of pytest that records the statements of every connection."""

    def __init__(self):
        self.statements = {}

    def pytest_configure(self):
        execute, executemany = PostgresConnection.execute, PostgresConnection.executemany
        first_of_each = PostgresConnection.first_of_each

        def recorded(connection, sql, parameters=(), /):
            self.record(sql, parameters)
            return execute(connection, sql, parameters)

        def recorded_many(connection, sql, parameters, /):
            rows = list(parameters)
            if rows:
                self.record(sql, rows[0])
            return executemany(connection, sql, rows)

        def recorded_each(connection, sql, parameters, /):
            if parameters:
                self.record(sql, parameters[0])
            return first_of_each(connection, sql, parameters)

        PostgresConnection.execute, PostgresConnection.executemany = recorded, recorded_many
        PostgresConnection.first_of_each = recorded_each

    def record(self, sql, parameters):
        """Keep the first example of a statement on our tables."""
        word = sql.split(None, 1)[0]
        is_seed = word == "INSERT" and not parameters
        known = {"SELECT", "INSERT", "UPDATE", "DELETE"}
        if word in known and not is_seed and "schema_migrations" not in sql:
            self.statements.setdefault(sql, [_written(parameter) for parameter in parameters])


def _written(value):
    return {"bytes": value.hex()} if isinstance(value, bytes) else value


def main():
    """Run the contracts and write the file."""
    recorder = Recorder()
    suite = str(HERE.parent / "stores" / "test_postgres.py")
    code = pytest.main(["-q", "-p", "no:cacheprovider", suite], plugins=[recorder])
    version = all_migrations(POSTGRES)[-1].version
    rows = [[sql, *values] for sql, values in sorted(recorder.statements.items())]
    path = HERE / "previous_release" / f"{version:04}.json"
    path.write_text(json.dumps({"schema_version": version, "statements": rows}, indent=1) + "\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
