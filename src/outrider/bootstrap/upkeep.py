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

from outrider.bootstrap.parts import Opened
from outrider.delivery.janitor import Janitor
from outrider.domain.retention import Retention
from outrider.settings import Settings


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
