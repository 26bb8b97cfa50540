"""Both stores keep the contract of instances; and no table of SQLite is forgotten."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from contracts.store.access.instances import (
    SECOND,
    SHOP,
    InstancesContract,
    add,
    an_instance,
    fill,
    read,
    write,
)
from fakes.memory.store import MemoryStore
from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.schema.migrations import all_migrations
from outrider.adapters.sql.stores.sqlite import connect, open_sqlite
from outrider.domain.access.instance import Instance
from outrider.runtime import Runtime
from support.runtime import NOW
from support.sqlite_databases import empty_sqlite

SEALING = Sealing(bytes(range(32)))
BEFORE_INSTANCES = 6
# Rows that belong to no instance, or to one through another table that is read first.
OF_THE_STORE = {
    "metadata",
    "instances",
    "instance_deletions",
    "routing_revision",
    "leases",
    "schema_migrations",
    "shared_queue",
    "rollup_marks",
    "leader_leases",
}
BY_ANOTHER = {"attempts", "cancel_requests"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outrider.db"


@pytest.fixture
async def sqlite_store(path):
    async with empty_sqlite(path) as store:
        yield store


class TestOnMemory(InstancesContract):
    @pytest.fixture
    async def store(self):
        return MemoryStore()


class TestOnSqlite(InstancesContract):
    @pytest.fixture
    async def store(self, sqlite_store):
        return sqlite_store


def tables(path):
    with closing(sqlite3.connect(path)) as connection:
        return {
            name: {column for _, column, *_ in connection.execute(f"PRAGMA table_info({name})")}
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }


async def test_every_table_says_whose_its_rows_are(sqlite_store, path):
    """
    A deleted instance must not leave rows in a table that came after this test.
    """
    found = tables(path)

    assert OF_THE_STORE | BY_ANOTHER == {
        name for name, columns in found.items() if "instance_id" not in columns
    }


async def test_a_deleted_instance_is_in_no_table(sqlite_store, path):
    """
    The data of a deleted tenant is deleted in every column of every table.
    """
    await add(sqlite_store, an_instance(SHOP, "shop", "shop.example"))
    await sqlite_store.write(lambda unit: fill(unit, SHOP, 100))
    before = mentions(path)
    await write(sqlite_store, lambda instances: instances.delete(SHOP))

    assert {"targets", "deliveries", "events", "web_keys", "instance_hosts"} <= before
    assert set() == mentions(path)


def mentions(path):
    """The tables with the instance's id in some column."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            name
            for name, columns in tables(path).items()
            for column in columns
            if connection.execute(
                f"SELECT 1 FROM {name} WHERE CAST({column} AS TEXT) = ?", (SHOP,)
            ).fetchone()
        }


async def test_the_default_instance_stays_the_default(sqlite_store):
    """
    A clock that was set back makes a younger instance look older.
    """
    default = sqlite_store.default_instance(Runtime())
    await add(sqlite_store, an_instance("1", "shop", created_at=NOW - SECOND))

    assert default == sqlite_store.default_instance(Runtime())


async def test_an_older_store_keeps_its_instance(path):
    """
    The one it had is the default, and has no host name.
    """
    with closing(connect(path)) as connection:
        connection.execute(
            "CREATE TABLE schema_migrations"
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
        )
        for step in all_migrations()[:BEFORE_INSTANCES]:
            connection.executescript(step.sql)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, 0)", (step.version, step.name)
            )
        connection.execute("INSERT INTO instances (id, created_at) VALUES ('9001', 0)")
        connection.execute("INSERT INTO instances (id, created_at) VALUES ('9002', 1)")
    async with open_sqlite(path, SEALING, now=NOW) as store:
        assert SHOP == store.default_instance(Runtime())
        assert [("9001", "default", ()), ("9002", "9002", ())] == [
            shown(instance) for instance in await read(store, lambda instances: instances.list())
        ]


def shown(instance: Instance):
    return instance.id, instance.name, instance.hosts
