"""What the contracts of a store have in common."""

from __future__ import annotations

import pytest

from outrider.usecases.ports.store import Store


class StoreContract:
    """A contract gets an empty store for each test."""

    @pytest.fixture
    async def store(self) -> Store:
        """An empty store, closed after the test. Override it."""
        raise NotImplementedError
