"""Log one line for each request that no service answered.

The line of a service's call is in `interceptors.TelemetryInterceptor`, which knows more. Probes are
not logged, because they would be most of the log.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

from outrider.api.asgi.types import App, Message, Receive, Scope, Send
from outrider.usecases.ports.log import Log

_UNLOGGED_PATHS = frozenset({"/healthz", "/readyz", "/debug/healthz", "/debug/ready"})
_MAX_PATH_CHARS = 200

# A list that is not empty once the request has its line: tasks of the request share it.
_marks: ContextVar[list[bool] | None] = ContextVar("outrider_request_log_marks", default=None)


def mark_logged() -> None:
    """The request of this task has its line."""
    marks = _marks.get()
    if marks is not None:
        marks.append(True)


def request_log(app: App, log: Log) -> App:
    """The application with such lines."""

    async def answer_and_log(scope: Scope, receive: Receive, send: Send) -> None:
        started_at, status, marks = time.perf_counter(), 0, list[bool]()
        _marks.set(marks)

        async def send_and_note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await app(scope, receive, send_and_note)
        finally:
            if not marks and scope["path"] not in _UNLOGGED_PATHS:
                # Status 0: the client left, or the connection was cut.
                log.info(
                    "http.answered",
                    method=scope["method"],
                    path=scope["path"][:_MAX_PATH_CHARS],
                    status=status,
                    ms=round((time.perf_counter() - started_at) * 1000, 3),
                )

    return answer_and_log
