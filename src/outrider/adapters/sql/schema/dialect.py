"""What differs between the SQL of SQLite and of PostgreSQL. Everything else is the same text.

A statement is written once, with `?` for its parameters. Where the databases have no words in
common, it takes a piece from the dialect of its connection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_NUL = "\0"
# PostgreSQL's advisory locks, chosen once and for all: releases that run side by side must mean
# the same by them. They are one database's, and each schema in it may be a store: the second number
# is its schema's. `MIGRATION_LOCK` is for all of them.
OF_SCHEMA = "hashtext(current_schema())"
UNITS_LOCK = f"1869968497, {OF_SCHEMA}"
TARGET_QUEUES_LOCK = f"1869968498, {OF_SCHEMA}"
MIGRATION_LOCK = 7_236_841_002


class Membership(Protocol):
    """Makes the condition that a column has one of some values, and its one parameter."""

    def __call__(self, column: str, values: Sequence[str] | Sequence[int]) -> tuple[str, object]:
        """One parameter however many values: a request can hold more than SQLite takes."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """Pieces of SQL. None of them has any text that a caller sent.

    `locked` and `free_only` end a SELECT whose rows of the table `{}` this transaction is going to
    change: the first waits for transactions that have them, the second skips those rows. SQLite has
    one writer and needs neither.
    """

    name: str
    migrations: str
    one_of: Membership
    locked: str
    free_only: str
    # Statements that hold a lock until the commit; empty where no other transaction writes meanwhile.
    # The second tells whether this transaction is the only one that writes, and stays it.
    lock_target_queues: str
    is_alone: str
    # A row's address within one statement.
    row: str
    # `{column}` has the pattern that is the parameter; `*` there is any text, `\\` escapes.
    like: str
    any_text: str
    special: str
    escaped: str
    # Every table with the column `instance_id`, each with the columns of its primary key.
    tables_of_instances: str
    begin: str
    has_compatible_with: str

    def pattern(self, text: str) -> str:
        """`text` itself, whatever characters it has, as a part of a pattern."""
        return "".join(
            self.escaped.format(character) if character in self.special else character
            for character in text
        )


def _sqlite_one_of(column: str, values: Sequence[str] | Sequence[int]) -> tuple[str, object]:
    # SQLite's texts from JSON end at NUL.
    return f"{column} IN (SELECT value FROM json_each(?))", json.dumps(_findable(values))  # noqa: S608 - our names


def _postgres_one_of(column: str, values: Sequence[str] | Sequence[int]) -> tuple[str, object]:
    found = _findable(values)
    if not found:
        # An empty list has no type. True of no row.
        return "CAST(? AS TEXT) IS NOT NULL", None
    kind = "text" if isinstance(found[0], str) else "bigint"
    return f"{column} = ANY (CAST(? AS {kind}[]))", found


def _findable(values: Sequence[str] | Sequence[int]) -> Sequence[str | int]:
    """Without texts that have a NUL: no row has one, so nothing that has one is found."""
    return [value for value in values if isinstance(value, int) or _NUL not in value]


SQLITE = Dialect(
    name="sqlite",
    migrations="outrider.adapters.sql.schema.migrations_sql",
    one_of=_sqlite_one_of,
    locked="",
    free_only="",
    lock_target_queues="",
    is_alone="",
    row="rowid",
    # GLOB and not LIKE: SQLite's LIKE ignores the case of ASCII letters.
    like="{} GLOB ?",
    any_text="*",
    special="[*?",
    escaped="[{}]",
    tables_of_instances=(
        "SELECT tables.name, group_concat(columns.name) FROM sqlite_schema AS tables,"
        " pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' AND columns.pk > 0"
        " AND EXISTS (SELECT 1 FROM pragma_table_info(tables.name) WHERE name = 'instance_id')"
        " GROUP BY tables.name"
    ),
    begin="BEGIN IMMEDIATE",
    has_compatible_with=(
        "SELECT count(*) FROM pragma_table_info('schema_migrations') WHERE name = 'compatible_with'"
    ),
)
POSTGRES = Dialect(
    name="postgresql",
    migrations="outrider.adapters.sql.schema.migrations_pg",
    one_of=_postgres_one_of,
    locked=" FOR UPDATE OF {}",
    free_only=" FOR UPDATE OF {} SKIP LOCKED",
    lock_target_queues=f"SELECT pg_advisory_xact_lock({TARGET_QUEUES_LOCK})",
    is_alone=f"SELECT pg_try_advisory_xact_lock({UNITS_LOCK})",
    row="ctid",
    like="{} LIKE ?",
    any_text="%",
    special="\\%_",
    escaped="\\{}",
    tables_of_instances=(
        "SELECT keys.table_name, string_agg(keys.column_name, ',')"
        " FROM information_schema.table_constraints AS constraints"
        " JOIN information_schema.key_column_usage AS keys"
        " ON keys.table_schema = constraints.table_schema AND keys.table_name = constraints.table_name"
        " AND keys.constraint_name = constraints.constraint_name"
        " JOIN information_schema.columns AS columns ON columns.table_schema = keys.table_schema"
        " AND columns.table_name = keys.table_name AND columns.column_name = 'instance_id'"
        " WHERE constraints.table_schema = current_schema()"
        " AND constraints.constraint_type = 'PRIMARY KEY' GROUP BY keys.table_name"
    ),
    begin="BEGIN",
    has_compatible_with=(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND table_name = 'schema_migrations' AND column_name = 'compatible_with'"
    ),
)
