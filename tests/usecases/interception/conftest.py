"""A harness for every test that needs no special one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.memory.store import MemoryStore
from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.stores.sqlite import open_sqlite
from outrider.testing.receiver import Receiver
from outrider.usecases.ports.store import Store
from support.runtime import NOW
from usecases.interception.harness import Harness, open_harness

MASTER_KEY = bytes(range(32))


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
        async with open_sqlite(tmp_path / "outrider.db", Sealing(MASTER_KEY), now=NOW) as opened:
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
