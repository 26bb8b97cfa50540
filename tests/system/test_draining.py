"""A stop that no caller notices: first not ready, then asked to leave, and only then gone."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from outrider.testing.receiver import Answer, Receiver
from system.api import ApiError
from system.disk import lock_file, wait_for_lock_waiter
from system.http2 import Http2Connection
from system.ledger import calls_by_delivery, outcomes, prepare_publisher
from system.processes import ENVOY, children_running
from system.server import Server

# Longer than any test: what ends the server is what the test does.
FOR_EVER = "3600"
CALLERS = 8
CALLS = 5
WITHIN_S = 30
_LAST_CHUNK = b"0\r\n\r\n"  # no answer here has it in its body
LIST_TARGETS = "/zitadel.action.v2.ActionService/ListTargets"


@dataclass
class KeepAlive:
    """A caller on one HTTP/1.1 connection. Each answer is read whole."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: bytes
    answers: list[tuple[int, bool]] = field(default_factory=list)
    has_called: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def open(cls, server: Server) -> KeepAlive:
        host, port = server.address
        body = b"{}"
        request = (
            f"POST {LIST_TARGETS} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {server.token}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        return cls(*await asyncio.open_connection(host, port), request)

    async def call(self) -> bool:
        """One call; whether the answer says that the connection ends."""
        self.writer.write(self.request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        if "content-length" in headers:
            await self.reader.readexactly(int(headers["content-length"]))
        else:
            await self.reader.readuntil(_LAST_CHUNK)
        is_last = headers.get("connection") == "close"
        self.answers.append((int(head.split(" ")[1]), is_last))
        if len(self.answers) >= CALLS:
            self.has_called.set()
        return is_last

    async def call_until_told_to_leave(self) -> bytes:
        """What comes after the last answer: nothing, when the connection ends in order."""
        while not await self.call():
            pass
        return await self.reader.read()


@pytest.fixture
async def call_on_one_connection():
    """Open connections that are closed when the test ends."""
    callers: list[KeepAlive] = []

    async def open_connection(server: Server) -> KeepAlive:
        callers.append(await KeepAlive.open(server))
        return callers[-1]

    yield open_connection
    for caller in callers:
        caller.writer.close()


async def test_callers_that_continue_to_call_see_no_reset_and_no_cut_answer(
    launch, call_on_one_connection
):
    """
    Each is asked to leave with an answer to its call, while the port is open for those who come.
    """
    server = await launch(environ={"OUTRIDER_DRAIN_DELAY": FOR_EVER}).ready()
    callers = [await call_on_one_connection(server) for _ in range(CALLERS)]
    async with asyncio.timeout(WITHIN_S):
        calling = [asyncio.create_task(caller.call_until_told_to_leave()) for caller in callers]
        await asyncio.gather(*(caller.has_called.wait() for caller in callers))
        server.send(signal.SIGTERM)
        rests = await asyncio.gather(*calling)

    assert [b""] * CALLERS == rests
    for caller in callers:
        *before, last = caller.answers
        assert {(200, False)} == set(before)
        assert (200, True) == last


async def test_the_port_stays_open_while_the_server_says_that_it_is_not_ready(
    launch, call_on_one_connection
):
    """
    A balancer that asks every few seconds has to see it, and sends calls until it has.
    """
    server = await launch(environ={"OUTRIDER_DRAIN_DELAY": FOR_EVER}).ready()
    idle = await call_on_one_connection(server)
    await idle.call()
    server.send(signal.SIGTERM)
    announced = await server.output.line(lambda line: "stopping" in line, within=WITHIN_S)
    refusals = [await not_ready(server) for _ in range(3)]
    newcomer = await call_on_one_connection(server)
    is_told = [await newcomer.call(), await idle.call()]

    assert "the server answers calls for 3600 s; Ctrl-C again stops immediately" in announced
    assert [(503, "the server is stopping")] * 3 == refusals
    assert [True, True] == is_told
    assert [(200, True)] == newcomer.answers


async def test_callers_over_http2_are_asked_to_leave_and_are_answered(launch):
    """
    GOAWAY says which calls were taken: all of them.
    """
    server = await launch(environ={"OUTRIDER_DRAIN_DELAY": FOR_EVER}).ready()
    async with asyncio.timeout(WITHIN_S):
        connection = await Http2Connection.open(server.address, server.token)
        before = [await connection.call(LIST_TARGETS) for _ in range(CALLS)]
        server.send(signal.SIGTERM)
        after = []
        while not connection.is_told_to_leave:
            after.append(await connection.call(LIST_TARGETS))
        await connection.ended()

    assert {200} == {*before, *after}


async def test_a_grpc_client_calls_through_the_stop(launch):
    """
    It uses a new connection when it is asked to leave the old one; no call fails.
    """
    server = await launch(environ={"OUTRIDER_DRAIN_DELAY": FOR_EVER}).ready()
    host, port = server.address
    async with grpc.aio.insecure_channel(f"{host}:{port}") as channel, asyncio.timeout(WITHIN_S):
        stub = health_pb2_grpc.HealthStub(channel)
        watching = stub.Watch(health_pb2.HealthCheckRequest())
        seen = [(await watching.read()).status]
        server.send(signal.SIGTERM)
        answers = []
        while health_pb2.HealthCheckResponse.NOT_SERVING not in answers:
            answers.append((await stub.Check(health_pb2.HealthCheckRequest())).status)
        answers += [(await stub.Check(health_pb2.HealthCheckRequest())).status for _ in range(50)]
        seen.append((await watching.read()).status)

    assert health_pb2.HealthCheckResponse.NOT_SERVING == answers[-1]
    assert [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING] == (
        seen
    )


async def test_a_call_on_an_open_connection_is_answered_after_the_port_was_closed(
    launch, receiver, call_on_one_connection
):
    """
    Its caller had sent it before it could know.
    """
    server = await launch(environ={"OUTRIDER_DRAIN_TIMEOUT": FOR_EVER}).ready()
    publisher = await prepare_publisher(server.api, receiver)
    kept = await call_on_one_connection(server)
    await kept.call()
    [envoy] = children_running(server.pid, ENVOY)
    write_lock = server.data_dir / "outrider.db.lock"
    with lock_file(write_lock):
        publishing = asyncio.create_task(publisher.publish(1))
        await wait_for_lock_waiter(envoy, write_lock, within=WITHIN_S)
        server.send(signal.SIGTERM)
        await server.closed(within=WITHIN_S)
        is_told = await kept.call()
    await publishing
    code = await server.ended()

    assert is_told
    assert 0 == code
    assert {"event-0"} == publisher.answered


async def test_a_connection_on_which_nothing_happens_does_not_hold_up_the_end(
    launch, call_on_one_connection
):
    """
    Pools keep idle connections for minutes.
    """
    server = await launch(environ={"OUTRIDER_DRAIN_TIMEOUT": FOR_EVER}).ready()
    idle = await call_on_one_connection(server)
    await idle.call()
    code = await server.stop()

    assert 0 == code
    assert b"" == await idle.reader.read()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
async def test_a_second_signal_ends_the_delay_immediately(launch, number, code):
    """
    Who presses Ctrl-C twice does not want to wait for a balancer that is not there.
    """
    server = await launch(environ={"OUTRIDER_DRAIN_DELAY": FOR_EVER}).ready()
    server.send(signal.SIGTERM)
    await server.output.line(lambda line: "stopping" in line, within=WITHIN_S)
    server.send(number)

    assert code == await server.ended()
    assert "stopped immediately; running calls were cut off" == server.output.lines[-1]


async def test_a_second_signal_cuts_off_what_hangs_and_it_is_made_again(launch):
    """
    The attempt is LOST, as after a crash: nothing is lost but time.
    """
    silence = asyncio.Event()
    async with Receiver([Answer(hang_until=silence)]) as receiver:
        server = await launch(environ={"OUTRIDER_DRAIN_TIMEOUT": FOR_EVER}).ready()
        publisher = await prepare_publisher(server.api, receiver)
        await publisher.publish(1)
        await receiver.wait_for(1)
        server.send(signal.SIGTERM)
        await server.closed(within=WITHIN_S)
        code = await server.stop()
        following = await launch().ready()
        await following.api.settled()
        attempts = await outcomes(following.api, await following.api.deliveries())

    assert 143 == code
    assert [["LOST", "ACCEPTED"]] == list(attempts.values())
    assert 1 == len(calls_by_delivery(receiver.calls))


async def not_ready(server: Server) -> tuple[int, str]:
    """What `/readyz` answers."""
    with pytest.raises(ApiError) as refused:
        await server.api.get("/readyz")
    return refused.value.status, refused.value.error["reason"]
