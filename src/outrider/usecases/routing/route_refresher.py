"""Routes of changes that other processes made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from outrider.usecases.failure_log import FailureLog
from outrider.usecases.ports.log import Log
from outrider.usecases.routing.routing_table import Routing

# A change made by another process is routed within this time.
REFRESH_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class RouteRefresher:
    """Compares a routing table with the store again and again."""

    routing: Routing
    log: Log

    async def run(self) -> None:
        """Refresh until cancelled; a refresh that fails leaves the routes as they were.

        It reads the revision each time: `Store.changes` also moves with every commit of a worker.
        """
        failures = FailureLog(self.log)
        while True:
            await asyncio.sleep(REFRESH_EVERY_S)
            try:
                await self.routing.refresh()
            except Exception as failure:  # noqa: BLE001 - it outlives a store that is down
                failures.failed("routing.refresh_failed", failure)
            else:
                failures.succeeded()
