"""Data of the releases that knew event types alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.schema.migrations import all_migrations
from outrider.adapters.sql.stores.sqlite import open_sqlite
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from support.builders import ANOTHER_INSTANCE, INSTANCE
from support.runtime import NOW

BEFORE = 3


def make_old(path):
    """A database as the release before left it, with event types in it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE schema_migrations"
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
        )
        for step in all_migrations()[:BEFORE]:
            connection.executescript(step.sql)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, 0)", (step.version, step.name)
            )
        connection.executemany(
            "INSERT INTO event_types VALUES (?, ?)",
            [(INSTANCE, "b.type"), (INSTANCE, "a.type"), (ANOTHER_INSTANCE, "c.type")],
        )


async def test_published_event_types_are_entries_after_the_upgrade(tmp_path):
    """
    Executions were set for them: they must not become unknown.
    """
    path = tmp_path / "outrider.db"
    make_old(path)
    async with open_sqlite(path, Sealing(bytes(32)), now=NOW) as store:
        names = await store.read(lambda unit: dict(unit.catalogue.names()))
        published = [EntryName("a.type", EntryKind.EVENT_TYPE)]
        entries = await store.read(lambda unit: unit.catalogue.get_many(INSTANCE, published))

    assert {
        INSTANCE: {EntryKind.EVENT_TYPE: {"a.type", "b.type"}},
        ANOTHER_INSTANCE: {EntryKind.EVENT_TYPE: {"c.type"}},
    } == names
    assert [Entry(kind=EntryKind.EVENT_TYPE, name="a.type")] == list(entries)
