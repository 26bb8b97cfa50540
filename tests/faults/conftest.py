"""Servers, receivers and databases for a test that breaks something."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from faults.database import database, url
from system.conftest import data_dir, receiver
from system.conftest import launch as launch_any
from system.server import Server

__all__ = ["data_dir", "database", "launch_any", "receiver", "url"]


@pytest.fixture
def launch(launch_any: Callable[..., Server]) -> Callable[..., Server]:
    """As in the system tests, with one worker: what is in flight must not depend on the machine."""
    return partial(launch_any, "--workers", "1")
