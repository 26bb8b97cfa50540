"""The sample as a module, for a real server in a separate process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.sample import Lines, sample_app
from outrider.api.asgi.lifespan import LifespanApp
from outrider.api.asgi.types import App


@asynccontextmanager
async def open_sample() -> AsyncIterator[App]:
    """There is nothing to open."""
    yield sample_app(Lines())


app = LifespanApp(open_sample)
