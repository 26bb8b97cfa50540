"""The janitor beside a worker."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog

from outrider.bootstrap.app_context import Opened
from outrider.config.loading import Settings
from outrider.worker.cleaner import Janitor
from outrider.worker.retention import Retention


@asynccontextmanager
async def open_upkeep(settings: Settings, opened: Opened, log: Any = None) -> AsyncIterator[None]:
    """Count and forget as long as it is open; of all that are open on a store one does."""
    janitor = Janitor(
        opened.store,
        opened.ambient,
        Retention(
            delivered=timedelta(seconds=settings.retain_delivered),
            dead=timedelta(seconds=settings.retain_dead),
            events=timedelta(seconds=settings.retain_events),
        ),
        log or structlog.get_logger().bind(),
        # Never used twice: a process number alone would come back after a restart.
        owner=f"{os.getpid()}-{secrets.token_hex(4)}",
    )
    sweeping = asyncio.create_task(janitor.run())
    try:
        yield
    finally:
        sweeping.cancel()
