"""Both stores continue when the clock goes back."""

from __future__ import annotations

import pytest

from contracts.store.delivery.clock import ClockContract
from fakes.memory.store import MemoryStore
from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.stores.sqlite import open_sqlite
from support.runtime import NOW


class OnMemory:
    @pytest.fixture
    async def store(self):
        return MemoryStore()


class OnSqlite:
    @pytest.fixture
    async def store(self, tmp_path):
        async with open_sqlite(tmp_path / "outrider.db", Sealing(bytes(32)), now=NOW) as store:
            yield store


class TestClockOnMemory(OnMemory, ClockContract): ...


class TestClockOnSqlite(OnSqlite, ClockContract): ...


async def test_a_lease_that_covers_nothing_leaves_no_row(tmp_path):
    """
    What the contract cannot see: a row for every node that ever died.
    """
    async with open_sqlite(tmp_path / "outrider.db", Sealing(bytes(32)), now=NOW) as store:
        await store.write(lambda unit: unit.leases.renew("worker-1", NOW))
        await store.write(lambda unit: unit.leases.tidy(NOW, NOW))
        leases = await store.read(
            lambda unit: unit.leases._connection.execute("SELECT * FROM leases").fetchall()
        )

    assert [] == leases
