"""What the tests of the API share."""

from __future__ import annotations

import pytest

from api.asgi_client import ApiClient
from api.sample import Lines, sample_client


@pytest.fixture
def log() -> Lines:
    """What the API wrote."""
    return Lines()


@pytest.fixture
def client(log: Lines) -> ApiClient:
    """A caller of the sample service."""
    return sample_client(log)
