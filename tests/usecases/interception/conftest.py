"""A harness for every test that needs no special one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.memory.store import MemoryStore
from outrider.testing.receiver import Receiver
from outrider.usecases.ports.store import Store
from support.sqlite_databases import empty_sqlite
from usecases.interception.harness import Harness, open_harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """On the store that forgets."""
    async with open_harness() as opened:
        yield opened


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """For what depends on how the store behaves."""
    if request.param == "memory":
        yield MemoryStore()
    else:
        async with empty_sqlite(tmp_path / "outrider.db") as opened:
            yield opened


@pytest.fixture
async def stored_harness(store: Store) -> AsyncIterator[Harness]:
    """On both stores."""
    async with open_harness(store) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Answers 200 with nothing, unless its script says otherwise."""
    async with Receiver() as opened:
        yield opened
