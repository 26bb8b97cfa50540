"""Changes of other processes reach the routes of this one."""

from __future__ import annotations

import asyncio

import pytest

from outrider.usecases.routing import route_refresher
from outrider.usecases.routing.route_refresher import RouteRefresher


class FlakyRouting:
    """Fails to refresh the first time."""

    def __init__(self) -> None:
        self.refreshes = 0
        self.succeeded = asyncio.Event()

    async def refresh(self) -> bool:
        self.refreshes += 1
        if self.refreshes == 1:
            raise OSError("the store is down")
        self.succeeded.set()
        return True


class Log:
    """Remembers the failures."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def exception(self, event: str, /, **_fields: object) -> None:
        self.failures.append(event)


async def test_a_store_that_is_down_for_a_moment_does_not_end_the_refreshing():
    """
    Else the routes would stay as they are until the next restart.
    """
    routing, log = FlakyRouting(), Log()
    refreshing = asyncio.create_task(RouteRefresher(routing, log).run())
    async with asyncio.timeout(20 * route_refresher.REFRESH_EVERY_S):
        await routing.succeeded.wait()
    refreshing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await refreshing

    assert ["routing.refresh_failed"] == log.failures
