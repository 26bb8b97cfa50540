"""Engines on separate directories, and applications served for real."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from outrider.embed import Engine
from outrider.testing.receiver import Receiver


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as the first start leaves it: tables and keys take longer than most tests."""
    directory = tmp_path_factory.mktemp("first") / "data"

    async def open_once() -> None:
        async with Engine.open(data_dir=directory, dev=True):
            pass

    asyncio.run(open_once())
    return directory


@pytest.fixture
def used_dir(tmp_path: Path, first_start: Path) -> Path:
    """A data directory of one's own, in which there is nothing but what every start needs."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    for path in filter(Path.is_file, first_start.iterdir()):
        shutil.copy(path, directory)
    return directory


@pytest.fixture
async def engine(used_dir):
    async with Engine.open(data_dir=used_dir, dev=True) as engine:
        yield engine


@pytest.fixture
async def receiver():
    async with Receiver() as receiver:
        yield receiver
