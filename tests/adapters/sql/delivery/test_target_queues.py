"""Both stores share fairly, keep limits and keep aggregates in order."""

from __future__ import annotations

import pytest

from contracts.store.delivery.ordering import OrderingContract
from contracts.store.delivery.target_queues import TargetQueuesContract
from contracts.store.targets.limits import LimitsContract
from fakes.memory.store import MemoryStore
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


class TestTargetQueuesOnMemory(OnMemory, TargetQueuesContract): ...


class TestTargetQueuesOnSqlite(OnSqlite, TargetQueuesContract): ...


class TestLimitsOnMemory(OnMemory, LimitsContract): ...


class TestLimitsOnSqlite(OnSqlite, LimitsContract): ...


class TestOrderingOnMemory(OnMemory, OrderingContract): ...


class TestOrderingOnSqlite(OnSqlite, OrderingContract): ...
