"""Reverse tunnels: requests go to the listener that connected to us for them, and wait for it.

A request comes in through a socket that the other processes of this data directory reach, too:
workers make deliveries, and the listener is connected to the API.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from outrider.domain.access.permission import Actor
from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.outcome import Outcome
from outrider.domain.targets.tunnel import TUNNEL_NAME, ReverseTunnel
from outrider.errors import FailedPrecondition, InvalidRequest, NotFound
from outrider.runtime import Runtime
from outrider.usecases.ports.tunnels import TunnelSocket, TunnelSockets

# Requests must not pile up for a listener that takes none.
MAX_PENDING = 1000

TunnelResponse = Response | RequestError
"""What a listener reports for a request: its own server's response, or why there is none."""


@dataclass(slots=True)
class PendingRequest:
    """A request on its way through a tunnel."""

    id: str
    request: OutboundRequest
    response: asyncio.Future[Response] = field(repr=False)


class TunnelSession:
    """One listener's side of a tunnel."""

    def __init__(self, tunnel: ReverseTunnel, new_id: Callable[[], int]) -> None:
        self.tunnel = tunnel
        self._new_id = new_id
        self._socket: TunnelSocket | None = None
        self._pending: dict[str, PendingRequest] = {}
        self._untaken: deque[PendingRequest] = deque()
        self._changed = asyncio.Event()
        self._is_over = False

    def __repr__(self) -> str:
        return f"<TunnelSession {self.tunnel.name} [pending {len(self._pending)}]>"

    def begin(self, socket: TunnelSocket) -> None:
        """From now on requests may come."""
        self._socket = socket

    async def send(self, request: OutboundRequest) -> Response:
        """Give the listener a request and return its response. Raise `RequestError`."""
        if self._is_over or len(self._pending) >= MAX_PENDING:
            raise _unreachable(Stage.CONNECT, "the listener of the tunnel takes no more calls")
        response: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        pending = PendingRequest(str(self._new_id()), request, response)
        self._pending[pending.id] = pending
        self._untaken.append(pending)
        self._changed.set()
        try:
            async with asyncio.timeout(request.timeout):
                return await response
        except TimeoutError:
            reason = f"time-out after {request.timeout:.3g} s while waiting for the listener"
            raise _unreachable(Stage.ANSWER, reason) from None
        finally:
            self._pending.pop(pending.id, None)

    async def next_request(self, seconds: float) -> PendingRequest | None:
        """The next request that has not expired; None when none came in this time.

        Raise `FailedPrecondition` when another listener has taken the tunnel.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._untaken and not self._is_over:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        if self._is_over or (self._socket is not None and not self._socket.is_current()):
            raise FailedPrecondition(
                f"tunnel {self.tunnel.name} is in use by another listener",
                hint="choose another name with --name, or stop that listener",
            )
        while self._untaken:
            pending = self._untaken.popleft()
            if not pending.response.done() and pending.id in self._pending:
                return pending
        return None

    def answer(self, call_id: str, response: TunnelResponse) -> None:
        """Report what came of a request. Raise `NotFound` when it is not pending any more."""
        pending = self._pending.pop(call_id, None)
        if pending is None or pending.response.done():
            raise _not_pending(call_id)
        if isinstance(response, RequestError):
            pending.response.set_exception(response)
        else:
            pending.response.set_result(response)

    def end(self) -> None:
        """Take no more requests, and fail those that are pending."""
        self._is_over = True
        self._changed.set()
        for pending in self._pending.values():
            if not pending.response.done():
                error = _unreachable(Stage.ANSWER, "the listener of the tunnel went away")
                pending.response.set_exception(error)


class TunnelRegistry:
    """Every tunnel that is open in this process."""

    def __init__(self, sockets: TunnelSockets, runtime: Runtime) -> None:
        self._sockets = sockets
        self._runtime = runtime
        self._sessions: dict[ReverseTunnel, TunnelSession] = {}

    @asynccontextmanager
    async def listen(self, actor: Actor, name: str) -> AsyncIterator[TunnelSession]:
        """Listen to a tunnel of the actor's instance; the session of an earlier listener ends.

        Raise `InvalidRequest` for a name that no tunnel has.
        """
        if TUNNEL_NAME.fullmatch(name) is None:
            rule = "value must be of 1 to 40 lower-case letters, digits and inner hyphens"
            raise InvalidRequest(f"invalid ListenRequest.Name: {rule}")
        tunnel = ReverseTunnel(actor.instance_id, name)
        session = TunnelSession(tunnel, self._runtime.new_id)
        if tunnel in self._sessions:
            self._sessions[tunnel].end()
        self._sessions[tunnel] = session
        try:
            async with self._sockets.open(tunnel, session.send) as socket:
                session.begin(socket)
                yield session
        finally:
            session.end()
            if self._sessions.get(tunnel) is session:
                del self._sessions[tunnel]

    def answer(self, actor: Actor, name: str, call_id: str, response: TunnelResponse) -> None:
        """Report what came of a request. Raise `NotFound` when it is not pending here."""
        session = self._sessions.get(ReverseTunnel(actor.instance_id, name))
        if session is None:
            raise _not_pending(call_id)
        session.answer(call_id, response)


def listener_error(reason: str) -> RequestError:
    """Return the error that a listener reports when it cannot reach its server."""
    return _unreachable(Stage.CONNECT, f"the listener says: {reason}")


def _unreachable(stage: Stage, reason: str) -> RequestError:
    return RequestError(Outcome.UNREACHABLE, stage, reason)


def _not_pending(call_id: str) -> NotFound:
    return NotFound(
        f"call {call_id} has expired or was already answered",
        hint="answer each call once, within the time-out of its target",
    )
