"""Replays of releases that did not mark what they go back to."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg

from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.postgres.connection import connect as connect_postgres
from outrider.adapters.sql.schema.connection import from_time
from outrider.adapters.sql.schema.dialect import POSTGRES
from outrider.adapters.sql.schema.migrations import all_migrations, migrate
from outrider.adapters.sql.stores.sqlite import connect, open_sqlite
from outrider.domain.ids import DeliveryId
from support.builders import INSTANCE, a_target
from support.postgres_databases import a_database
from support.runtime import NOW

BEFORE = 16
# Dead but for the last: 1 was replayed by 3 and 4, 3 by 5, and 5 by 6. 2 was not; what 7 repeats is gone.
REPLAYED = {1: None, 2: None, 3: 1, 4: 1, 5: 3, 6: 5, 7: 99}
ROOTS = {1: None, 2: None, 3: 1, 4: 1, 5: 1, 6: 1, 7: 99}
SELECT = "SELECT id, replay_root FROM deliveries"


def rows() -> list[tuple[object, ...]]:
    """The deliveries as that release wrote them."""
    at = from_time(NOW)
    return [
        (number, INSTANCE, 1, "101", 4 if number == 6 else 5, at, at, 1, replay_of)
        for number, replay_of in REPLAYED.items()
    ]


INSERT = (
    "INSERT INTO deliveries (id, instance_id, event_number, target_id, state, created_at,"
    " finished_at, attempt_count, replay_of) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_EVENT = (
    "INSERT INTO events (number, instance_id, id, type, execution_id, body, created_at)"
    " VALUES (1, ?, 'event-1', 'a.b', 'event/a.b', x'7b7d', ?)"
)


def make_old(path: Path) -> None:
    """A file as the release before left it."""
    with closing(connect(path)) as connection:
        connection.execute(
            "CREATE TABLE schema_migrations"
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
        )
        for step in all_migrations():
            if step.version <= BEFORE:
                connection.executescript(step.sql)
                connection.execute(
                    "INSERT INTO schema_migrations VALUES (?, ?, 0)", (step.version, step.name)
                )
        connection.execute(INSERT_EVENT, (INSTANCE, from_time(NOW)))
        connection.executemany(INSERT, rows())


async def test_replays_go_back_to_the_first_after_the_upgrade(tmp_path):
    """
    What was replayed before must not be replayed again by a filter.
    """
    path = tmp_path / "outrider.db"
    make_old(path)
    async with open_sqlite(path, Sealing(bytes(32)), now=NOW) as store:
        await store.write(lambda unit: unit.targets.add(INSTANCE, a_target("101")))
        ids = [DeliveryId(str(number)) for number in REPLAYED]
        entries = await store.read(lambda unit: unit.log_scans.named(INSTANCE, ids))
    with closing(connect(path)) as connection:
        roots = dict(connection.execute(SELECT).fetchall())

    assert ROOTS == roots
    assert ["1", "3", "4", "5", "6"] == [entry.id for entry in entries if entry.is_replayed]


def test_postgresql_finds_the_same(postgres_server):
    """
    Its statement is the same.
    """
    [step] = [step for step in all_migrations(POSTGRES) if step.version == BEFORE + 1]
    with a_database(postgres_server) as url:
        with closing(connect_postgres(url)) as connection:
            migrate(connection, NOW)
            connection.execute("DROP INDEX deliveries_replays")
            connection.execute("ALTER TABLE deliveries DROP COLUMN replay_root")
            connection.execute("ALTER TABLE deliveries DROP COLUMN was_redelivered")
            connection.executemany(INSERT, rows())
        with psycopg.connect(url) as raw:
            raw.execute(step.sql)
            roots = dict(raw.execute(SELECT).fetchall())

    assert ROOTS == roots
