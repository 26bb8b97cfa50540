"""PostgreSQL for tests: one server for all of them, and a fresh database on demand."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.postgres.connection import connect
from outrider.adapters.sql.stores.postgres import PostgresStore
from outrider.adapters.sql.stores.postgres_open import _bring_up_to_date
from support.postgres import postgres_server
from support.runtime import NOW

GIVEN = "OUTRIDER_TEST_DATABASE_URL"
MASTER_KEY = bytes(range(32))
SEALING = Sealing(MASTER_KEY)


@contextmanager
def a_server() -> Iterator[str]:
    """The URL of a server where databases may be made: the given one, or one that is started here."""
    given = os.environ.get(GIVEN)
    if given:
        yield given
        return
    with postgres_server() as server:
        yield server.url()


@contextmanager
def a_database(server: str) -> Iterator[str]:
    """A database that is empty, and gone afterwards, also while clients are connected."""
    name = f"outrider_{secrets.token_hex(6)}"
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        quoted = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(quoted))
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(quoted))


class SharedStore:
    """A store that many tests use one after the other: it is emptied, not opened again."""

    def __init__(self, url: str, prepare: Callable[[], None] = lambda: None) -> None:
        self.url = url
        with closing(connect(url)) as link:
            _bring_up_to_date(link, NOW)
        prepare()
        with closing(connect(url)) as link:
            _bring_up_to_date(link, NOW)
        self._raw = psycopg.connect(url, autocommit=True)
        self._tables = [name for (name,) in self._raw.execute(_TABLES)]
        self._seeds = {
            name: self._raw.execute(
                sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))
            ).fetchall()
            for name in self._tables
        }
        self.store = PostgresStore(url, SEALING)

    def emptied(self) -> PostgresStore:
        """The store, as new."""
        steps = [sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for name in self._tables]
        self._raw.execute(sql.SQL(";").join(steps))
        for name, rows in self._seeds.items():
            for row in rows:
                self._raw.execute(
                    sql.SQL("INSERT INTO {} VALUES ({})").format(
                        sql.Identifier(name), sql.SQL(",").join(map(sql.Literal, row))
                    )
                )
        return self.store

    def close(self) -> None:
        """Close it."""
        self.store.close()
        self._raw.close()


_TABLES = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
    " AND table_name <> 'schema_migrations' ORDER BY table_name"
)
