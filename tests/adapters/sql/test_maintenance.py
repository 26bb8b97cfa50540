"""Both stores replay, cancel, count and delete alike; and what that costs SQLite."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from contracts.store.delivery.cancelling import CancellingContract
from contracts.store.delivery.replays import ReplaysContract
from contracts.store.delivery.retention import RetentionContract
from contracts.store.delivery.retrying import RetryingContract
from contracts.store.delivery.stats import CountingContract
from contracts.store.steps import add_pending, add_targets
from fakes.memory.store import MemoryStore
from outrider.adapters.sql.delivery.deliveries import SqlDeliveries
from outrider.adapters.sql.delivery.log_scan import SqlLogScans
from outrider.adapters.sql.delivery.retention import SqlRetention
from outrider.adapters.sql.delivery.stats import SqlDeliveryCounts
from outrider.adapters.sql.stores.sqlite import connect
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import LogRange
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.stats import StatsSearch
from outrider.domain.ids import DeliveryId, EventId, TargetId
from outrider.worker import cleaner
from outrider.worker.cleaner import RetentionPeriods
from support.builders import INSTANCE, a_stored_event, an_event, planned
from support.runtime import NOW, FixedClock, fixed_runtime
from support.sqlite_databases import empty_sqlite
from worker.harness import LogRecorder

SEARCHES = [
    DeliverySearch(states=(DeliveryState.DEAD,)),
    DeliverySearch(target_id=TargetId("101")),
    DeliverySearch(event_id=EventId("event-1")),
    DeliverySearch(event_type="a.b", created_since=NOW, created_until=NOW),
    DeliverySearch(states=(DeliveryState.RETRYING,)),
    DeliverySearch(states=(DeliveryState.RETRYING,), target_id=TargetId("101")),
]


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


class TestReplaysOnMemory(OnMemory, ReplaysContract): ...


class TestCancellingOnMemory(OnMemory, CancellingContract): ...


class TestRetryingOnMemory(OnMemory, RetryingContract): ...


class TestCountingOnMemory(OnMemory, CountingContract): ...


class TestRetentionOnMemory(OnMemory, RetentionContract): ...


class TestReplaysOnSqlite(OnSqlite, ReplaysContract): ...


class TestCancellingOnSqlite(OnSqlite, CancellingContract): ...


class TestRetryingOnSqlite(OnSqlite, RetryingContract): ...


class TestCountingOnSqlite(OnSqlite, CountingContract): ...


class TestRetentionOnSqlite(OnSqlite, RetentionContract): ...


async def test_old_events_with_deliveries_are_scanned_little_by_little(sqlite_store):
    """
    A long backlog must not be read through every few seconds: each round continues where the last
    one ended, and begins again at the end.
    """
    pending = [
        a_stored_event(planned(str(number)), event=an_event(f"event-{number}"))
        for number in range(1, cleaner._DELETED_AT_ONCE * cleaner._IDLE_SCANS + 1)
    ]
    last = a_stored_event(event=an_event("unmatched"))
    await add_targets(sqlite_store)
    await sqlite_store.write(lambda unit: unit.events.append(INSTANCE, [*pending, last], NOW))
    runtime = fixed_runtime(FixedClock(NOW + timedelta(days=2)))
    day = timedelta(days=1)
    sweeper = cleaner.Cleaner(
        sqlite_store, runtime, RetentionPeriods(day, day, day), LogRecorder(), "cleaner"
    )
    rounds = [await sweeper.sweep() for _ in range(4)]
    await add_pending(sqlite_store, event="another unmatched")
    rounds += [await sweeper.sweep() for _ in range(2)]

    assert [0, 1, 0, 0, 0, 1] == rounds


async def test_no_question_reads_the_log_through(sqlite_store, tmp_path):
    """
    With five million deliveries each of these must cost what it costs with none.
    """
    with closing(connect(tmp_path / "outrider.db")) as connection:
        statements = []
        connection.set_trace_callback(statements.append)
        counts, retention = SqlDeliveryCounts(connection), SqlRetention(connection)
        counts.get(INSTANCE, StatsSearch(), NOW)
        counts.get(INSTANCE, StatsSearch(target_id=TargetId("101")), NOW)
        counts.roll_up(NOW, 10)
        retention.delete_expired_deliveries(DeliveryState.DEAD, NOW, 10)
        retention.delete_expired_events(NOW, 0, 10)
        scans = SqlLogScans(connection)
        for search in SEARCHES:
            scans.scan(INSTANCE, search, LogRange(DeliveryId("0"), DeliveryId("9")), 10)
        deliveries = SqlDeliveries(connection)
        deliveries.search(INSTANCE, DeliverySearch())
        deliveries.search(INSTANCE, DeliverySearch(states=(DeliveryState.DEAD,)))
        connection.set_trace_callback(None)
        explained = [
            (row[3], statement)
            for statement in statements
            if "deliveries" in statement
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
        plans = [plan for plan, _ in explained]

    # A scan of the log ends at its limit: then the log must not be sorted first. What is open is
    # sorted when it is few.
    assert [] == [
        plan
        for plan, statement in explained
        if "FOR ORDER BY" in plan and "AS few" not in statement
    ]
    allowed = (
        "seen",
        "few",
        "json_each",
        "since_rollup",
        "subquery",
        "cancel_requests",
        "delivery_totals",
    )
    assert [] == [
        plan
        for plan in plans
        if plan.startswith("SCAN ") and not any(name in plan for name in allowed)
    ]
    for index in ("open", "finished", "dead", "target", "owner", "log", "replays"):
        assert any(f"deliveries_{index}" in plan for plan in plans), index
