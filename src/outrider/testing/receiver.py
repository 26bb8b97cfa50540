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
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from itertools import count
from types import TracebackType
from typing import Any, Self

import httptools

from outrider_receiver import InvalidSignature, VerifiedCall, verify

Headers = tuple[tuple[str, str], ...]

# A listening socket's queue: tests open hundreds of connections at once.
_BACKLOG = 4096
_ACCEPTING_ITERATIONS = 3
# SO_LINGER on, zero seconds: closing sends a reset instead of an orderly end.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_KEEP_ALIVE = (("Connection", "keep-alive"),)
_WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the receiver does with one call.

    `delay` is in seconds. With `cut_at` the connection ends after so many bytes of the body, with
    `reset` before any. `raw` is sent as it is, and the connection ends.
    """

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    headers: Headers = ()
    delay: float = 0.0
    hang_until: asyncio.Event | None = None
    cut_at: int | None = None
    reset: bool = False
    raw: bytes | None = None

    @property
    def is_immediate(self) -> bool:
        """Whether nothing has to happen before it."""
        return not self.delay and self.hang_until is None

    @property
    def ends_connection(self) -> bool:
        """Whether the connection is not kept alive after it."""
        return self.reset or self.cut_at is not None or self.raw is not None

    def rendered(self, *more: tuple[str, str]) -> bytes:
        """The bytes of the answer; all of the body is announced even when it will be cut."""
        if self.raw is not None:
            return self.raw
        headers = "".join(f"{name}: {value}\r\n" for name, value in (*self.headers, *more))
        if self.status not in _WITHOUT_BODY:
            headers += f"Content-Length: {len(self.body)}\r\n"
        head = f"HTTP/1.1 {self.status} {_reason(self.status)}\r\n{headers}\r\n"
        return head.encode("latin-1") + self.body[: self.cut_at]


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


class Receiver:
    """An HTTP server on a port of its own, from `__aenter__` to `__aexit__`.

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
        self.calls: list[ReceivedCall] = []
        self.signing_keys = list(signing_keys)
        self.garbage: list[str] = []
        self._script = script
        self._now = now
        self._tls = tls
        self._host = host
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._connection_numbers = count(1)
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"<Receiver {len(self.calls)} calls on {len(self._connections)} connections>"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self, next(self._connection_numbers)),
            self._host,
            0,
            ssl=self._tls,
            backlog=_BACKLOG,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for _ in range(_ACCEPTING_ITERATIONS):
            # A connection is made so many iterations of the loop after its client has come. One
            # that is half made when the server closes is never closed (CPython 3.11).
            await asyncio.sleep(0)
        self._running_server.close()
        for connection in list(self._connections):
            connection.abort()
        await self._running_server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        address: tuple[str, int] = self._running_server.sockets[0].getsockname()
        return address[1]

    @property
    def url(self) -> str:
        """An endpoint for a target."""
        return f"{'http' if self._tls is None else 'https'}://{self._host}:{self.port}/hook"

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def wait_for(self, calls: int, *, within: float = 20.0) -> list[ReceivedCall]:
        """Wait until so many calls have arrived; return all. Raise `TimeoutError` after `within` s."""
        if len(self.calls) < calls:
            arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((calls, arrived))
            try:
                async with asyncio.timeout(within):
                    await arrived
            except TimeoutError:
                raise TimeoutError(f"{len(self.calls)} of {calls} calls have arrived") from None
        return self.calls

    @property
    def _running_server(self) -> asyncio.Server:
        if self._server is None:
            raise RuntimeError("enter the receiver first")
        return self._server

    def _add_connection(self, connection: _Connection) -> None:
        self._connections.add(connection)

    def _remove_connection(self, connection: _Connection) -> None:
        self._connections.discard(connection)

    def _record_call(
        self, connection: int, method: str, path: str, headers: Headers, body: bytes
    ) -> Answer:
        """Record a call, wake the waiters for it, and give its answer."""
        verified, refusal = self._verify(headers, body)
        call = ReceivedCall(
            number=len(self.calls) + 1,
            connection=connection,
            method=method,
            path=path,
            headers=headers,
            body=body,
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


class _Connection(asyncio.Protocol):
    """One connection. Calls that came at once are answered in their order."""

    def __init__(self, receiver: Receiver, number: int) -> None:
        self._receiver = receiver
        self._number = number
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._pending: deque[Answer] = deque()
        self._delayed_answer: asyncio.Task[None] | None = None
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A server's connections are streams.
        self._transport = transport  # type: ignore[assignment]
        self._receiver._add_connection(self)  # noqa: SLF001 - two halves of one thing

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's shape
        if self._delayed_answer is not None:
            self._delayed_answer.cancel()
        self._receiver._remove_connection(self)  # noqa: SLF001

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as failure:
            self._receiver.garbage.append(str(failure))
            self.abort()

    def abort(self) -> None:
        """End the connection with a reset."""
        if self._transport is not None and not self._transport.is_closing():
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body = b"", [], []

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        answer = self._receiver._record_call(  # noqa: SLF001
            self._number,
            self._parser.get_method().decode("ascii"),
            self._url.decode("latin-1"),
            tuple(self._headers),
            b"".join(self._body),
        )
        self._pending.append(answer)
        if self._delayed_answer is None:
            self._answer_pending()

    def _answer_pending(self) -> None:
        while self._pending:
            answer = self._pending.popleft()
            if not answer.is_immediate:
                self._delayed_answer = asyncio.ensure_future(self._answer_later(answer))
                return
            self._send(answer)

    async def _answer_later(self, answer: Answer) -> None:
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.hang_until is not None:
            await answer.hang_until.wait()
        self._delayed_answer = None
        self._send(answer)
        self._answer_pending()

    def _send(self, answer: Answer) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if answer.reset:
            self.abort()
            return
        stays = self._parser.should_keep_alive() and not answer.ends_connection
        # A caller of HTTP/1.0 that is not told takes the connection's end for the answer's.
        told = _KEEP_ALIVE if stays and self._parser.get_http_version() == "1.0" else ()
        self._transport.write(answer.rendered(*told))
        if not stays:
            self._transport.close()


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unusual"
