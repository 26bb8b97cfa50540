"""A receiver for trying things out: verifies calls, passes them on, answers as its script says.

It is for a developer's machine: everything that comes in is bounded, but nothing here is meant to
face the internet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import TracebackType
from typing import Self

from outrider.cli.receive.answered_call import Headers, first_value
from outrider.cli.receive.bounded_connection import BoundedConnection, answer_with
from outrider.runtime import utc_now
from outrider.testing.http_server import Answer, Connection, HttpServer, Request
from outrider_receiver import InvalidSignature, VerifiedCall, verify

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


class Listener(HttpServer):
    """Listens from `listen` until `close`. `on_call` gets every call before it is answered.

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
        super().__init__()
        self.failure: Exception | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._on_call = on_call
        self._signing_keys = list(signing_keys)
        self._script = script or ResponseScript()
        self._failures_left = self._script.fail_first

    def trust(self, signing_key: str) -> None:
        """Accept calls signed with this key, too, from now on."""
        self._signing_keys.append(signing_key)

    def new_connection(self, number: int) -> Connection:
        """Bounded: a mistake of a sender must not fill the machine."""
        return BoundedConnection(self, number)

    async def close(self) -> None:
        """Stop listening and cut every connection. May be called again."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def answer_to(self, request: Request) -> Answer:
        """Show a call, and answer it as the script says."""
        call = self._to_received_call(request)
        try:
            self._on_call(call)
        except Exception as failure:  # noqa: BLE001 - who waits for the listener raises it
            self.failure = self.failure or failure
            self.on_failure()
            return Answer(reset=True)
        body = self._script.body if call.status == self._script.status else None
        return answer_with(call.status, body, self._script.delay)

    def refuse(self, connection: Connection, problem: str) -> None:  # noqa: ARG002 - the status says it
        """Answer what is no request with an error, and cut the connection."""
        if isinstance(connection, BoundedConnection):
            connection.refuse()

    def _to_received_call(self, request: Request) -> ReceivedCall:
        verified, verification_error = self._verify(request.body, request.headers)
        return ReceivedCall(
            at=utc_now(),
            method=request.method,
            target=request.target,
            headers=request.headers,
            body=request.body,
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
