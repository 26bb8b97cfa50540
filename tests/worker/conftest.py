"""Every test runs on the store that forgets and on the one that does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.memory.store import MemoryStore
from outrider.usecases.ports.store import Store
from support.sqlite_databases import empty_sqlite
from worker.harness import Harness


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    if request.param == "memory":
        yield MemoryStore()
    else:
        async with empty_sqlite(tmp_path / "outrider.db") as opened:
            yield opened


@pytest.fixture
async def harness(store: Store) -> Harness:
    """What a worker needs; its clients are scripted."""
    return Harness(store)
