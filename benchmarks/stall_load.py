"""The steady calls of one tenant, and the worst calls of another at the same time."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as PipeConnection
from multiprocessing.synchronize import Event

import uvloop
from httptools import HttpResponseParser

from benchmarks.machine import usable_cores
from benchmarks.stall_calls import JSON, StallCall

_OK = 200
_PATIENCE_S = 30.0


class Connection(asyncio.Protocol):
    """One connection with one call at a time. A call's result is the status of its answer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[int] | None = None
        self._parser = HttpResponseParser(self)

    @property
    def is_usable(self) -> bool:
        """Return whether it can take another call."""
        return self.transport is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, failure: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(failure or ConnectionError("the server hung up"))

    def on_message_complete(self) -> None:
        status, self._parser = self._parser.get_status_code(), HttpResponseParser(self)
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(status)

    async def call(self, request: bytes) -> int:
        """Send a request and wait for the whole answer."""
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        async with asyncio.timeout(_PATIENCE_S):
            return await self._answered


@dataclass(slots=True)
class Connections:
    """As many as are needed at the same time."""

    port: int
    _idle: list[Connection] = field(default_factory=list)

    async def call(self, request: bytes) -> int:
        """One call over an idle connection, or over a new one."""
        connection = await self._taken()
        status = await connection.call(request)
        self._idle.append(connection)
        return status

    def close(self) -> None:
        """Hang up."""
        for connection in self._idle:
            connection.transport.close()

    async def _taken(self) -> Connection:
        while self._idle:
            if (connection := self._idle.pop()).is_usable:
                return connection
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Connection, "127.0.0.1", self.port))[1]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A caller: the host name selects the instance, the token is its owner's."""

    port: int
    host: str
    token: str = field(repr=False)

    def json_request(self, path: str, body: bytes) -> bytes:
        """A whole call with JSON."""
        return self.request(StallCall("", "POST", path, JSON, lambda: body), body)

    def request(self, call: StallCall, body: bytes) -> bytes:
        """A whole call, in the tenant's name where it has a token."""
        headers = {"host": self.host, "content-length": str(len(body)), **call.headers}
        if call.has_token:
            headers["authorization"] = f"Bearer {self.token}"
        lines = [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([f"{call.method} {call.path} HTTP/1.1", *lines, "\r\n"]).encode() + body


@dataclass(slots=True)
class Steady:
    """The results of steady calls: the seconds of each from when it was due, and how many failed."""

    times: list[float] = field(default_factory=list)
    failed: int = 0


async def steady(
    connections: Connections, requests: Sequence[bytes], per_second: float, seconds: float
) -> Steady:
    """Make calls at a steady rate, also while earlier ones are late."""
    result, begun = Steady(), time.perf_counter()

    async def one(due: float, sent: bytes) -> None:
        status = await connections.call(sent)
        result.times.append(time.perf_counter() - due)
        result.failed += status != _OK

    async with asyncio.TaskGroup() as group:
        for number, sent in enumerate(itertools.cycle(requests)):
            due = begun + number / per_second
            if due - begun >= seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due, sent))
    return result


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst call of one kind, by several callers at the same time.

    `is_fresh`: each call has a different body, and they end when there is none left.
    """

    call: StallCall
    callers: int = 1
    is_fresh: bool = False


Answers = list[tuple[int, float]]
"""Status and seconds of each call; 0 where the server hung up."""


@contextmanager
def beside(tenant: Tenant, worst: Worst | None) -> Iterator[Answers]:
    """Make the worst call again and again, in another process: what it costs the caller is its own.

    The list is filled on leaving. None: there are no other calls.
    """
    answers: Answers = []
    if worst is None:
        yield answers
        return
    forking = multiprocessing.get_context("fork")
    stop, (receiving, sending) = forking.Event(), forking.Pipe(duplex=False)
    process = forking.Process(target=_call_until, args=(tenant, worst, stop, sending))
    process.start()
    try:
        yield answers
    finally:
        stop.set()
        answers += receiving.recv()
        process.join()


def _call_until(tenant: Tenant, worst: Worst, stop: Event, sending: PipeConnection) -> None:
    # The steady calls are timed: their process goes first where both want the same core.
    os.nice(10)
    os.sched_setaffinity(0, usable_cores())
    sending.send(uvloop.run(_repeated(tenant, worst, stop)))


async def _repeated(tenant: Tenant, worst: Worst, stop: Event) -> Answers:
    answers: Answers = []
    body = None if worst.is_fresh else worst.call.body()

    async def repeat() -> None:
        connections = Connections(tenant.port)
        while not stop.is_set():
            try:
                sent = tenant.request(worst.call, worst.call.body() if body is None else body)
            except StopIteration:
                return
            begun, status = time.perf_counter(), 0
            # A server may answer, and hang up, before it has read all.
            with suppress(ConnectionError, TimeoutError):
                status = await connections.call(sent)
            answers.append((status, time.perf_counter() - begun))

    await asyncio.gather(*(repeat() for _ in range(worst.callers)))
    return answers
