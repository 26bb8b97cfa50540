"""One service for every module: its rows share it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("api.calls.runner")

from api.calls.service import Service, running  # noqa: E402 - after what it would import


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """The API on a store of its own."""
    async with running(tmp_path_factory.mktemp("service")) as opened:
        yield opened
