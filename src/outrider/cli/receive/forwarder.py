# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""The client end of a tunnel: takes calls from a remote server to a local one.

The connection goes out from here, so nothing has to be opened to the internet. When it breaks, the
forwarder connects again, after delays that grow; an error that a retry cannot repair, such as a token
that is not accepted, ends the command.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from outrider.cli.receive.answered_call import AnsweredCall, AnsweredCallHandler
from outrider.cli.remote.call_errors import command_error
from outrider.cli.remote.client import RemoteServer
from outrider.domain.calls.request import OutboundRequest, RequestError, Response
from outrider.runtime import utc_now

if TYPE_CHECKING:
    from connectrpc.errors import ConnectError

    from outrider_api.outrider.v1.tunnel_service_pb import ListenResponse, TunnelCall

# The server says every 10 s that it is there.
SILENT_S = 35.0
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 15.0
# Of an answer: the server takes requests of 4 MiB.
MAX_RESPONSE_BYTES = 4 * 1024 * 1024 - 64 * 1024
MAX_REASON_CHARS = 300


class HttpClient(Protocol):
    """Calls the local server."""

    async def send(self, call: OutboundRequest) -> Response:
        """Raise `RequestError` when there is no answer."""
        ...


class OpenHandler(Protocol):
    """Called each time that the tunnel opens."""

    async def __call__(self, endpoint: str) -> None:
        """`endpoint` is what targets call to get here."""
        ...


@dataclass(slots=True, kw_only=True)
class Forwarder:
    """Takes the calls of the tunnel `name` to `url`. `say` is told of the connection."""

    server: RemoteServer
    name: str
    url: str
    client: HttpClient
    on_open: OpenHandler
    on_answered: AnsweredCallHandler
    say: Callable[[str], None]
    silent_s: float = SILENT_S
    _retry_delay: float = FIRST_WAIT_S
    _calls: set[asyncio.Task[None]] = field(default_factory=set)
    _run_task: asyncio.Task[None] | None = None
    _failure: BaseException | None = None

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            CommandError: the server refuses, or was not there at the start.
            Exception: what `on_answered` raises, such as for a closed pipe.
        """
        self._run_task = asyncio.current_task()
        was_open = False
        try:
            while True:
                reason = "the server ended the connection"
                try:
                    async for endpoint in self._listen():
                        await self.on_open(endpoint)
                        was_open, self._retry_delay = True, FIRST_WAIT_S
                except Exception as failure:  # noqa: BLE001 - classified below
                    _stop_if_cancelled()
                    reason = self._reason(failure, was_open=was_open)
                self.say(f"connection lost ({reason}); trying again in {self._retry_delay:.3g} s")
                await asyncio.sleep(self._retry_delay)
                self._retry_delay = min(2 * self._retry_delay, LONGEST_WAIT_S)
        except asyncio.CancelledError:
            if self._failure is not None:
                raise self._failure from None
            raise
        finally:
            for call in self._calls:
                call.cancel()

    async def _listen(self) -> AsyncIterator[str]:
        """Take calls while the connection lasts; gives the endpoint once."""
        from outrider_api.outrider.v1.tunnel_service_pb import ListenRequest

        frames = self.server.tunnels.listen(
            ListenRequest(name=self.name), headers=self.server.headers
        )
        while True:
            async with asyncio.timeout(self.silent_s):
                frame: ListenResponse | None = await anext(frames, None)
            if frame is None:
                return
            if frame.endpoint:
                yield frame.endpoint
            if frame.call is not None:
                self._start_call(frame.call)

    def _reason(self, failure: Exception, *, was_open: bool) -> str:
        """Return why the connection broke. Raise the error when a retry cannot repair it."""
        from connectrpc.code import Code
        from connectrpc.errors import ConnectError

        if not isinstance(failure, ConnectError | TimeoutError):
            raise failure
        # The library's own error for a wait that ended by our time-out.
        if isinstance(failure, TimeoutError) or failure.code is Code.CANCELED:
            return "the server is silent"
        passing = {
            Code.UNAVAILABLE,
            Code.DEADLINE_EXCEEDED,
            Code.INTERNAL,
            Code.UNKNOWN,
        }
        if not was_open or failure.code not in passing:
            raise command_error(failure, self.server.url) from None
        return _short(failure)

    def _start_call(self, call: TunnelCall) -> None:
        task = asyncio.create_task(self._forward(call))
        self._calls.add(task)
        task.add_done_callback(self._on_forwarded)

    def _on_forwarded(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None and self._failure is None and self._run_task is not None:
            self._failure = failure
            self._run_task.cancel()

    async def _forward(self, call: TunnelCall) -> None:
        began = time.perf_counter()
        headers = tuple((header.name, header.value) for header in call.headers)
        fields: dict[str, Any] = {
            "at": utc_now(),
            "target": call.target,
            "headers": headers,
            "body": bytes(call.body),
        }
        try:
            response = await self.client.send(self._outbound_request(call))
            fields |= {"response_headers": response.headers, "response_body": response.body}
            status, failure = response.status, ""
        except RequestError as failed:
            status, failure = 0, failed.reason
        if len(fields.get("response_body", b"")) > MAX_RESPONSE_BYTES:
            status, failure = 0, f"the answer is larger than {MAX_RESPONSE_BYTES} bytes"
        answered = AnsweredCall(
            **fields, status=status, failure=failure, seconds=time.perf_counter() - began
        )
        try:
            self.on_answered(answered)
        finally:
            await self._send_response(call.id, answered)

    def _outbound_request(self, call: TunnelCall) -> OutboundRequest:
        headers = tuple((header.name, header.value) for header in call.headers)
        seconds = call.timeout.to_timedelta().total_seconds() if call.timeout else 0.0
        return OutboundRequest(self.url, headers, bytes(call.body), seconds)

    async def _send_response(self, call_id: str, answered: AnsweredCall) -> None:
        from connectrpc.errors import ConnectError

        from outrider_api.outrider.v1.tunnel_service_pb import AnswerCallRequest, HttpHeader

        request = AnswerCallRequest(name=self.name, call_id=call_id)
        if answered.failure:
            request.failure = answered.failure[:MAX_REASON_CHARS]
        else:
            request.status, request.body = answered.status, answered.response_body
            request.headers = [
                HttpHeader(name=name, value=value) for name, value in answered.response_headers
            ]
        try:
            await self.server.tunnels.answer_call(request, headers=self.server.headers)
        except ConnectError as failure:
            _stop_if_cancelled()
            self.say(f"the answer came too late or could not be sent: {_short(failure)}")


def _short(failure: ConnectError) -> str:
    return failure.message.rpartition(": ")[2][:MAX_REASON_CHARS]


def _stop_if_cancelled() -> None:
    # The protocol library turns a cancellation into its own error.
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
