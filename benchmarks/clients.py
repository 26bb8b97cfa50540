"""HTTP clients that cost little: one request, made once, sent again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from httptools import HttpResponseParser

from benchmarks import stores
from benchmarks.servers import Server
from outrider_api.outrider.v1 import event_service_pb as pb

PATH = "/outrider.v1.EventService/PublishEvents"
JSON, PROTO = "json", "proto"
_OK = 200


def publish_request(server: Server, wire: str, events: int, *, event_type: str) -> bytes:
    """Return an HTTP request that publishes this number of events, without ids: the server makes them.

    On the JSON wire the payload is an object, as people write it; in protobuf it is JSON as text.
    """
    body = _call(wire, events, event_type)
    lines = (
        f"POST {PATH} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: Bearer {server.token}",
        f"Content-Type: application/{wire}",
        f"Content-Length: {len(body)}",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + body


def _call(wire: str, events: int, event_type: str) -> bytes:
    event = stores.an_event()
    message = pb.Event(
        aggregate_id=event.aggregate_id,
        aggregate_type=event.aggregate_type,
        resource_owner=event.resource_owner,
        version=event.version,
        sequence=event.sequence,
        event_type=event_type,
        user_id=event.user_id,
    )
    if wire == JSON:
        text = message.to_json()[:-1] + f',"eventPayload":{event.payload_json}}}'
        return f'{{"events":[{",".join([text] * events)}]}}'.encode()
    message = pb.Event.from_json(
        message.to_json()[:-1] + f',"eventPayloadJson":{_quoted(event.payload_json)}}}'
    )
    return pb.PublishEventsRequest(events=[message] * events).to_binary()


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


class Client(asyncio.Protocol):
    """One connection with one call at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._answered: asyncio.Future[None] | None = None
        self._body = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, failure: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(failure or ConnectionError("the server hung up"))

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        body, self._body = self._body, b""
        if status == _OK:
            self._answered.set_result(None)
        else:
            self._answered.set_exception(RuntimeError(f"{status}: {body[:500]!r}"))
        self._parser = HttpResponseParser(self)

    def call(self, request: bytes) -> asyncio.Future[None]:
        """Send a request; the future is done when the whole answer is here."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


async def connect(port: int) -> Client:
    """A connection to a server on this machine."""
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(Client, "127.0.0.1", port))[1]


async def load(port: int, request: bytes, connections: int, seconds: float) -> Sequence[float]:
    """Call over a number of connections for some seconds; return the seconds of each call."""
    clients = [await connect(port) for _ in range(connections)]
    end = time.perf_counter() + seconds
    times: list[float] = []

    async def repeat(client: Client) -> None:
        begun = time.perf_counter()
        while begun < end:
            await client.call(request)
            done = time.perf_counter()
            times.append(done - begun)
            begun = done

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(repeat(client))
    for client in clients:
        client.close()
    return times
