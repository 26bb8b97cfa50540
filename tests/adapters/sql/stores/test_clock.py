"""Both stores continue when the clock goes back."""

from __future__ import annotations

import pytest

from contracts.store.delivery.clock import ClockContract
from fakes.memory.store import MemoryStore
from support.runtime import NOW
from support.sqlite_databases import empty_sqlite


class OnMemory:
    @pytest.fixture
    async def store(self):
        return MemoryStore()


class OnSqlite:
    @pytest.fixture
    async def store(self, tmp_path):
        async with empty_sqlite(tmp_path / "outrider.db") as store:
            yield store


class TestClockOnMemory(OnMemory, ClockContract): ...


class TestClockOnSqlite(OnSqlite, ClockContract): ...


async def test_a_lease_that_covers_nothing_leaves_no_row(tmp_path):
    """
    What the contract cannot see: a row for every node that ever died.
    """
    async with empty_sqlite(tmp_path / "outrider.db") as store:
        await store.write(lambda unit: unit.leases.renew("worker-1", NOW))
        await store.write(lambda unit: unit.leases.tidy(NOW, NOW))
        leases = await store.read(
            lambda unit: unit.leases._connection.execute("SELECT * FROM leases").fetchall()
        )

    assert [] == leases
