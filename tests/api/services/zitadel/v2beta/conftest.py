"""One service for every module: its tests make different names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest
import pytest_asyncio

from api.calls.service import Service, running

NUMBERS = count(1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """The API on its own store."""
    async with running(tmp_path_factory.mktemp("service")) as opened:
        yield opened


@pytest.fixture
def unique() -> str:
    """A word that no other test has."""
    return f"w{next(NUMBERS):05}w"
