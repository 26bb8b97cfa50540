"""The HTTP client of the use cases: choose a tunnel or HTTP for each call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from outrider.domain.calls.request import OutboundRequest, Response
from outrider.domain.targets.tunnel import tunnel_of
from outrider.usecases.ports.tunnels import TunnelClient

if TYPE_CHECKING:
    from outrider.adapters.http.client import EgressClient


class LazyClient:
    """Implements the port `HttpClient`. Makes its `EgressClient` when the first call needs it.

    A process that starts waits neither for the client's modules nor for its TLS context.
    """

    def __init__(self, make_client: Callable[[], EgressClient], tunnels: TunnelClient) -> None:
        self._make_client = make_client
        self._tunnels = tunnels
        self._client: EgressClient | None = None

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are busy and how many idle."""
        return (0, 0) if self._client is None else self._client.connections

    async def send(self, request: OutboundRequest) -> Response:
        tunnel = tunnel_of(request.url)
        if tunnel is not None:
            return await self._tunnels.send(tunnel, request)
        if self._client is None:
            started = time.perf_counter()
            self._client = self._make_client()
            # It takes a tenth of a second, and is a part of the first call's time.
            elapsed = time.perf_counter() - started
            request = replace(request, timeout=max(0.0, request.timeout - elapsed))
        return await self._client.send(request)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()
