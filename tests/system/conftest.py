"""Servers and receivers for a test, and their end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from outrider.testing.receiver import Receiver
from system.server import Server


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture
def launch(data_dir: Path):
    """Start servers on the data directory; what still runs is killed when the test ends."""
    with ExitStack() as stack:

        def start(*flags: str, **options) -> Server:
            server = Server(options.pop("data_dir", data_dir), *flags, **options)
            stack.callback(server.kill)
            return server

        yield start


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One for all tests of a module, where none of them ends it."""
    running = Server(tmp_path_factory.mktemp("server") / "data")
    try:
        yield await running.ready()
    finally:
        running.kill()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """It answers 200 to everything."""
    async with Receiver() as running:
        yield running
