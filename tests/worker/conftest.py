"""Every test runs on the store that forgets and on the one that does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.memory.store import MemoryStore
from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.stores.sqlite import open_sqlite
from outrider.usecases.ports.store import Store
from support.runtime import NOW
from worker.harness import Harness

MASTER_KEY = bytes(range(32))


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    if request.param == "memory":
        yield MemoryStore()
    else:
        async with open_sqlite(tmp_path / "outrider.db", Sealing(MASTER_KEY), now=NOW) as opened:
            yield opened


@pytest.fixture
async def harness(store: Store) -> Harness:
    """What a worker needs; its clients are scripted."""
    return Harness(store)
