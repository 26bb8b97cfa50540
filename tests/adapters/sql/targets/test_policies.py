"""Both stores keep the contract of target policies; and what SQLite stores of a secret."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from contracts.store.steps import add_pending, add_targets, claim, claimed_ids, next_due
from contracts.store.targets.pausing import PausingContract
from contracts.store.targets.policies import (
    FULL,
    SECRETS,
    TargetPoliciesContract,
    get,
    pause,
    put,
    resume,
)
from fakes.memory.store import MemoryStore
from outrider.adapters.crypto.sealing import WrongMasterKey
from outrider.adapters.sql.delivery import claims
from outrider.adapters.sql.stores.sqlite import connect
from outrider.domain.delivery.target_queue import NO_CLAIM_LIMITS
from support.builders import planned
from support.runtime import NOW
from support.sqlite_databases import empty_sqlite


@pytest.fixture
async def sqlite_store(tmp_path):
    async with empty_sqlite(tmp_path / "outrider.db") as store:
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
    A copy of the database without the master key logs in nowhere.
    """
    await add_targets(sqlite_store)
    await put(sqlite_store)
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert b"final_statuses" in on_disk
    assert [] == [secret for secret in SECRETS if secret.encode() in on_disk]
    assert [] == [secret for secret in SECRETS if secret in repr(FULL)]


async def test_secrets_cannot_be_moved_to_another_target(sqlite_store, tmp_path):
    """
    A write to the database must not send one target's credentials to another.
    """
    await add_targets(sqlite_store)
    await put(sqlite_store)
    with closing(sqlite3.connect(tmp_path / "outrider.db")) as connection, connection:
        connection.execute("UPDATE target_policies SET target_id = '102' WHERE target_id = '101'")

    with pytest.raises(WrongMasterKey):
        await sqlite_store.read(lambda unit: unit.policies.get("instance-a", "102"))
    assert None is await get(sqlite_store)


async def test_a_large_backlog_is_suspended_in_parts(sqlite_store):
    """
    One claim must not take a second because a paused target has a million deliveries.
    """
    backlog = claims._MAX_SCANNED * (claims._MOVES_AT_ONCE + 1) + 1
    await add_targets(sqlite_store)
    await add_pending(sqlite_store, *(planned(str(number)) for number in range(1, backlog)))
    await pause(sqlite_store)
    await add_pending(sqlite_store, planned("999999", "102"), event="other")
    claimed, due = [], []
    for _ in range(2):
        claimed.append(await claimed_ids(sqlite_store))
        due.append(await next_due(sqlite_store))

    # A delivery behind the backlog does not wait for the move; the worker that moves polls immediately.
    assert [["999999"], []] == claimed
    assert [NOW, None] == due

    await resume(sqlite_store)

    assert "1" == (await claim(sqlite_store, limit=1))[0].id


async def test_a_pause_is_found_by_indexes_alone(sqlite_store, tmp_path):
    """
    No scan of a long log or a long backlog to claim, to suspend or to resume.
    """
    with closing(connect(tmp_path / "outrider.db")) as connection:
        statements = []
        connection.execute("INSERT INTO shared_queue VALUES (0)")
        connection.execute(
            "INSERT INTO target_queues SELECT 'instance-a', '101', 0, 1, 1.0, 1, 1, 1, 1, 0, NULL, 1.0, 0, 0,"
            " NULL, 0, NULL, 0"
        )
        connection.set_trace_callback(statements.append)
        claims.Claim(connection, "worker", NOW, 10, NO_CLAIM_LIMITS).run()
        claims.move_to_target_queues(connection, 1)
        claims.next_due(connection, ())
        connection.set_trace_callback(None)
        reads = {statement for statement in statements if "deliveries" in statement}
        plans = [
            row[3]
            for statement in reads
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]

    assert [] == [plan for plan in plans if "TEMP B-TREE" in plan]
    assert [] == [
        plan
        for plan in plans
        if plan.startswith("SCAN ")
        and not any(
            known in plan for known in ("deliveries_due", "deliveries_owner", "first", "json_each")
        )
    ]
    assert any("deliveries_queued" in plan for plan in plans)
