"""One line in the log for every request that no service answered.

A call of a service has its own line (`interceptors.Recorder`), which knows more. Probes have none:
they would be most of the log.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

from outrider.api.asgi.types import App, Message, Receive, Scope, Send
from outrider.api.rpc.error_mapping import Log

_QUIET = frozenset({"/healthz", "/readyz", "/debug/healthz", "/debug/ready"})
_MAX_PATH_CHARS = 200

# A list that is not empty once the request has its line: tasks of the request share it.
_lines: ContextVar[list[bool] | None] = ContextVar("outrider_request_lines", default=None)


def is_logged() -> None:
    """The request of this task has been told."""
    lines = _lines.get()
    if lines is not None:
        lines.append(True)


def request_log(app: App, log: Log) -> App:
    """The application with such lines."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        began, status, lines = time.perf_counter(), 0, list[bool]()
        _lines.set(lines)

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await app(scope, receive, watched)
        finally:
            if not lines and scope["path"] not in _QUIET:
                # Status 0: the client left, or the connection was cut.
                log.info(
                    "http.answered",
                    method=scope["method"],
                    path=scope["path"][:_MAX_PATH_CHARS],
                    status=status,
                    ms=round((time.perf_counter() - began) * 1000, 3),
                )

    return told
