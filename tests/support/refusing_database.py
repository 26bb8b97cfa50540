"""A database whose owner is no superuser, and a superuser who makes it refuse."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import psycopg

from support.postgres import PostgresServer

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'outrider' AND datname = '{database}'"
)
"""Ends the connections of outrider, which makes new ones under the settings of then."""


@dataclass
class Database:
    """A database, the role that owns it, and a superuser who makes it refuse."""

    server: PostgresServer
    name: str

    @property
    def url(self) -> str:
        """The owner's."""
        return self.server.url(self.name).replace("postgres@", f"{self.name}@")

    def execute(self, *statements: str) -> list[tuple]:
        """As the superuser, in this database; `{role}` is its owner, `{database}` its name."""
        # That is refused to those who are connected to it.
        is_elsewhere = "ALLOW_CONNECTIONS" in statements[0]
        url = self.server.url("postgres" if is_elsewhere else self.name)
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            rows: list[tuple] = []
            for statement in statements:
                cursor = connection.execute(statement.format(role=self.name, database=self.name))
                rows = cursor.fetchall() if cursor.description else []
            return rows


@contextmanager
def refusing_database(server: PostgresServer, *, options: str = "") -> Iterator[Database]:
    """One that is gone afterwards, with its owner. `options` are those of CREATE DATABASE."""
    found = Database(server, f"refusing_{secrets.token_hex(4)}")
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        connection.execute(f"CREATE ROLE {found.name} LOGIN")
        connection.execute(f"CREATE DATABASE {found.name} OWNER {found.name} {options}")
        try:
            yield found
        finally:
            connection.execute(f"DROP DATABASE {found.name} WITH (FORCE)")
            connection.execute(f"DROP ROLE {found.name}")
