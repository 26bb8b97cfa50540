"""Tunnels: calls go to whoever connected to us for them, and wait for the answer.

A call comes through a door, which other processes of this data directory reach, too: deliveries
are made by workers, and the listener is connected to the API.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from outrider.domain.access.permission import Actor
from outrider.domain.calls.request import OutboundRequest, RequestError, Response, Stage
from outrider.domain.outcome import Outcome
from outrider.domain.targets.tunnel import TUNNEL_NAME, ReverseTunnel
from outrider.errors import FailedPrecondition, InvalidRequest, NotFound
from outrider.runtime import Runtime

# A listener that takes nothing must not gather calls without end.
MAX_CALLS = 1000

Post = Callable[[OutboundRequest], Awaitable[Response]]


class TunnelSocket(Protocol):
    """Where calls for one tunnel come in."""

    def is_ours(self) -> bool:
        """Whether nobody else has opened the same tunnel since."""
        ...


class TunnelSockets(Protocol):
    """Where calls for tunnels come in from."""

    def open(self, tunnel: ReverseTunnel, post: Post) -> AbstractAsyncContextManager[TunnelSocket]:
        """Have calls for this tunnel made by `post`. The newest door gets them.

        Raise `Unavailable` where no door can be made.
        """
        ...


@dataclass(slots=True)
class PendingRequest:
    """A call on its way through a tunnel."""

    id: str
    call: OutboundRequest
    answered: asyncio.Future[Response] = field(repr=False)


class TunnelSession:
    """One listener's side of a tunnel."""

    def __init__(self, tunnel: ReverseTunnel, new_id: Callable[[], int]) -> None:
        self.tunnel = tunnel
        self._new_id = new_id
        self._door: TunnelSocket | None = None
        self._waiting: dict[str, PendingRequest] = {}
        self._fresh: deque[PendingRequest] = deque()
        self._changed = asyncio.Event()
        self._is_over = False

    def __repr__(self) -> str:
        return f"<Listening {self.tunnel.name} [waiting {len(self._waiting)}]>"

    def begin(self, door: TunnelSocket) -> None:
        """From now on calls may come."""
        self._door = door

    async def post(self, call: OutboundRequest) -> Response:
        """Give the listener a call and return its answer. Raise `RequestError`."""
        if self._is_over or len(self._waiting) >= MAX_CALLS:
            raise _failed(Stage.CONNECT, "the listener of the tunnel takes no more calls")
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        waiting = PendingRequest(str(self._new_id()), call, answered)
        self._waiting[waiting.id] = waiting
        self._fresh.append(waiting)
        self._changed.set()
        try:
            async with asyncio.timeout(call.timeout):
                return await answered
        except TimeoutError:
            reason = f"time-out after {call.timeout:.3g} s while waiting for the listener"
            raise _failed(Stage.ANSWER, reason) from None
        finally:
            self._waiting.pop(waiting.id, None)

    async def next_call(self, seconds: float) -> PendingRequest | None:
        """The next call that is still waited for; None when none came in this time.

        Raise `FailedPrecondition` when somebody else listens to this tunnel now.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._fresh and not self._is_over:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        if self._is_over or (self._door is not None and not self._door.is_ours()):
            raise FailedPrecondition(f"somebody else listens to the tunnel {self.tunnel.name} now")
        while self._fresh:
            waiting = self._fresh.popleft()
            if not waiting.answered.done() and waiting.id in self._waiting:
                return waiting
        return None

    def answer(self, call_id: str, answer: Response | RequestError) -> None:
        """Say what came of a call. Raise `NotFound` when nobody waits for it any more."""
        waiting = self._waiting.pop(call_id, None)
        if waiting is None or waiting.answered.done():
            raise NotFound("nobody waits for this call any more")
        if isinstance(answer, RequestError):
            waiting.answered.set_exception(answer)
        else:
            waiting.answered.set_result(answer)

    def end(self) -> None:
        """No call comes any more, and those that wait have failed."""
        self._is_over = True
        self._changed.set()
        for waiting in self._waiting.values():
            if not waiting.answered.done():
                gone = _failed(Stage.ANSWER, "the listener of the tunnel went away")
                waiting.answered.set_exception(gone)


class Tunnels:
    """Every tunnel that is open in this process."""

    def __init__(self, doors: TunnelSockets, runtime: Runtime) -> None:
        self._doors = doors
        self._runtime = runtime
        self._open: dict[ReverseTunnel, TunnelSession] = {}

    @asynccontextmanager
    async def listen(self, actor: Actor, name: str) -> AsyncIterator[TunnelSession]:
        """Listen to a tunnel of the actor's instance; who listened to it before is sent away.

        Raise `InvalidRequest` for a name that no tunnel has.
        """
        if TUNNEL_NAME.fullmatch(name) is None:
            rule = "value must be of 1 to 40 lower-case letters, digits and inner hyphens"
            raise InvalidRequest(f"invalid ListenRequest.Name: {rule}")
        tunnel = ReverseTunnel(actor.instance_id, name)
        listening = TunnelSession(tunnel, self._runtime.new_id)
        if tunnel in self._open:
            self._open[tunnel].end()
        self._open[tunnel] = listening
        try:
            async with self._doors.open(tunnel, listening.post) as door:
                listening.begin(door)
                yield listening
        finally:
            listening.end()
            if self._open.get(tunnel) is listening:
                del self._open[tunnel]

    def answer(
        self, actor: Actor, name: str, call_id: str, answer: Response | RequestError
    ) -> None:
        """Say what came of a call. Raise `NotFound` when nobody waits for it here."""
        listening = self._open.get(ReverseTunnel(actor.instance_id, name))
        if listening is None:
            raise NotFound("nobody waits for this call any more")
        listening.answer(call_id, answer)


def unanswered(reason: str) -> RequestError:
    """What a listener says that could not reach its own server."""
    return _failed(Stage.CONNECT, f"the listener says: {reason}")


def _failed(stage: Stage, reason: str) -> RequestError:
    return RequestError(Outcome.UNREACHABLE, stage, reason)
