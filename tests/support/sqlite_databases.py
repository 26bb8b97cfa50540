"""Empty SQLite stores for tests: the tables are made once, and each store gets a copy of the file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from outrider.adapters.crypto.sealing import Sealing
from outrider.adapters.sql.schema.connection import Secrets
from outrider.adapters.sql.stores.sqlite import SqliteStore, open_sqlite
from support.runtime import NOW

MASTER_KEY = bytes(range(32))
SEALING = Sealing(MASTER_KEY)


@asynccontextmanager
async def empty_sqlite(path: Path, secrets: Secrets = SEALING) -> AsyncIterator[SqliteStore]:
    """An empty store in a new file."""
    path.write_bytes(await asyncio.to_thread(_template))
    async with open_sqlite(path, secrets, now=NOW) as store:
        yield store


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "template.db"
        asyncio.run(_make(path))
        return path.read_bytes()


async def _make(path: Path) -> None:
    async with open_sqlite(path, SEALING, now=NOW):
        pass
