"""Health endpoints: liveness and readiness of the process."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable

from outrider.api.asgi.shutdown import Shutdown
from outrider.api.asgi.types import OK, App, Receive, Scope, Send, send_response
from outrider.api.rpc.protocol_errors import JSON
from outrider.errors import Unavailable
from outrider.usecases.ports.log import Log
from outrider.usecases.ports.store import Store, WriteRefused

Ready = Callable[[], Awaitable[str | None]]
"""None when the process can serve; otherwise the reason, which every caller may read."""

# Probes give up after a few seconds; a later answer helps no probe.
READY_SECONDS = 5.0

# How long the last answer of the store counts.
CHECKED_SECONDS = 1.0

UNAVAILABLE = 503


def store_ready(store: Store, shutdown: Shutdown) -> Ready:
    """The check of a process that serves from this store, until it announces its stop."""
    check = _WriteCheck(store)

    async def ready() -> str | None:
        if shutdown.announced.is_set():
            return "the server is stopping"
        await store.read(lambda unit: unit.routing_revision())
        return await check.reason()

    return ready


class _WriteCheck:
    """A check that the store takes writes, shared by all callers within about a second.

    Any client may ask whether the server is ready, and a write costs a sync of the disk.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked_at = -math.inf
        self._check: asyncio.Task[str | None] | None = None

    async def reason(self) -> str | None:
        """Return why the store takes no writes, or None when it does."""
        now = asyncio.get_running_loop().time()
        if self._check is None or (self._check.done() and now - self._asked_at >= CHECKED_SECONDS):
            self._check, self._asked_at = asyncio.create_task(self._ask()), now
        # A caller that leaves does not end the check of the others.
        return await asyncio.shield(self._check)

    async def _ask(self) -> str | None:
        try:
            await self._store.check_writable()
        except WriteRefused as refused:
            return refused.reason
        except Unavailable as failure:
            return failure.message
        return None


def health(ready: Ready, log: Log) -> dict[str, App]:
    """The health routes by path, in our names and in ZITADEL's."""
    readiness = Readiness(ready, log)
    return {
        "/healthz": alive,
        "/readyz": readiness,
        "/debug/healthz": alive,
        "/debug/ready": readiness,
    }


async def alive(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answering is enough; it touches nothing."""
    await send_fields(send, OK, {"status": "ok"})


class Readiness:
    """Asks the check at every request."""

    def __init__(self, ready: Ready, log: Log, seconds: float = READY_SECONDS) -> None:
        self._ready = ready
        self._log = log
        self._seconds = seconds

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """200, or 503 with the reason."""
        reason = await self.reason()
        if reason is None:
            await send_fields(send, OK, {"status": "ready"})
        else:
            await send_fields(send, UNAVAILABLE, {"status": "not ready", "reason": reason})

    async def reason(self) -> str | None:
        """Return why the process cannot serve, in words for any caller, or None when it can."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._ready()
        except TimeoutError:
            return f"the check took longer than {self._seconds:g} s"
        except Unavailable as failure:
            return failure.message
        except Exception as error:  # noqa: BLE001 - a broken check means not ready
            self._log.error("readiness.failed", exc_info=error)
            return "the check failed, see the log"


async def send_fields(send: Send, status: int, fields: dict[str, str]) -> None:
    """A small JSON answer that no cache keeps."""
    headers = (JSON, (b"cache-control", b"no-store"))
    await send_response(send, status, headers, json.dumps(fields).encode())
