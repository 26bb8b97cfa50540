"""Both stores share fairly, keep limits and keep aggregates in order."""

from __future__ import annotations

import pytest

from contracts.store.delivery.ordering import OrderingContract
from contracts.store.delivery.target_queues import TargetQueuesContract
from contracts.store.targets.limits import LimitsContract
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


class TestTargetQueuesOnMemory(OnMemory, TargetQueuesContract): ...


class TestTargetQueuesOnSqlite(OnSqlite, TargetQueuesContract): ...


class TestLimitsOnMemory(OnMemory, LimitsContract): ...


class TestLimitsOnSqlite(OnSqlite, LimitsContract): ...


class TestOrderingOnMemory(OnMemory, OrderingContract): ...


class TestOrderingOnSqlite(OnSqlite, OrderingContract): ...
