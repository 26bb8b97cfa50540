"""Write down what this release says to PostgreSQL: `python tests/adapters/sql/schema/record_statements.py`.

Once for each release, before it is made. It runs the contracts, and keeps one example of each
statement in `previous_release/<schema version>.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from outrider.adapters.sql.schema.dialect import POSTGRES
from outrider.adapters.sql.schema.migrations import all_migrations
from outrider.adapters.sql.stores.postgres_connection import PostgresLink

HERE = Path(__file__).parent


class Recorder:
    """A plugin of pytest that listens to every link."""

    def __init__(self):
        self.statements = {}

    def pytest_configure(self):
        execute, executemany = PostgresLink.execute, PostgresLink.executemany

        def heard(link, sql, parameters=(), /):
            self.keep(sql, parameters)
            return execute(link, sql, parameters)

        def heard_many(link, sql, parameters, /):
            rows = list(parameters)
            if rows:
                self.keep(sql, rows[0])
            return executemany(link, sql, rows)

        PostgresLink.execute, PostgresLink.executemany = heard, heard_many

    def keep(self, sql, parameters):
        """The first example of a statement that says something of ours."""
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
