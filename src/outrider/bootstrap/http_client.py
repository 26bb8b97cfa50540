"""Wire the calls to targets: payload types and HTTP client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from outrider import __version__
from outrider.adapters.crypto.payload_encoders import encrypted, signed
from outrider.adapters.http.lazy_client import LazyClient
from outrider.adapters.tunnel.unix_socket import UnixTunnelClient
from outrider.bootstrap.app_context import egress_policy, egress_proxy
from outrider.config.loading import Settings
from outrider.domain.calls.request_builder import Encoder, RequestBuilder, plain
from outrider.domain.targets.target import PayloadType

if TYPE_CHECKING:
    from outrider.adapters.http.client import EgressClient

USER_AGENT = f"outrider/{__version__}"
# One line for a payload type: what is not here is a BUILD_FAILED attempt.
ENCODERS: dict[int, Encoder] = {
    PayloadType.UNSPECIFIED: plain,
    PayloadType.JSON: plain,
    PayloadType.JWT: signed,
    PayloadType.JWE: encrypted,
}
REQUEST_BUILDER = RequestBuilder(ENCODERS)


@asynccontextmanager
async def open_http_client(settings: Settings, concurrency: int) -> AsyncIterator[LazyClient]:
    """A client for at most `concurrency` calls at the same time."""
    tunnels = UnixTunnelClient(settings.data_dir, USER_AGENT)
    client = LazyClient(partial(_egress_client, settings, concurrency), tunnels)
    try:
        yield client
    finally:
        await client.aclose()


def _egress_client(settings: Settings, concurrency: int) -> EgressClient:
    # Only a process that calls targets needs TLS and certificates.
    from outrider.adapters.http.client import EgressClient  # noqa: PLC0415
    from outrider.adapters.http.connect.limits import ClientLimits  # noqa: PLC0415

    default = ClientLimits()
    # All calls may go to one origin: a connection that is not kept after its call is opened again.
    limits = replace(
        default,
        max_idle_per_origin=max(default.max_idle_per_origin, concurrency),
        max_idle=max(default.max_idle, concurrency),
    )
    return EgressClient(
        egress_policy(settings),
        user_agent=USER_AGENT,
        limits=limits,
        proxy=egress_proxy(settings),
    )
