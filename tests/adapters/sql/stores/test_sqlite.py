"""SQLite keeps the contract of a store."""

from __future__ import annotations

from contextlib import closing

import pytest

from contracts.store.access.accounts import AccountsContract
from contracts.store.access.tokens import TokensContract
from contracts.store.delivery.delivery_log import DeliveryLogContract
from contracts.store.delivery.dependents import DeletedTargetContract, DependentsContract
from contracts.store.delivery.events import EventsContract
from contracts.store.delivery.leases import LeasesContract
from contracts.store.delivery.queue import QueueContract
from contracts.store.delivery.settling import SettlingContract
from contracts.store.steps import add_pending, add_targets, claim
from contracts.store.targets.catalogue import CatalogueContract
from contracts.store.targets.executions import ExecutionsContract, ExecutionSearchContract
from contracts.store.targets.public_keys import PublicKeysContract
from contracts.store.targets.target_search import TargetSearchContract
from contracts.store.targets.targets import TargetsContract
from contracts.store.units import UnitsContract, all_that_shows, everything
from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.delivery.leases import SqlLeases
from outrider.adapters.sql.stores.sqlite import connect, open_sqlite
from support.builders import planned
from support.runtime import NOW
from support.sqlite_databases import empty_sqlite

MASTER_KEY = bytes(range(32))


class OnSqlite:
    @pytest.fixture
    async def store(self, tmp_path):
        async with empty_sqlite(tmp_path / "outrider.db") as store:
            yield store


class TestTargetSearch(OnSqlite, TargetSearchContract): ...


class TestTargets(OnSqlite, TargetsContract): ...


class TestPublicKeys(OnSqlite, PublicKeysContract): ...


class TestExecutions(OnSqlite, ExecutionsContract): ...


class TestExecutionSearch(OnSqlite, ExecutionSearchContract): ...


class TestTokens(OnSqlite, TokensContract): ...


class TestAccounts(OnSqlite, AccountsContract): ...


class TestEvents(OnSqlite, EventsContract): ...


class TestQueue(OnSqlite, QueueContract): ...


class TestSettling(OnSqlite, SettlingContract): ...


class TestDependents(OnSqlite, DependentsContract): ...


class TestDeletedTarget(OnSqlite, DeletedTargetContract): ...


class TestLeases(OnSqlite, LeasesContract): ...


class TestDeliveryLog(OnSqlite, DeliveryLogContract): ...


class TestCatalogue(OnSqlite, CatalogueContract): ...


class TestUnits(OnSqlite, UnitsContract): ...


async def test_what_was_written_is_there_after_opening_again(tmp_path):
    """
    A restart changes nothing: neither targets and their keys, nor claimed deliveries.
    """
    path = tmp_path / "outrider.db"
    async with open_sqlite(path, Sealing(MASTER_KEY), now=NOW) as store:
        await add_targets(store)
        await add_pending(store, planned("1"), event="event-0")
        await claim(store)
        await store.write(everything)
        before = await store.read(all_that_shows)
    async with open_sqlite(path, Sealing(MASTER_KEY), now=NOW) as store:
        assert before == await store.read(all_that_shows)


async def test_the_number_of_changes_moves_when_another_has_committed(tmp_path):
    """
    Another process's change of routing is noticed without reading a table every time.
    """
    path = tmp_path / "outrider.db"
    async with (
        open_sqlite(path, Sealing(MASTER_KEY), now=NOW) as store,
        open_sqlite(path, Sealing(MASTER_KEY), now=NOW) as another,
    ):
        quiet = {await store.changes() for _ in range(3)}
        await add_targets(another)
        after = await store.changes()

    assert 1 == len(quiet)
    assert after not in quiet


async def test_the_cost_of_finding_orphans_grows_with_claims_and_not_with_the_log(tmp_path):
    """
    Every worker does it every few seconds, and blocks all writers: a million rows took 0.3 s.
    """
    path, statements = tmp_path / "outrider.db", []
    async with open_sqlite(path, Sealing(MASTER_KEY), now=NOW):
        with closing(connect(path)) as connection:
            connection.set_trace_callback(statements.append)
            leases = SqlLeases(connection)
            leases.orphans(NOW, 500)
            leases.tidy(NOW, NOW)
            connection.set_trace_callback(None)
            plans = [
                row[3]
                for statement in statements
                for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
            ]

    assert any("deliveries_owner" in plan for plan in plans)
    assert [] == [plan for plan in plans if plan.startswith("SCAN deliveries")]
