"""What callers without a token cost the server together, in memory of all of its processes."""

from __future__ import annotations

import asyncio
import http.client
import re
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from system.processes import children_of
from system.server import Server

OK = 200
CALLERS = 200
BODY = 4 * 1024 * 1024
CHUNK = b"x" * 64 * 1024
# What 200 of these bodies take when they are read is 960 MB.
MOST_MB = 100
ANSWER_WITHIN_S = 60
# Headers have ten seconds, see `envoy_limits`; a busy machine has more.
CLOSED_WITHIN_S = 90
ATTEMPTS = 20


def processes_of(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for child in children_of(pid):
        yield from processes_of(child)


def megabytes(server: Server) -> float:
    """The resident memory of all processes of a server."""
    total = 0
    for pid in processes_of(server.pid):
        with suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            total += sum(int(size) for size in re.findall(r"VmRSS:\s+(\d+)", status))
    return total / 1024


async def send_most(writer: asyncio.StreamWriter) -> None:
    """A body without its last byte, as fast as it is taken."""
    with suppress(OSError):
        for _chunk in range(BODY // len(CHUNK) - 1):
            writer.write(CHUNK)
            await writer.drain()
        writer.write(CHUNK[1:])
        await writer.drain()


async def status_of(server: Server, head: str) -> str:
    """The first line that is answered, before the body has come.

    A server that has answered and closed cuts off a client that continues to send. On a busy machine
    the client may see that before it has read the answer, and asks again.
    """
    for _attempt in range(ATTEMPTS):
        with suppress(ConnectionError):
            if answer := await answered(server, head):
                return answer
    raise AssertionError("the server never answered")


async def answered(server: Server, head: str) -> str:
    """One attempt of `status_of`."""
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(f"{head}\r\nhost: x\r\ncontent-length: {BODY}\r\n\r\n".encode())
    sending = asyncio.create_task(send_most(writer))
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return (await reader.readline()).decode().strip()
    finally:
        sending.cancel()
        writer.close()


PLACES = {
    "REST": ("/v2/actions/targets", "application/json", "HTTP/1.1 401 Unauthorized"),
    "Connect": (
        "/zitadel.action.v2.ActionService/CreateTarget",
        "application/json",
        "HTTP/1.1 401 Unauthorized",
    ),
    "gRPC-Web as text": (
        "/zitadel.action.v2.ActionService/CreateTarget",
        "application/grpc-web-text",
        "HTTP/1.1 200 OK",
    ),
    "CloudEvents": ("/v1/events", "application/cloudevents+json", "HTTP/1.1 401 Unauthorized"),
    "relay": ("/v1/relay/unknown", "application/json", "HTTP/1.1 401 Unauthorized"),
    "health": ("/grpc.health.v1.Health/Check", "application/json", "HTTP/1.1 400 Bad Request"),
    "token": (
        "/oauth/v2/token",
        "application/x-www-form-urlencoded",
        "HTTP/1.1 400 Bad Request",
    ),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("path", "content_type", "status"), PLACES.values(), ids=PLACES)
async def test_bodies_of_callers_without_a_token_take_no_memory(
    server: Server, path: str, content_type: str, status: str
):
    """
    Each is answered although its body is not complete.
    """
    before, most, done = megabytes(server), 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, await asyncio.to_thread(megabytes, server))

    watching = asyncio.create_task(watch())
    head = f"POST {path} HTTP/1.1\r\ncontent-type: {content_type}"
    answers = await asyncio.gather(*(status_of(server, head) for _ in range(CALLERS)))
    done.set()
    await watching
    assert set(answers) == {status}
    assert most - before < MOST_MB


@pytest.mark.asyncio(loop_scope="module")
async def test_slow_headers_end(server: Server):
    """
    A connection whose request never begins must not be there for an hour.
    """

    async def closed() -> bytes:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"POST /v1/events HTTP/1.1\r\nhost: x\r\nx-slow: ")
        async with asyncio.timeout(CLOSED_WITHIN_S):
            answer = await reader.read()
        writer.close()
        return answer

    answers = await asyncio.gather(*(closed() for _ in range(CALLERS)))
    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 408 Request Timeout"}


async def test_connections_have_a_bound(launch):
    """
    Files are left for the store, whatever callers do; those who leave make room.
    """
    open_files = 512

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

    server = await launch(before_start=few_files).ready()
    writers = []
    closed = 0
    for _number in range(open_files // 2 + 50):
        reader, writer = await asyncio.open_connection(*server.address)
        writers.append(writer)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(ANSWER_WITHIN_S):
            with suppress(ConnectionError):
                closed += not await reader.readline()
                continue
        closed += 1
    assert closed >= 50
    for writer in writers:
        writer.close()
    async with asyncio.timeout(ANSWER_WITHIN_S):
        while await asyncio.to_thread(is_refused, server):
            pass


def is_refused(server: Server) -> bool:
    """Whether a new connection is closed before it has an answer."""
    connection = http.client.HTTPConnection(*server.address, timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status != OK
    except (OSError, http.client.HTTPException):
        return True
    finally:
        connection.close()
