"""One connection: one exchange at a time, and rest in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from outrider.adapters.http.connect.errors import timed_out, unreachable
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.response import InvalidHttpResponse, ResponseParser
from outrider.domain.calls.request import Response, Stage
from outrider.domain.net.endpoint import Endpoint

if TYPE_CHECKING:
    from outrider.adapters.http.connect.transports import Passage

_NEVER = float("inf")
_CLOCK_TICK = 0.001  # event loops round timers to milliseconds, so they may ring this early


class ConnectionClosed(Exception):
    """A kept connection turned out closed before a byte of the answer came."""


class Origin:
    """Where connections lead, and how: scheme, host and port, and the passage.

    There is one object for each.
    """

    __slots__ = ("__weakref__", "endpoint", "idle", "passage")

    def __init__(self, endpoint: Endpoint, passage: Passage) -> None:
        self.endpoint = endpoint
        self.passage = passage
        self.idle: list[Connection] = []

    def __repr__(self) -> str:
        return f"<Origin {self.endpoint.scheme}://{self.endpoint.authority}>"


class Connection(asyncio.Protocol):
    """An open connection to a judged address.

    `ask` sends a request and gives the future of its answer; the next `ask` comes after that
    future is done and only while `reusable`. Whoever stops waiting for an answer aborts the
    connection. A connection that is lost, resting or not, says so to `on_lost`.

    One timer serves both the deadline of the exchange and the end of rest. It is set anew only
    when a deadline comes before it would ring, so most exchanges never touch it.
    """

    __slots__ = (
        "_alarm",
        "_deadline",
        "_exchanges",
        "_heard",
        "_is_sending",
        "_loop",
        "_on_lost",
        "_on_made",
        "_reader",
        "_rings_at",
        "_seconds",
        "_transport",
        "_waiter",
        "origin",
    )

    def __init__(
        self,
        origin: Origin,
        limits: ClientLimits,
        on_made: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.origin = origin
        self._loop = asyncio.get_running_loop()
        self._reader = ResponseParser(limits)
        self._on_made = on_made
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at = self._deadline = _NEVER
        self._seconds = 0.0
        self._exchanges = 0
        self._heard = self._is_sending = False

    def __repr__(self) -> str:
        state = "busy" if self._waiter else "idle" if self.reusable else "closed"
        return f"<Connection {self.origin!r} [{state}, exchanges {self._exchanges}]>"

    @property
    def reusable(self) -> bool:
        """Whether the last exchange left it open, clean and willing."""
        return self._reader.reusable and self._transport is not None and not self._is_sending

    def ask(
        self, request: bytes, deadline: float, seconds: float, body_limit: int
    ) -> asyncio.Future[Response]:
        """Send a request. The future gives the answer, or raises `RequestError` or `ConnectionClosed`.

        `deadline` is the loop's time at which `seconds`, the whole call's time, are over. `body_limit`
        is how much of the answer's body is of use.
        """
        self._exchanges += 1
        self._heard = False
        self._reader.begin(body_limit)
        waiter = self._waiter = self._loop.create_future()
        self._seconds = seconds
        self._watch(deadline)
        if self._transport is None:
            self._lose()
        else:
            self._transport.write(request)
        return waiter

    def rest(self, seconds: float) -> None:
        """Wait that long for the next `ask`, then close."""
        self._watch(self._loop.time() + seconds)

    def abort(self) -> None:
        """Close at once. May be called at any time, and twice."""
        transport, self._transport = self._transport, None
        self._waiter = None
        self._stop_alarm()
        if transport is not None:
            transport.abort()

    def give_up(self, reason: str) -> None:
        """Close at once, and tell whoever waits why."""
        self._fail(unreachable(Stage.ANSWER, reason))

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open, and for https the handshake is done."""
        self._transport = cast("asyncio.Transport", transport)
        self._on_made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer; or bytes nobody asked for, after which nothing here is trusted."""
        waiter = self._waiter
        if waiter is None:
            self.abort()
            return
        self._heard = True
        try:
            answer = self._reader.feed(data)
        except InvalidHttpResponse as bad:
            self._fail(unreachable(Stage.ANSWER, str(bad)))
            return
        if answer is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(answer)

    def eof_received(self) -> None:
        """The peer said its last byte. Whatever is still unsent will not be read."""
        self._lose()

    def connection_lost(self, _failure: Exception | None) -> None:
        """Closed by the peer, by the network or by us."""
        self._transport = None
        self._lose()
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The peer does not read as fast as we write."""
        self._is_sending = True

    def resume_writing(self) -> None:
        """The peer has read nearly all."""
        self._is_sending = False

    def _lose(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            self.abort()
        elif self._exchanges > 1 and not self._heard:
            self._fail(ConnectionClosed())
        elif self._is_sending:
            self._fail(unreachable(Stage.SEND, "connection closed while sending the request"))
        else:
            self._end(waiter)

    def _end(self, waiter: asyncio.Future[Response]) -> None:
        try:
            answer = self._reader.end()
        except InvalidHttpResponse as bad:
            self._fail(unreachable(Stage.ANSWER, str(bad)))
        else:
            waiter.set_result(answer)
            self.abort()

    def _fail(self, failure: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(failure)
        self.abort()

    def _watch(self, deadline: float) -> None:
        self._deadline = deadline
        if deadline < self._rings_at:
            self._stop_alarm()
            self._rings_at = deadline
            self._alarm = self._loop.call_at(deadline, self._ring)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._rings_at = _NEVER

    def _ring(self) -> None:
        self._alarm = None
        self._rings_at = _NEVER
        if self._deadline - self._loop.time() > _CLOCK_TICK:
            self._watch(self._deadline)
        elif self._waiter is None:
            self.abort()
        else:
            stage = Stage.SEND if self._is_sending else Stage.ANSWER
            self._fail(timed_out(stage, self._seconds))
