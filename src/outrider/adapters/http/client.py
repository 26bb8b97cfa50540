"""Calls targets: our own HTTP/1.1 client, because the guard needs the address in its own hands."""

from __future__ import annotations

import asyncio
import ssl

from outrider.adapters.http.connect.address_guard import AddressGuard, Resolver, SystemResolver
from outrider.adapters.http.connect.connection import Connection, ConnectionClosed
from outrider.adapters.http.connect.dialer import Dialer
from outrider.adapters.http.connect.errors import unreachable
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.pool import Pool
from outrider.adapters.http.connect.tls import client_context
from outrider.adapters.http.connect.transports import Destination, Passages
from outrider.adapters.http.redirects import (
    FOLLOWED,
    check_downgrade,
    for_stranger,
    is_same_server,
    location_of,
)
from outrider.adapters.http.request import RequestWriter, destination_of, parsed
from outrider.domain.calls.request import OutboundRequest, Response, Stage
from outrider.domain.net.egress_policy import EgressPolicy
from outrider.domain.net.proxy import Proxy


class EgressClient:
    """Implements the ports `Caller` and `Fetcher` over HTTP/1.1 with kept connections.

    Belongs to the event loop it is first used in. Its owner calls `aclose` after the last call.
    `repr` shows the connections: `<EgressClient strict [busy 1 | idle 2]>`.

    A kept connection may be closed by its peer just when a request is written to it. When that
    happens before a byte of the answer came, the request is sent once more, on a fresh
    connection. RFC 9110, 9.2.2 does not give this right for POST in general; here every call
    carries an id by which the receiver knows a repetition, and deliveries are at least once
    anyway. A fresh connection that fails is never tried again: that is an attempt's result.
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
        """`proxy` is for calls whose route names none; its own address is not judged."""
        usual = ssl_context or client_context()
        self._limits = limits or ClientLimits()
        self._profile = policy.profile
        self._pool = Pool(self._limits)
        self._guard = AddressGuard(policy, resolver or SystemResolver(), self._limits)
        self._passages = Passages(usual, proxy)
        self._dialer = Dialer(self._guard, self._pool, self._limits, usual)
        self._writer = RequestWriter(user_agent)
        self._getter = RequestWriter(user_agent, method="GET")

    def __repr__(self) -> str:
        return f"<EgressClient {self._profile} {self._pool!r}>"

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are busy and how many idle."""
        return self._pool.counts

    async def post(self, call: OutboundRequest) -> Response:
        """Send a POST and give its answer, whatever the status. Raise `RequestError`.

        `call.timeout` covers everything from resolving to the last byte, redirects included.
        307 and 308 are followed with the body, each hop through the guard; every other redirect,
        and one without a usable Location, is returned as the answer it is.
        """
        return await self._ask(self._writer, call)

    async def get(self, url: str, timeout: float) -> Response:  # noqa: ASYNC109 - of the whole exchange
        """Send a GET and give its answer, by the rules of `post`. Raise `RequestError`."""
        return await self._ask(self._getter, OutboundRequest(url, (), b"", timeout))

    async def aclose(self) -> None:
        """Close every connection. A call that is still under way fails."""
        await self._guard.aclose()
        await self._pool.aclose()

    async def _ask(self, writer: RequestWriter, call: OutboundRequest) -> Response:
        deadline = asyncio.get_running_loop().time() + call.timeout
        destination = destination_of(call.url, self._passages.of(call.route))
        request = writer.request(destination, call.headers, call.body)
        answer = await self._send(destination, request, deadline, call)
        if answer.status in FOLLOWED:
            return await self._follow(answer, destination, call, deadline, writer)
        return answer

    async def _send(
        self, destination: Destination, request: bytes, deadline: float, call: OutboundRequest
    ) -> Response:
        origin = destination.origin
        kept = self._pool.take(origin)
        if kept is not None:
            try:
                return await self._exchange(kept, request, deadline, call)
            except ConnectionClosed:
                pass
        fresh = await self._dialer.dial(origin, deadline, call.timeout)
        return await self._exchange(fresh, request, deadline, call)

    async def _exchange(
        self, connection: Connection, request: bytes, deadline: float, call: OutboundRequest
    ) -> Response:
        try:
            answer = await connection.ask(request, deadline, call.timeout, call.body_limit)
        except BaseException:
            # Also when cancelled: the answer that may still come belongs to nobody.
            connection.abort()
            raise
        self._pool.give(connection)
        return answer

    async def _follow(
        self,
        answer: Response,
        destination: Destination,
        call: OutboundRequest,
        deadline: float,
        writer: RequestWriter,
    ) -> Response:
        hops = 0
        while answer.status in FOLLOWED:
            following = _redirected(answer, destination)
            if following is None:
                return answer
            hops += 1
            if hops > self._limits.max_redirects:
                raise unreachable(Stage.ANSWER, f"more than {self._limits.max_redirects} redirects")
            check_downgrade(destination.endpoint, following.endpoint)
            if not is_same_server(destination.endpoint, following.endpoint):
                call = for_stranger(call)
                following = parsed(following.url, self._passages.of(call.route))
            destination = following
            request = writer.request(destination, call.headers, call.body)
            answer = await self._send(destination, request, deadline, call)
        return answer


def _redirected(answer: Response, destination: Destination) -> Destination | None:
    location = location_of(answer, destination.url)
    if location is None:
        return None
    try:
        return parsed(location, destination.origin.passage)
    except ValueError:
        return None
