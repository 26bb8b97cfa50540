"""A server for the clients of others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from system.server import Server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One for all tests of a module."""
    running = Server(tmp_path_factory.mktemp("server") / "data")
    try:
        yield await running.ready()
    finally:
        running.kill()
