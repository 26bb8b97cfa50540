"""Routing that follows the store: what other processes change counts here, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from outrider.bootstrap.app_context import Opened, registered_catalogue
from outrider.usecases.routing.routing_table import Routing

# A change made by another process is routed within this time.
_REFRESH_EVERY_S = 0.5


@asynccontextmanager
async def open_routing(opened: Opened, log: Any) -> AsyncIterator[Routing]:
    """Routing of all instances, kept up to date while the block lasts."""
    routing = Routing(opened.store, registered_catalogue())
    await routing.refresh()
    following = asyncio.create_task(_follow(routing, log))
    try:
        yield routing
    finally:
        following.cancel()


async def _follow(routing: Routing, log: Any) -> None:
    """Notice what other processes change: workers' commits move the same number, so ask always."""
    while True:
        await asyncio.sleep(_REFRESH_EVERY_S)
        try:
            await routing.refresh()
        except Exception:
            log.exception("routing.refresh_failed")
