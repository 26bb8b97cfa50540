"""A call is sent at most once, at whatever point its connection ends."""

from __future__ import annotations

import asyncio
import contextlib
import random  # noqa: TID251 - seeded: the same draw in every run

import pytest

from adapters.http.certificates import Authority
from adapters.http.dying import Dying, nothing
from adapters.http.names import a_call
from adapters.http.proxies import Proxy
from outrider.domain.calls.request import RequestError, Route, Stage
from outrider.domain.outcome import Outcome

AUTHORITY = Authority()
PERHAPS_PROCESSED = (
    "the connection was closed after the request was sent; the receiver may have processed it"
)
BODY = b'{"call": 2}'
WAYS = ["plain", "tls", "proxy", "tls through a proxy", "tls through a tls proxy"]
ENDS = ["close", "reset"]


@pytest.fixture(scope="module")
def server_context():
    return AUTHORITY.server_context("127.0.0.1")


@pytest.fixture(params=WAYS)
def way(request, server_context, open_http_client):
    """Opens a dying receiver, a client, and calls that take one way to it."""

    @contextlib.asynccontextmanager
    async def open_way(**plans):
        client = open_http_client(ssl_context=AUTHORITY.client_context())
        proxy_context = server_context if "tls proxy" in request.param else None
        async with contextlib.AsyncExitStack() as stack:
            context = server_context if request.param.startswith("tls") else None
            receiver = await stack.enter_async_context(Dying(context, **plans))
            route = Route()
            if "proxy" in request.param:
                proxy = await stack.enter_async_context(Proxy(proxy_context))
                route = Route(proxy_url=proxy.url())

            async def send(body: bytes):
                return await client.send(a_call(receiver.url, body=body, route=route))

            yield receiver, send

    return open_way


@pytest.mark.parametrize("end", ENDS)
async def test_a_request_that_was_read_whole_is_not_sent_again(way, end):
    """
    The kept connection dies under the second request, after the receiver's application had it.
    """

    def dies_at_the_second(_receiver, connection):
        if connection.requests == 1:
            connection.answer()
        else:
            getattr(connection, end)()

    async with way(on_request=dies_at_the_second) as (receiver, send):
        await send(b"{}")
        with pytest.raises(RequestError) as failed:
            await send(BODY)

    assert (Outcome.UNREACHABLE, Stage.ANSWER) == (failed.value.outcome, failed.value.stage)
    assert PERHAPS_PROCESSED == failed.value.reason
    assert receiver.seen == {b"{}": 1, BODY: 1}
    assert len(receiver.connections) == 1


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("read_bytes", [1, 1000, 200_000])
async def test_a_request_that_was_read_in_part_is_not_sent_again(way, end, read_bytes):
    """
    What the receiver made of the part is not known; the caller decides, not the client.
    """

    def dies_in_the_second(_receiver, connection):
        if connection.requests == 1 and len(connection.unread) >= read_bytes:
            getattr(connection, end)()

    async with way(on_data=dies_in_the_second) as (receiver, send):
        await send(b"{}")
        with pytest.raises(RequestError) as failed:
            await send(bytes(300_000))

    assert Outcome.UNREACHABLE == failed.value.outcome
    assert failed.value.reason in {PERHAPS_PROCESSED, "connection closed while sending the request"}
    assert receiver.seen == {b"{}": 1}
    assert len(receiver.connections) == 1


@pytest.mark.parametrize("end", [*ENDS, "shut_now"])
async def test_a_connection_that_ends_while_it_is_idle_costs_nothing(way, end):
    """
    Receivers close what is idle. The next call takes another connection, and arrives once.
    """
    async with way() as (receiver, send):
        await send(b"{}")
        getattr(receiver.connections[0], end)()
        await receiver.lost.wait()
        for _ in range(20):  # for the proxy on the way, and the client's own loop
            await asyncio.sleep(0.001)
        response = await send(BODY)

    assert response.body == b"seen"
    assert receiver.seen == {b"{}": 1, BODY: 1}
    assert len(receiver.connections) == 2


@pytest.mark.parametrize("scheme", ["plain", "tls"])
async def test_a_connection_that_ends_right_at_its_reuse_costs_nothing(
    open_http_client, server_context, scheme
):
    """
    The end is in the client's system and its event loop has not heard yet: nothing is written.
    """
    client = open_http_client(ssl_context=AUTHORITY.client_context())
    async with Dying(server_context if scheme == "tls" else None) as receiver:
        await client.send(a_call(receiver.url))
        receiver.connections[0].shut_now()
        response = await client.send(a_call(receiver.url, body=BODY))

    assert response.body == b"seen"
    assert receiver.seen == {b"{}": 1, BODY: 1}
    assert len(receiver.connections) == 2


async def test_bytes_that_came_while_idle_are_not_taken_for_an_answer(open_http_client):
    """
    They are in the system's buffer when the call is made: some balancers say 408 before they close.
    """
    client = open_http_client()
    async with Dying() as receiver:
        await client.send(a_call(receiver.url))
        receiver.connections[0].on_socket(
            lambda sock: sock.send(b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\n\r\n")
        )
        response = await client.send(a_call(receiver.url, body=BODY))

    assert (response.status, response.body) == (200, b"seen")
    assert receiver.seen == {b"{}": 1, BODY: 1}


@pytest.mark.parametrize("end", ENDS)
async def test_a_fresh_connection_is_not_replaced_either(way, end):
    """
    The receiver took the connection and ended it, before or with the first bytes.
    """
    async with way(
        on_data=lambda _receiver, connection: getattr(connection, end)(), on_request=nothing
    ) as (receiver, send):
        with pytest.raises(RequestError):
            await send(BODY)

    assert not receiver.seen
    assert len(receiver.connections) == 1


class RandomEnds:
    """Ends connections at random points: under a part, after all, after the answer, while idle."""

    def __init__(self) -> None:
        self.draw = random.Random(12)

    def on_data(self, _receiver, connection) -> None:
        chance = self.draw.random()
        if chance < 0.1:
            connection.reset()
        elif chance < 0.2:
            connection.close()

    def on_request(self, receiver, connection) -> None:
        self.on_data(receiver, connection)
        if not connection.transport.is_closing():
            connection.answer()
            self.on_data(receiver, connection)
            asyncio.get_running_loop().call_soon(self.on_data, receiver, connection)


async def test_no_call_of_many_arrives_twice(way):
    """
    Whatever ends when, a call that failed may have arrived, and none has arrived twice.
    """
    answered: list[bytes] = []
    failed: list[RequestError] = []

    async def call_some(send, numbers) -> None:
        for number in numbers:
            body = b"%d" % number
            try:
                await send(body)
            except RequestError as error:
                failed.append(error)
            else:
                answered.append(body)

    ends = RandomEnds()
    async with way(on_data=ends.on_data, on_request=ends.on_request) as (receiver, send):
        remaining = iter(range(300))
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(call_some(send, remaining))

    assert set(answered) <= set(receiver.seen)
    assert {1} == set(receiver.seen.values())
    assert len(answered) > 30
    assert len(failed) > 30
