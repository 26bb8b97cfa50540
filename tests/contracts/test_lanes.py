"""Both stores share fairly, keep limits and keep aggregates in order."""

from __future__ import annotations

import pytest

from outrider.adapters.keys.sealing import Sealing
from outrider.adapters.memory.store import MemoryStore
from outrider.adapters.sql.sqlite import open_sqlite
from outrider.testing.ambient import NOW
from outrider.testing.contracts.lanes import LanesContract
from outrider.testing.contracts.limits import LimitsContract
from outrider.testing.contracts.ordering import OrderingContract


class OnMemory:
    @pytest.fixture
    async def store(self):
        return MemoryStore()


class OnSqlite:
    @pytest.fixture
    async def store(self, tmp_path):
        async with open_sqlite(tmp_path / "outrider.db", Sealing(bytes(32)), now=NOW) as store:
            yield store


class TestLanesOnMemory(OnMemory, LanesContract): ...


class TestLanesOnSqlite(OnSqlite, LanesContract): ...


class TestLimitsOnMemory(OnMemory, LimitsContract): ...


class TestLimitsOnSqlite(OnSqlite, LimitsContract): ...


class TestOrderingOnMemory(OnMemory, OrderingContract): ...


class TestOrderingOnSqlite(OnSqlite, OrderingContract): ...
