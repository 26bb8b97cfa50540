"""Which schema of a database is the store: one of its own beside the tables of an application."""

from __future__ import annotations

from psycopg import errors

from outrider.adapters.sql.postgres.connection import PostgresConnection

OWN_SCHEMA = "outrider"
"""The schema of a store that is made beside other tables, unless a setting names another one."""

# `schema_migrations` is a usual name: ours has these columns.
_IS_STORE = (
    "SELECT count(*) = 3 FROM pg_attribute"
    " WHERE attrelid = to_regclass(format('%I.schema_migrations', CAST(? AS text)))"
    " AND attname IN ('version', 'name', 'applied_at') AND NOT attisdropped"
)
# What an extension has made, such as the views of pg_stat_statements, belongs to no application.
_HAS_TABLES = (
    "SELECT EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(?))"
    " AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (SELECT 1 FROM pg_depend"
    " WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'))"
)
_EXISTS = "SELECT to_regnamespace(quote_ident(?)) IS NOT NULL"


class SchemaNotMade(Exception):
    """The role may not make the schema."""

    def __init__(self, schema: str) -> None:
        super().__init__(f"the schema {schema} is missing, and the role may not make it")
        self.advice = (
            f"CREATE SCHEMA {schema} AUTHORIZATION its role, or GRANT CREATE ON DATABASE to the"
            " role, or name a schema that is there in OUTRIDER_DATABASE_SCHEMA"
        )


def find_schema(
    connection: PostgresConnection, chosen: str | None, *, beside_tables: bool
) -> str | None:
    """Return the schema of the store, there or not; None: the first one of the `search_path`.

    `chosen` is what a setting names. Without one, that is where a store is already, else `outrider`
    for a store that is made beside tables of others: those that are there, or, with
    `beside_tables`, those that will be.
    """
    if chosen is not None:
        return chosen
    first = connection.execute("SELECT current_schema()").fetchone()[0]
    if first is not None and _holds(connection, _IS_STORE, first):
        return None
    is_shared = beside_tables or first is None or _holds(connection, _HAS_TABLES, first)
    return OWN_SCHEMA if is_shared or _holds(connection, _IS_STORE, OWN_SCHEMA) else None


def enter_schema(connection: PostgresConnection, schema: str | None) -> None:
    """Use the schema on this connection, and make it when it is missing. Raise `SchemaNotMade`."""
    if schema is None:
        return
    if not _holds(connection, _EXISTS, schema):
        quoted = connection.execute("SELECT quote_ident(?)", (schema,)).fetchone()[0]
        try:
            connection.script(f"CREATE SCHEMA IF NOT EXISTS {quoted}")
        except errors.InsufficientPrivilege:
            raise SchemaNotMade(schema) from None
    connection.use_schema(schema)


def _holds(connection: PostgresConnection, question: str, schema: str) -> bool:
    return bool(connection.execute(question, (schema,)).fetchone()[0])
