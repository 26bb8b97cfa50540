"""Servers and receivers for a test, and their end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

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


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """It answers 200 to everything."""
    async with Receiver() as running:
        yield running


Launch = Callable[..., Server]
