"""Engines on separate directories, and applications served for real."""

from __future__ import annotations

import pytest

from outrider.embed import Engine
from outrider.testing.receiver import Receiver


@pytest.fixture
async def engine(tmp_path):
    async with Engine.open(data_dir=tmp_path / "data", dev=True) as engine:
        yield engine


@pytest.fixture
async def receiver():
    async with Receiver() as receiver:
        yield receiver
