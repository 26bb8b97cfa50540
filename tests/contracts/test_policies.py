"""Both stores keep the contract of target policies; and what SQLite writes down of a secret."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from outrider.adapters.keys.sealing import Sealing, WrongMasterKey
from outrider.adapters.memory.store import MemoryStore
from outrider.adapters.sql import queue
from outrider.adapters.sql.sqlite import open_sqlite
from outrider.testing.ambient import NOW
from outrider.testing.builders import planned
from outrider.testing.contracts.pausing import PausingContract
from outrider.testing.contracts.policies import (
    FULL,
    SECRETS,
    TargetPoliciesContract,
    get,
    pause,
    put,
    resume,
)
from outrider.testing.contracts.steps import add_targets, claim, claimed_ids, next_due, owe

SEALING = Sealing(bytes(range(32)))


@pytest.fixture
async def sqlite_store(tmp_path):
    async with open_sqlite(tmp_path / "outrider.db", SEALING, now=NOW) as store:
        yield store


class OnMemory:
    @pytest.fixture
    async def store(self):
        return MemoryStore()


class OnSqlite:
    @pytest.fixture
    async def store(self, sqlite_store):
        return sqlite_store


class TestPoliciesOnMemory(OnMemory, TargetPoliciesContract): ...


class TestPausingOnMemory(OnMemory, PausingContract): ...


class TestPoliciesOnSqlite(OnSqlite, TargetPoliciesContract): ...


class TestPausingOnSqlite(OnSqlite, PausingContract): ...


async def test_no_secret_is_in_the_files(sqlite_store, tmp_path):
    """
    Who has a copy of the database, and not the master key, logs in nowhere.
    """
    await add_targets(sqlite_store)
    await put(sqlite_store)
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert b"final_statuses" in on_disk
    assert [] == [each for each in SECRETS if each.encode() in on_disk]
    assert [] == [each for each in SECRETS if each in repr(FULL)]


async def test_secrets_cannot_be_moved_to_another_target(sqlite_store, tmp_path):
    """
    Who can write to the database must not send one target's credentials to another.
    """
    await add_targets(sqlite_store)
    await put(sqlite_store)
    with closing(sqlite3.connect(tmp_path / "outrider.db")) as connection, connection:
        connection.execute("UPDATE target_policies SET target_id = '102' WHERE target_id = '101'")

    with pytest.raises(WrongMasterKey):
        await sqlite_store.read(lambda unit: unit.policies.get("instance-a", "102"))
    assert None is await get(sqlite_store)


async def test_a_large_backlog_is_held_in_parts(sqlite_store):
    """
    One claim must not take a second because a paused target is owed a million deliveries.
    """
    held_at_once = queue._LOOKED_AT * queue._HOLDS_AT_ONCE
    await add_targets(sqlite_store)
    await owe(sqlite_store, *(planned(str(number)) for number in range(1, held_at_once + 2)))
    await pause(sqlite_store)
    await owe(sqlite_store, planned("999999", "102"), event="other")
    claims, asked = [], []
    for _ in range(2):
        claims.append(await claimed_ids(sqlite_store))
        asked.append(await next_due(sqlite_store))

    # Whoever got nothing is told to come again at once, and finds what was behind.
    assert [[], ["999999"]] == claims
    assert [NOW, None] == asked

    await resume(sqlite_store)

    assert "1" == (await claim(sqlite_store, limit=1))[0].id


async def test_a_pause_is_found_by_indexes_alone(sqlite_store, tmp_path):
    """
    Neither a long log nor a long backlog may be read through to claim, to hold or to go on.
    """
    with closing(sqlite3.connect(tmp_path / "outrider.db")) as connection:
        statements = []
        connection.set_trace_callback(statements.append)
        queue.due_rows(connection, 1, 10)
        queue.hold(connection, 1)
        queue.next_due(connection)
        queue.let_go(connection, "instance-a", "101")
        connection.set_trace_callback(None)
        wanted = [each for each in statements if "deliveries" in each]
        plans = [
            row[3]
            for statement in wanted
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]

    assert 4 == len(wanted)
    assert [] == [each for each in plans if "TEMP B-TREE" in each]
    assert [] == [
        each
        for each in plans
        if each.startswith("SCAN ") and "deliveries_due" not in each and "subquery" not in each
    ]
    assert any("deliveries_held" in each for each in plans)
