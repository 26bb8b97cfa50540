"""TLS identity, trust and proxy of connections, with a pool for each combination."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakValueDictionary

from outrider.adapters.http.connect.errors import unreachable
from outrider.adapters.http.connect.pool import Origin
from outrider.adapters.http.connect.tls import policy_context
from outrider.domain.calls.request import DIRECT, Route, Stage
from outrider.domain.net.endpoint import Endpoint
from outrider.domain.net.proxy import Proxy, parse_proxy
from outrider.domain.targets.policy import TlsPolicy

MAX_TRANSPORTS = 256  # kept, the default one not counted; a TLS context weighs up to 1 MB


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a URL leads over one transport, and the part of the request that never changes."""

    url: str
    endpoint: Endpoint
    transport: Transport
    origin: Origin
    head: bytes
    """The request line after its method, and Host, each with its line end."""


class Transport:
    """Whom connections trust, who we are on them, and the proxy they go through.

    Like Go's `http.Transport`, and unlike asyncio's transports, which are single connections. It
    has its own origins and therefore its own connections: a request that belongs to another
    transport can neither arrive under the name in this one's certificate, nor be read by a
    server that only this one trusts.
    """

    __slots__ = (
        "_context",
        "_context_lock",
        "_origins",
        "_tls",
        "destinations",
        "is_proxy_trusted",
        "proxy",
    )

    def __init__(
        self,
        tls: TlsPolicy,
        context: ssl.SSLContext | None,
        proxy: Proxy | None,
        *,
        is_proxy_trusted: bool,
    ) -> None:
        self._tls = tls
        self._context = context
        self._context_lock = asyncio.Lock()
        self._origins: WeakValueDictionary[tuple[str, str, int, bool], Origin] = (
            WeakValueDictionary()
        )
        self.destinations: dict[str, Destination] = {}
        self.proxy = proxy
        self.is_proxy_trusted = is_proxy_trusted

    def origin(self, endpoint: Endpoint) -> Origin:
        """Give the one object for this scheme, host and port on this transport."""
        name = (endpoint.scheme, endpoint.host, endpoint.port, endpoint.rooted)
        origin = self._origins.get(name)
        if origin is None:
            origin = self._origins[name] = Origin(endpoint)
        return origin

    async def tls_context(self) -> ssl.SSLContext:
        """Give the context for TLS to targets. Raise `RequestError` in BUILD when none can be made."""
        async with self._context_lock:
            if self._context is None:
                # Reading the system's authorities takes longer than hundreds of calls.
                try:
                    self._context = await asyncio.to_thread(policy_context, self._tls)
                except ValueError as invalid:
                    reason = f"no TLS with the policy's certificates: {invalid}"
                    raise unreachable(Stage.BUILD, reason) from None
        return self._context


class TransportCache:
    """The transports of a client, by their routes. Keeps those that were used last."""

    def __init__(self, context: ssl.SSLContext, proxy: Proxy | None) -> None:
        self._default = Transport(DIRECT.tls, context, proxy, is_proxy_trusted=True)
        self._default_context = context
        self._by_route: OrderedDict[Route, Transport] = OrderedDict()

    def get(self, route: Route) -> Transport:
        """Give the transport of a route. Raise `RequestError` in BUILD for an invalid proxy URL."""
        if route is DIRECT or route == DIRECT:
            return self._default
        transport = self._by_route.get(route)
        if transport is None:
            transport = self._by_route[route] = self._make(route)
            if len(self._by_route) > MAX_TRANSPORTS:
                self._by_route.popitem(last=False)
        else:
            self._by_route.move_to_end(route)
        return transport

    def _make(self, route: Route) -> Transport:
        context = self._default_context if route.tls == DIRECT.tls else None
        if not route.proxy_url:
            return Transport(route.tls, context, self._default.proxy, is_proxy_trusted=True)
        try:
            proxy = parse_proxy(route.proxy_url)
        except ValueError as invalid:
            raise unreachable(Stage.BUILD, f"the policy's proxy: {invalid}") from None
        return Transport(route.tls, context, proxy, is_proxy_trusted=False)
