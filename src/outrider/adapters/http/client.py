"""Call targets over HTTP/1.1. The client is hand-written, so that the guard can pin addresses."""

from __future__ import annotations

import asyncio
import ssl

from outrider.adapters.http.connect.address_guard import AddressGuard, Resolver, SystemResolver
from outrider.adapters.http.connect.dialer import Dialer
from outrider.adapters.http.connect.errors import unreachable
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.pool import Pool
from outrider.adapters.http.connect.tls import client_context
from outrider.adapters.http.connect.transports import Destination, TransportCache
from outrider.adapters.http.redirects import (
    FOLLOWED,
    check_downgrade,
    is_same_server,
    location_of,
    strip_credentials,
)
from outrider.adapters.http.request import RequestWriter, destination_of, parse_destination
from outrider.domain.calls.request import OutboundRequest, Response, Stage
from outrider.domain.net.egress_policy import EgressPolicy
from outrider.domain.net.proxy import Proxy


class EgressClient:
    """Implements the ports `HttpClient` and `Fetcher` over HTTP/1.1 with kept connections.

    Belongs to the event loop it is first used in. Its owner calls `aclose` after the last call.
    `repr` shows the connections: `<EgressClient strict [busy 1 | idle 2]>`.

    A request is written once: no failure makes the client write it again, so one call is at most
    one call for the receiver (a redirect is the receiver's own wish). That a kept connection was
    closed by its peer is found before anything is written to it, and then another one is taken.
    A peer that closes after that, while the request is on its way, may have read it: the call
    fails, and its caller decides. To make that rare, connections are kept for less time than
    receivers keep them (`ClientLimits.idle`).
    """

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        user_agent: str,
        limits: ClientLimits | None = None,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        """`proxy` is for calls whose route names none; its own address is not checked."""
        default_context = ssl_context or client_context()
        self._limits = limits or ClientLimits()
        self._profile = policy.profile
        self._pool = Pool(self._limits)
        self._address_guard = AddressGuard(policy, resolver or SystemResolver(), self._limits)
        self._transports = TransportCache(default_context, proxy)
        self._dialer = Dialer(self._address_guard, self._pool, self._limits, default_context)
        self._post_writer = RequestWriter(user_agent)
        self._get_writer = RequestWriter(user_agent, method="GET")

    def __repr__(self) -> str:
        return f"<EgressClient {self._profile} {self._pool!r}>"

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are busy and how many idle."""
        return self._pool.counts

    async def send(self, request: OutboundRequest) -> Response:
        """Send a POST and give its response, whatever the status. Raise `RequestError`.

        `request.timeout` covers everything from resolving to the last byte, redirects included.
        307 and 308 are followed with the body, each hop through the address guard; every other
        redirect, and one without a usable Location, is returned as the response it is.
        """
        return await self._send(self._post_writer, request)

    async def get(self, url: str, timeout: float) -> Response:  # noqa: ASYNC109 - of the whole exchange
        """Send a GET and give its response, by the rules of `send`. Raise `RequestError`."""
        return await self._send(self._get_writer, OutboundRequest(url, (), b"", timeout))

    async def aclose(self) -> None:
        """Close every connection. A call that is still under way fails."""
        await self._address_guard.aclose()
        await self._pool.aclose()

    async def _send(self, writer: RequestWriter, request: OutboundRequest) -> Response:
        deadline = asyncio.get_running_loop().time() + request.timeout
        destination = destination_of(request.url, self._transports.get(request.route))
        message = writer.request(destination, request.headers, request.body)
        response = await self._send_hop(destination, message, deadline, request)
        if response.status in FOLLOWED:
            return await self._follow(response, destination, request, deadline, writer)
        return response

    async def _send_hop(
        self, destination: Destination, message: bytes, deadline: float, request: OutboundRequest
    ) -> Response:
        connection = self._pool.acquire(destination.origin)
        if connection is None:
            connection = await self._dialer.dial(destination, deadline, request.timeout)
        try:
            response = await connection.send(message, deadline, request.timeout, request.body_limit)
        except BaseException:
            # Also when cancelled: no other call may read the response that may still come.
            connection.abort()
            raise
        self._pool.release(destination.origin, connection)
        return response

    async def _follow(
        self,
        response: Response,
        destination: Destination,
        request: OutboundRequest,
        deadline: float,
        writer: RequestWriter,
    ) -> Response:
        hops = 0
        while response.status in FOLLOWED:
            following = _redirected(response, destination)
            if following is None:
                return response
            hops += 1
            if hops > self._limits.max_redirects:
                raise unreachable(Stage.ANSWER, f"more than {self._limits.max_redirects} redirects")
            check_downgrade(destination.endpoint, following.endpoint)
            if not is_same_server(destination.endpoint, following.endpoint):
                request = strip_credentials(request)
                transport = self._transports.get(request.route)
                following = parse_destination(following.url, transport)
            destination = following
            message = writer.request(destination, request.headers, request.body)
            response = await self._send_hop(destination, message, deadline, request)
        return response


def _redirected(response: Response, destination: Destination) -> Destination | None:
    location = location_of(response, destination.url)
    if location is None:
        return None
    try:
        return parse_destination(location, destination.transport)
    except ValueError:
        return None
