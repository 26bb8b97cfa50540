"""Ways out: whom a connection trusts, who we are on it, and which proxy it goes through."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakValueDictionary

from outrider.adapters.http.connect.connection import Origin
from outrider.adapters.http.connect.errors import unreachable
from outrider.adapters.http.connect.tls import policy_context
from outrider.domain.calls.request import DIRECT, Route, Stage
from outrider.domain.net.endpoint import Endpoint
from outrider.domain.net.proxy import Proxy, parse_proxy
from outrider.domain.targets.policy import TlsPolicy

MAX_PASSAGES = 256  # kept at once, the usual one not counted; a TLS context weighs up to 1 MB


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a URL leads on one passage, and the part of the request that is always the same."""

    url: str
    endpoint: Endpoint
    origin: Origin
    head: bytes
    """The request line after its method, and Host, each with its line end."""


class Passage:
    """One way out.

    It has its own origins and therefore its own connections: nothing sent on another passage can
    arrive under the name that is in this one's certificate, or be read by whom this one trusts.
    """

    __slots__ = (
        "_context",
        "_making",
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
        self._making = asyncio.Lock()
        self._origins: WeakValueDictionary[tuple[str, str, int, bool], Origin] = (
            WeakValueDictionary()
        )
        self.destinations: dict[str, Destination] = {}
        self.proxy = proxy
        self.is_proxy_trusted = is_proxy_trusted

    def origin(self, endpoint: Endpoint) -> Origin:
        """The one object for this scheme, host and port on this passage."""
        name = (endpoint.scheme, endpoint.host, endpoint.port, endpoint.rooted)
        origin = self._origins.get(name)
        if origin is None:
            origin = self._origins[name] = Origin(endpoint, self)
        return origin

    async def context(self) -> ssl.SSLContext:
        """Give the context for TLS to targets. Raise `RequestError` in BUILD when none can be made."""
        async with self._making:
            if self._context is None:
                # Reading the system's authorities takes longer than hundreds of calls.
                try:
                    self._context = await asyncio.to_thread(policy_context, self._tls)
                except ValueError as wrong:
                    reason = f"no TLS with the policy's certificates: {wrong}"
                    raise unreachable(Stage.BUILD, reason) from None
        return self._context


class Passages:
    """The passages of a caller, by their routes. Keeps those that were used last."""

    def __init__(self, context: ssl.SSLContext, proxy: Proxy | None) -> None:
        self._usual = Passage(DIRECT.tls, context, proxy, is_proxy_trusted=True)
        self._usual_context = context
        self._known: OrderedDict[Route, Passage] = OrderedDict()

    def of(self, route: Route) -> Passage:
        """Raise `RequestError` in BUILD for a proxy that cannot be one."""
        if route is DIRECT or route == DIRECT:
            return self._usual
        passage = self._known.get(route)
        if passage is None:
            passage = self._known[route] = self._new(route)
            if len(self._known) > MAX_PASSAGES:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(route)
        return passage

    def _new(self, route: Route) -> Passage:
        context = self._usual_context if route.tls == DIRECT.tls else None
        if not route.proxy_url:
            return Passage(route.tls, context, self._usual.proxy, is_proxy_trusted=True)
        try:
            proxy = parse_proxy(route.proxy_url)
        except ValueError as wrong:
            raise unreachable(Stage.BUILD, f"the policy's proxy: {wrong}") from None
        return Passage(route.tls, context, proxy, is_proxy_trusted=False)
