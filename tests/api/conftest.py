"""What the tests of the API share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from api.asgi_client import ApiClient
from api.calls.service import Service, running
from api.sample import Lines, sample_client


@pytest.fixture
def log() -> Lines:
    """What the API wrote."""
    return Lines()


@pytest.fixture
def client(log: Lines) -> ApiClient:
    """A caller of the sample service."""
    return sample_client(log)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """The API on a separate store, shared by the rows of one module."""
    async with running(tmp_path_factory.mktemp("service")) as opened:
        yield opened
