"""The schema of PostgreSQL: the same as SQLite's, made once, and safe for rolling deploys."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, closing
from pathlib import Path

import psycopg
import pytest

from contracts.store.delivery.queue import QueueContract
from contracts.store.delivery.settling import SettlingContract
from outrider.adapters.sql.postgres.connection import _psycopg_sql, connect
from outrider.adapters.sql.schema.dialect import POSTGRES, SQLITE
from outrider.adapters.sql.schema.migrations import SchemaTooNew, all_migrations, migrate
from outrider.adapters.sql.stores.postgres_open import open_postgres
from outrider.adapters.sql.stores.sqlite import CannotOpen
from outrider.adapters.sql.stores.sqlite import connect as connect_sqlite
from outrider.runtime import Runtime
from support.postgres_databases import SEALING, SharedStore, a_database
from support.runtime import NOW

PREVIOUS = sorted(Path(__file__).with_name("previous_release").glob("*.json"))
NEWEST = all_migrations(POSTGRES)[-1].version
COLUMNS = (
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = current_schema()"
)


def rows_of(url, query):
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        return connection.execute(query).fetchall()


def change(url, *statements):
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement)


async def start(url):
    """Open and close the store, which migrates the schema."""
    async with open_postgres(url, SEALING, now=NOW, timeout_s=0.0):
        pass


def a_newer_step(url, compatible_with):
    """The schema of the next release: more columns, another table, the row of a migration."""
    tables = {name for name, _ in rows_of(url, COLUMNS)} - {"schema_migrations"}
    change(
        url,
        *(f"ALTER TABLE {name} ADD COLUMN of_tomorrow TEXT" for name in sorted(tables)),
        "CREATE TABLE tomorrow (instance_id TEXT PRIMARY KEY)",
        "INSERT INTO schema_migrations (version, name, applied_at, compatible_with)"
        f" VALUES ({NEWEST + 1}, 'tomorrow', 0, {compatible_with})",
    )


async def test_both_databases_have_the_same_tables_and_columns(postgres_url, tmp_path):
    """
    This test finds a column that only one of them has, and not an operator.
    """
    with closing(connect_sqlite(tmp_path / "outrider.db")) as connection:
        migrate(connection, NOW)
        expected = {
            (table, column)
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table'"
            ).fetchall()
            for _, column, *_ in connection.execute(f"PRAGMA table_info({table})")
        }
    await start(postgres_url)

    assert expected == set(rows_of(postgres_url, COLUMNS))
    assert all_migrations(SQLITE)[-1].version == NEWEST


async def test_nodes_that_start_together_make_the_schema_once(postgres_url):
    """
    A deployment starts all replicas at the same moment.
    """
    async with AsyncExitStack() as stack:
        opening = (open_postgres(postgres_url, SEALING, now=NOW) for _ in range(4))
        stores = await asyncio.gather(*map(stack.enter_async_context, opening))
        instances = {store.default_instance(Runtime()) for store in stores}

    assert 1 == len(instances)
    assert len(all_migrations(POSTGRES)) == len(
        rows_of(postgres_url, "SELECT 1 FROM schema_migrations")
    )


async def test_a_schema_that_this_release_cannot_use_is_refused(postgres_url):
    """
    Better no node than one that writes what the newer ones do not expect.
    """
    await start(postgres_url)
    a_newer_step(postgres_url, compatible_with=NEWEST + 1)

    with pytest.raises(SchemaTooNew, match=f"schema version {NEWEST + 1}"):
        await start(postgres_url)


def test_sqlite_refuses_and_accepts_by_the_same_rule(tmp_path):
    """
    Going back by one release is what an operator does in the middle of the night.
    """
    with closing(connect_sqlite(tmp_path / "outrider.db")) as connection:
        migrate(connection, NOW)
        version = all_migrations()[-1].version
        newer = "INSERT INTO schema_migrations VALUES (?, 'newer', 0, ?)"
        connection.execute(newer, (version + 1, version))
        assert 0 == migrate(connection, NOW)
        connection.execute(newer, (version + 2, None))
        with pytest.raises(SchemaTooNew):
            migrate(connection, NOW)


@pytest.fixture(scope="module")
def on_next_schema(postgres_server):
    """A database that the next release has migrated, while this one still runs."""
    with a_database(postgres_server) as url:
        shared = SharedStore(url, lambda: a_newer_step(url, compatible_with=NEWEST))
        try:
            yield shared
        finally:
            shared.close()


class OnTheNextSchema:
    @pytest.fixture
    def store(self, on_next_schema):
        return on_next_schema.emptied()


class TestQueueOnTheNextSchema(OnTheNextSchema, QueueContract): ...


class TestSettlingOnTheNextSchema(OnTheNextSchema, SettlingContract): ...


@pytest.mark.parametrize("path", PREVIOUS, ids=lambda path: path.stem)
def test_statements_of_an_earlier_release_run_on_this_schema(path, shared_postgres):
    """
    During a rolling deploy its nodes work on the new schema; all their statements still fit.

    Only releases after the last incompatible migration have a recording: older ones cannot run
    next to this one. 0013 renamed tables and columns, so 0013.json replaced 0011.json.
    """
    shared_postgres.emptied()
    recorded = json.loads(path.read_text())
    with closing(connect(shared_postgres.url)) as connection:
        failed = []
        for sql, *parameters in recorded["statements"]:
            connection.script("BEGIN")
            try:
                connection.execute(sql, [_value(parameter) for parameter in parameters])
            except psycopg.Error as failure:
                failed.append(f"{failure}: {_psycopg_sql(sql)}")
            connection.script("ROLLBACK")

    assert len(recorded["statements"]) > 100
    assert [] == failed


def _value(recorded):
    return bytes.fromhex(recorded["bytes"]) if isinstance(recorded, dict) else recorded


async def test_a_role_without_rights_is_told_immediately(postgres_url):
    """
    No waiting helps, and a readiness probe would only say that the node is not ready.
    """
    user = psycopg.conninfo.conninfo_to_dict(postgres_url)["user"]
    url = postgres_url.replace(f"{user}@", "nobody_known@")

    with pytest.raises(CannotOpen, match="nobody_known") as refused:
        await start(url)
    assert "postgresql://" in str(refused.value)
