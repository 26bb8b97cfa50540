"""Both stores replay, cancel, count and forget alike; and what that costs SQLite."""

from __future__ import annotations

import pytest

from outrider.adapters.keys.sealing import Sealing
from outrider.adapters.memory.store import MemoryStore
from outrider.adapters.sql.sqlite import open_sqlite
from outrider.testing.ambient import NOW
from outrider.testing.contracts.cancelling import CancellingContract
from outrider.testing.contracts.counting import CountingContract
from outrider.testing.contracts.forgetting import ForgettingContract
from outrider.testing.contracts.replays import ReplaysContract

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


class TestReplaysOnMemory(OnMemory, ReplaysContract): ...


class TestCancellingOnMemory(OnMemory, CancellingContract): ...


class TestCountingOnMemory(OnMemory, CountingContract): ...


class TestForgettingOnMemory(OnMemory, ForgettingContract): ...


class TestReplaysOnSqlite(OnSqlite, ReplaysContract): ...


class TestCancellingOnSqlite(OnSqlite, CancellingContract): ...


class TestCountingOnSqlite(OnSqlite, CountingContract): ...


class TestForgettingOnSqlite(OnSqlite, ForgettingContract): ...
