"""Calls of receivers over HTTP."""

from __future__ import annotations

from typing import Protocol

from outrider.domain.calls.request import OutboundRequest, Response


class HttpClient(Protocol):
    """Calls receivers."""

    async def send(self, call: OutboundRequest) -> Response:
        """Return the answer, whatever its status. Raise `RequestError` when there is none."""
        ...
