"""A receiver for tests: a real HTTP server on loopback that answers by a script.

    async with Receiver([Answer(status=503), Answer(cut_at=3, body=b"{}, cut")]) as receiver:
        ...  # create a target with the endpoint `receiver.url`
        receiver.signing_keys = [target.signing_key]
        await receiver.wait_for(3)

It records every call, and whether `outrider_receiver.verify` accepts it. It keeps connections open.
After the script it answers 200 with an empty body.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from outrider.testing.http_server import Answer, Connection, Headers, HttpServer, Request
from outrider_receiver import InvalidSignature, VerifiedCall, verify

_ACCEPTING_ITERATIONS = 3

OK = Answer()

Script = Sequence[Answer] | Callable[["ReceivedCall"], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedCall:
    """One call as it arrived. `number` counts from 1, `connection` says on which one it came.

    `verified` is None when no signing keys were given, or when `refusal` says what is wrong.
    """

    number: int
    connection: int
    method: str
    path: str
    headers: Headers
    body: bytes
    verified: VerifiedCall | None = None
    refusal: InvalidSignature | None = None

    def header(self, name: str) -> str | None:
        """The first value of a header, in any case of its name; None when it is absent."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)


class Receiver(HttpServer):
    """An HTTP server on a free port, from `__aenter__` to `__aexit__`.

    `script` is a list of answers in the order of the calls, or a function from a call to its
    answer. `signing_keys` may be set at any time; `now` is the clock that signatures are held
    against, the system's when None. `host` is an address of this machine.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        signing_keys: Iterable[str] = (),
        now: Callable[[], datetime] | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__()
        self.calls: list[ReceivedCall] = []
        self.signing_keys = list(signing_keys)
        self.garbage: list[str] = []
        self._script = script
        self._now = now
        self._tls = tls
        self._host = host
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"<Receiver {len(self.calls)} calls on {len(self.connections)} connections>"

    async def __aenter__(self) -> Self:
        await self.listen(self._host, 0, tls=self._tls)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for _ in range(_ACCEPTING_ITERATIONS):
            # A connection is made a few iterations of the loop after its client has connected. One
            # that is half made when the server closes is never closed (CPython 3.11).
            await asyncio.sleep(0)
        self.running_server.close()
        for connection in list(self.connections):
            connection.abort()
        await self.running_server.wait_closed()

    @property
    def url(self) -> str:
        """An endpoint for a target."""
        return f"{'http' if self._tls is None else 'https'}://{self._host}:{self.port}/hook"

    @property
    def connection_count(self) -> int:
        """Return how many connections are open."""
        return len(self.connections)

    async def wait_for(self, calls: int, *, within: float = 20.0) -> list[ReceivedCall]:
        """Wait until `calls` calls have arrived; return all. Raise `TimeoutError` after `within` s."""
        if len(self.calls) < calls:
            arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((calls, arrived))
            try:
                async with asyncio.timeout(within):
                    await arrived
            except TimeoutError:
                raise TimeoutError(f"{len(self.calls)} of {calls} calls have arrived") from None
        return self.calls

    def refuse(self, connection: Connection, problem: str) -> None:
        """Note what came, and reset the connection."""
        self.garbage.append(problem)
        connection.abort()

    def answer_to(self, request: Request) -> Answer:
        """Record a call, wake the waiters for it, and give its answer."""
        verified, refusal = self._verify(request.headers, request.body)
        call = ReceivedCall(
            number=len(self.calls) + 1,
            connection=request.connection,
            method=request.method,
            path=request.target,
            headers=request.headers,
            body=request.body,
            verified=verified,
            refusal=refusal,
        )
        self.calls.append(call)
        self._wake_waiters()
        if callable(self._script):
            return self._script(call)
        return self._script[call.number - 1] if call.number <= len(self._script) else OK

    def _verify(
        self, headers: Headers, body: bytes
    ) -> tuple[VerifiedCall | None, InvalidSignature | None]:
        if not self.signing_keys:
            return None, None
        now = None if self._now is None else self._now().timestamp()
        try:
            return verify(body, headers, signing_keys=self.signing_keys, now=now), None
        except InvalidSignature as refusal:
            return None, refusal

    def _wake_waiters(self) -> None:
        remaining = []
        for calls, arrived in self._waiters:
            if len(self.calls) < calls:
                remaining.append((calls, arrived))
            elif not arrived.done():
                arrived.set_result(None)
        self._waiters = remaining
