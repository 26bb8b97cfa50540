"""A receiver for trying things out: verifies calls, passes them on, answers as its script says.

It is for a developer's machine: everything that comes in is bounded, but nothing here is meant to
face the internet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import TracebackType
from typing import Self

from outrider.cli.receive.answered_call import Headers, first_value
from outrider.cli.receive.http_request import (
    CONTINUE,
    BadRequest,
    Request,
    RequestReader,
    build_response,
)
from outrider.runtime import utc_now
from outrider_receiver import InvalidSignature, VerifiedCall, verify

READ_BYTES = 64 * 1024
# A connection on which nothing comes for this long is closed.
IDLE_SECONDS = 300.0
# How long the rest of a bad request is thrown away.
LINGER_SECONDS = 2.0

NOT_VERIFIED = "not verified: no signing key was given"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedCall:
    """One call, as it came, was verified and answered."""

    at: datetime
    method: str
    target: str
    """Path and query."""
    headers: Headers
    body: bytes
    verified: VerifiedCall | None
    verification_error: str | None
    """Why the call is not verified; None when it is."""
    status: int
    """What it is answered with."""

    def header(self, name: str) -> str:
        """The first value of a header, in any case of its letters; empty when it did not come."""
        return first_value(self.headers, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseScript:
    """The answer to a verified call, or to any call when no signing key is known."""

    status: int = HTTPStatus.OK
    fail_first: int = 0
    """Answer 500 this many times first."""
    delay: float = 0.0
    """Seconds to wait before each answer."""
    body: bytes | None = None
    """What to answer; None: nothing, or the name of the status where that is an error."""


class Listener:
    """Listens from `start` until `close`. `on_call` gets every call before it is answered.

    A call that `on_call` raises for gets no answer; `failure` is what it raised first, and
    `on_failure` is called.

    With signing keys a call that is not signed by one of them is answered 401. Without any, every
    call is accepted and its `verification_error` says that it was not verified.
    """

    def __init__(
        self,
        on_call: Callable[[ReceivedCall], None],
        *,
        signing_keys: Sequence[str] = (),
        script: ResponseScript | None = None,
    ) -> None:
        self.failure: Exception | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._on_call = on_call
        self._signing_keys = list(signing_keys)
        self._script = script or ResponseScript()
        self._failures_left = self._script.fail_first
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def trust(self, signing_key: str) -> None:
        """Accept calls signed with this key, too, from now on."""
        self._signing_keys.append(signing_key)

    async def start(self, host: str, port: int) -> None:
        """Listen. Port 0 takes any free one. Raise OSError when the address is taken."""
        self._server = await asyncio.start_server(self._accept, host, port)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._server is None:
            raise RuntimeError("the listener was not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop listening and cut every connection. May be called again."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = RequestReader()
        try:
            while received := await _read(reader):
                complete = requests.feed(received)
                if requests.asks_to_continue():
                    writer.write(CONTINUE)
                for request in complete:
                    await self._respond(request, writer)
                    if not request.keep_alive:
                        return
        except BadRequest as error:
            await _send_error(reader, writer, error)
        except OSError:
            pass  # the caller closed the connection or was silent for too long
        finally:
            writer.close()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> None:
        call = self._to_received_call(request)
        self._show(call)
        if self._script.delay:
            await asyncio.sleep(self._script.delay)
        body = self._script.body if call.status == self._script.status else None
        writer.write(build_response(call.status, keep_alive=request.keep_alive, body=body))
        await writer.drain()

    def _show(self, call: ReceivedCall) -> None:
        try:
            self._on_call(call)
        except Exception as failure:
            self.failure = self.failure or failure
            self.on_failure()
            raise ConnectionAbortedError from failure

    def _to_received_call(self, request: Request) -> ReceivedCall:
        body = bytes(request.body)
        verified, verification_error = self._verify(body, request.headers)
        return ReceivedCall(
            at=utc_now(),
            method=request.method,
            target=request.target.decode("latin-1"),
            headers=tuple(request.headers),
            body=body,
            verified=verified,
            verification_error=verification_error,
            status=self._status(accepted=verified is not None or not self._signing_keys),
        )

    def _verify(
        self, body: bytes, headers: Sequence[tuple[str, str]]
    ) -> tuple[VerifiedCall | None, str | None]:
        if not self._signing_keys:
            return None, NOT_VERIFIED
        try:
            return verify(body, headers, signing_keys=self._signing_keys), None
        except InvalidSignature as invalid:
            return None, f"{invalid.reason}: {invalid}"

    def _status(self, *, accepted: bool) -> int:
        if not accepted:
            return HTTPStatus.UNAUTHORIZED
        if self._failures_left:
            self._failures_left -= 1
            return HTTPStatus.INTERNAL_SERVER_ERROR
        return self._script.status


async def _send_error(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, error: BadRequest
) -> None:
    """Answer a request that cannot be read any further, so that the answer arrives."""
    with suppress(OSError):
        writer.write(build_response(error.status, keep_alive=False))
        writer.write_eof()
        # Closing a socket with unread bytes in it would destroy the answer on its way.
        async with asyncio.timeout(LINGER_SECONDS):
            while await reader.read(READ_BYTES):
                pass


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Return received bytes; empty at the end. Raise TimeoutError, an OSError, after a long silence."""
    async with asyncio.timeout(IDLE_SECONDS):
        return await reader.read(READ_BYTES)
