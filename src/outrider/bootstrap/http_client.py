"""Calls to targets: which payload types can be sent, and by whom."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from outrider import __version__
from outrider.adapters.crypto.payload_encoders import encrypted, signed
from outrider.adapters.tunnel.unix_socket import TunnelClient
from outrider.bootstrap.app_context import egress_policy, egress_proxy
from outrider.config.loading import Settings
from outrider.domain.calls.request import OutboundRequest, Response
from outrider.domain.calls.request_builder import Encoder, RequestBuilder, plain
from outrider.domain.targets.target import PayloadType
from outrider.domain.targets.tunnel import tunnel_of

if TYPE_CHECKING:
    from outrider.adapters.http.client import EgressClient

USER_AGENT = f"outrider/{__version__}"
# One line for a payload type: what is not here is an BUILD_FAILED attempt.
ENCODERS: dict[int, Encoder] = {
    PayloadType.UNSPECIFIED: plain,
    PayloadType.JSON: plain,
    PayloadType.JWT: signed,
    PayloadType.JWE: encrypted,
}
REQUEST_BUILDER = RequestBuilder(ENCODERS)


class LazyClient:
    """A caller that is made when it is first needed: nobody waits for its TLS context at a start."""

    def __init__(self, settings: Settings, at_once: int) -> None:
        self._settings = settings
        self._at_once = at_once
        self._made: EgressClient | None = None
        self._tunnels = TunnelClient(settings.data_dir, USER_AGENT)

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are busy and how many idle."""
        return (0, 0) if self._made is None else self._made.connections

    async def post(self, call: OutboundRequest) -> Response:
        """See the port `Caller`."""
        tunnel = tunnel_of(call.url)
        if tunnel is not None:
            return await self._tunnels.post(tunnel, call)
        if self._made is None:
            began = time.perf_counter()
            self._made = _new_caller(self._settings, self._at_once)
            # It takes a tenth of a second, and is a part of the first call's time.
            took = time.perf_counter() - began
            call = replace(call, timeout=max(0.0, call.timeout - took))
        return await self._made.post(call)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._made is not None:
            await self._made.aclose()


@asynccontextmanager
async def open_http_client(settings: Settings, at_once: int) -> AsyncIterator[LazyClient]:
    """A caller of which at most `at_once` calls are expected at the same time."""
    caller = LazyClient(settings, at_once)
    try:
        yield caller
    finally:
        await caller.aclose()


def _new_caller(settings: Settings, at_once: int) -> EgressClient:
    # Only who calls targets needs TLS and certificates.
    from outrider.adapters.http.client import EgressClient  # noqa: PLC0415
    from outrider.adapters.http.connect.limits import ClientLimits  # noqa: PLC0415

    usual = ClientLimits()
    # All calls may go to one origin: a connection that is not kept after its call is made anew.
    limits = replace(
        usual,
        max_idle_per_origin=max(usual.max_idle_per_origin, at_once),
        max_idle=max(usual.max_idle, at_once),
    )
    return EgressClient(
        egress_policy(settings),
        user_agent=USER_AGENT,
        limits=limits,
        proxy=egress_proxy(settings),
    )
