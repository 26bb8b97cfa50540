"""Ports through which calls reach a listener in another process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from outrider.domain.calls.request import OutboundRequest, Response
from outrider.domain.targets.tunnel import ReverseTunnel

Send = Callable[[OutboundRequest], Awaitable[Response]]


class TunnelClient(Protocol):
    """Sends requests into tunnels, from any process of a data directory."""

    async def send(self, tunnel: ReverseTunnel, request: OutboundRequest) -> Response:
        """Return the listener's response. Raise `RequestError`: also when there is no listener."""
        ...


class TunnelSocket(Protocol):
    """The socket on which the requests of one tunnel arrive."""

    def is_current(self) -> bool:
        """Return whether this listener is the last one that opened the tunnel."""
        ...


class TunnelSockets(Protocol):
    """Opens the sockets of tunnels."""

    def open(self, tunnel: ReverseTunnel, send: Send) -> AbstractAsyncContextManager[TunnelSocket]:
        """Have the requests of this tunnel answered by `send`. The newest socket gets them.

        Raise `Unavailable` where no socket can be made.
        """
        ...
