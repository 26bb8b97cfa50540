"""One connection: one exchange at a time, idle in between."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Callable
from typing import cast

from outrider.adapters.http.connect.errors import timed_out, unasked, unreachable
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.response import InvalidHttpResponse, ResponseParser
from outrider.adapters.http.connect.tls import (
    is_refusal,
    may_lack_http1,
    target_handshake_failure,
    was_closed_by_peer,
)
from outrider.domain.calls.request import Response, Stage
from outrider.domain.net.endpoint import Endpoint

_NEVER = float("inf")
_CLOCK_TICK = 0.001  # event loops round timers to milliseconds, so they may fire this early
_NOT_SENT = "connection closed before the request was sent"
_PERHAPS_PROCESSED = (
    "the connection was closed after the request was sent; the receiver may have processed it"
)

_PERHAPS_HTTP2 = (
    "; it did not choose HTTP/1.1 in the TLS handshake (ALPN), so perhaps it speaks only HTTP/2"
)


class Connection(asyncio.Protocol):
    """An open connection to a checked address.

    `send` sends a request and gives the future of its response; the next `send` comes after that
    future is done and only while `reusable`. A caller that stops waiting for a response aborts
    the connection. `on_close` is called when the connection ends, idle or not.

    One timer serves both the deadline of the exchange and the end of idling. It is set again only
    when a deadline comes before it would fire, so most exchanges never touch it.
    """

    __slots__ = (
        "_deadline",
        "_exchanges",
        "_greeting",
        "_has_received",
        "_is_sending",
        "_loop",
        "_on_close",
        "_on_open",
        "_parser",
        "_poll",
        "_seconds",
        "_socket_transport",
        "_timer",
        "_timer_fires_at",
        "_waiter",
        "endpoint",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        limits: ClientLimits,
        on_open: Callable[[Connection], None],
        on_close: Callable[[Connection], None],
    ) -> None:
        self.endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._parser = ResponseParser(limits)
        self._on_open = on_open
        self._on_close = on_close
        self._socket_transport: asyncio.Transport | None = None
        self._poll: Callable[[int], list[tuple[int, int]]] | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_fires_at = self._deadline = _NEVER
        self._seconds = 0.0
        self._greeting = ""
        self._exchanges = 0
        self._has_received = self._is_sending = False

    def __repr__(self) -> str:
        state = "busy" if self._waiter else "idle" if self.reusable else "closed"
        url = f"{self.endpoint.scheme}://{self.endpoint.authority}"
        return f"<Connection {url} [{state}, exchanges {self._exchanges}]>"

    @property
    def reusable(self) -> bool:
        """Whether the last exchange left it open, clean and willing."""
        return self._parser.reusable and self._socket_transport is not None and not self._is_sending

    @property
    def idle_seconds(self) -> float:
        """How long the receiver lets it be idle, by its last response."""
        return self._parser.idle_seconds

    def is_silent(self) -> bool:
        """Whether it may be used now: idle not too long, and nothing came from the peer meanwhile.

        Asks the system, not the event loop, which may not have heard yet: an end, a reset or bytes
        that are there before we write are seen, and nothing was sent then. Behind TLS too, where
        any bytes count as an end.
        """
        poll = self._poll
        return poll is not None and not poll(0) and self._loop.time() < self._deadline

    def send(
        self, request: bytes, deadline: float, seconds: float, body_limit: int
    ) -> asyncio.Future[Response]:
        """Send a request. The future gives the response, or raises `RequestError`.

        `deadline` is the loop's time at which `seconds`, the whole call's time, are over.
        `body_limit` is how much of the response's body is of use.
        """
        self._exchanges += 1
        self._has_received = False
        self._parser.begin(body_limit)
        waiter = self._waiter = self._loop.create_future()
        self._seconds = seconds
        self._watch(deadline)
        if self._socket_transport is None:
            self._fail_with(unreachable(Stage.SEND, self._greeting or _NOT_SENT))
        else:
            self._socket_transport.write(request)
        return waiter

    def set_idle(self, seconds: float) -> None:
        """Wait that long for the next `send`, then close."""
        self._watch(self._loop.time() + seconds)

    def abort(self) -> None:
        """Close at once. May be called at any time, and twice."""
        socket_transport, self._socket_transport = self._socket_transport, None
        self._poll = self._waiter = None
        self._stop_timer()
        if socket_transport is not None:
            socket_transport.abort()

    def fail(self, reason: str) -> None:
        """Close at once, and fail the exchange that is under way."""
        self._fail_answer(reason)

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open, and for https the handshake is done."""
        self._socket_transport = cast("asyncio.Transport", transport)
        poller = select.poll()
        # An end and a reset count as readable. Behind TLS, and a proxy, it is the same socket.
        poller.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._poll = poller.poll
        self._on_open(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of the response; or bytes out of turn, after which nothing here is trusted."""
        waiter = self._waiter
        if waiter is None:
            self._greeting = self._greeting or unasked(data)
            self.abort()
            return
        self._has_received = True
        try:
            response = self._parser.feed(data)
        except InvalidHttpResponse as invalid:
            self._fail_answer(str(invalid))
            return
        if response is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(response)

    def eof_received(self) -> None:
        """The peer has sent its last byte. It will not read what is still unsent."""
        self._end_of_stream()

    def connection_lost(self, failure: Exception | None) -> None:
        """Closed by the peer, by the network or by us."""
        self._end_of_stream(failure)
        self._socket_transport = self._poll = None
        self._on_close(self)

    def pause_writing(self) -> None:
        """The peer does not read as fast as we write."""
        self._is_sending = True

    def resume_writing(self) -> None:
        """The peer has read nearly all."""
        self._is_sending = False

    def _end_of_stream(self, failure: Exception | None = None) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            self.abort()
        elif isinstance(failure, ssl.SSLError) and self._exchanges == 1 and is_refusal(failure):
            # With TLS 1.3 a server may refuse our certificate when we are done and have written.
            self._fail_with(unreachable(Stage.TLS, target_handshake_failure(failure)))
        elif self._is_sending:
            self._fail_with(unreachable(Stage.SEND, "connection closed while sending the request"))
        elif not self._has_received:
            may_be_http2 = self._exchanges == 1 and may_lack_http1(self._socket_transport)
            hint = _PERHAPS_HTTP2 if may_be_http2 else ""
            self._fail_with(unreachable(Stage.ANSWER, f"{_PERHAPS_PROCESSED}{hint}"))
        elif failure is not None and self._parser.progress:
            self._fail_answer(f"connection broken {self._parser.progress}")
        else:
            self._complete_at_close(waiter)

    def _complete_at_close(self, waiter: asyncio.Future[Response]) -> None:
        try:
            response = self._parser.end(is_sure=was_closed_by_peer(self._socket_transport))
        except InvalidHttpResponse as invalid:
            self._fail_answer(str(invalid))
        else:
            waiter.set_result(response)
            self.abort()

    def _fail_answer(self, reason: str) -> None:
        """Fail an exchange in its response, and keep what there is of that."""
        error = unreachable(Stage.ANSWER, reason)
        error.partial = self._parser.partial
        self._fail_with(error)

    def _fail_with(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.abort()

    def _watch(self, deadline: float) -> None:
        self._deadline = deadline
        if deadline < self._timer_fires_at:
            self._stop_timer()
            self._timer_fires_at = deadline
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_fires_at = _NEVER

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_fires_at = _NEVER
        if self._deadline - self._loop.time() > _CLOCK_TICK:
            self._watch(self._deadline)
        elif self._waiter is None:
            self.abort()
        else:
            stage = Stage.SEND if self._is_sending else Stage.ANSWER
            error = timed_out(stage, self._seconds, self._parser.progress)
            error.partial = self._parser.partial
            self._fail_with(error)
