"""The client of the use cases: made when it is needed, and past it for tunnels."""

from __future__ import annotations

import time

from adapters.http.hostile import Hostile, answer, hangs, sends
from adapters.http.names import a_call, failure_of
from outrider.adapters.http.lazy_client import LazyClient
from outrider.domain.calls.request import Response
from outrider.domain.ids import InstanceId
from outrider.domain.targets.tunnel import ReverseTunnel

ADA = ReverseTunnel(InstanceId("7"), "ada")


class RecordedTunnels:
    """Answers every request, and remembers into which tunnel it was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[ReverseTunnel, str]] = []

    async def send(self, tunnel, request) -> Response:
        self.sent.append((tunnel, request.url))
        return Response(203, (), b"tunnel")


class ClientFactory:
    """Makes clients that may call loopback, after `seconds`, and counts them."""

    def __init__(self, open_http_client, seconds: float = 0.0) -> None:
        self.open_http_client = open_http_client
        self.seconds = seconds
        self.made = 0

    def __call__(self):
        time.sleep(self.seconds)
        self.made += 1
        return self.open_http_client()


async def test_the_first_call_makes_the_client_and_later_calls_use_it(open_http_client):
    """
    A process that calls no target needs neither certificates nor their time.
    """
    factory = ClientFactory(open_http_client)
    client = LazyClient(factory, RecordedTunnels())
    async with Hostile(sends(answer())) as server:
        assert (0, (0, 0)) == (factory.made, client.connections)
        for _ in range(2):
            await client.send(a_call(server.url()))

        assert (1, (0, 1)) == (factory.made, client.connections)
        await client.aclose()
    assert (0, 0) == client.connections


async def test_a_tunnels_endpoint_goes_into_the_tunnel(open_http_client):
    """
    Its name resolves nowhere, so that the client could only fail.
    """
    factory, tunnels = ClientFactory(open_http_client), RecordedTunnels()
    client = LazyClient(factory, tunnels)
    response = await client.send(a_call(ADA.endpoint))
    await client.aclose()

    assert b"tunnel" == response.body
    assert [(ADA, ADA.endpoint)] == tunnels.sent
    assert 0 == factory.made


async def test_making_the_client_counts_against_the_first_call(open_http_client):
    """
    There is one deadline for everything.
    """
    client = LazyClient(ClientFactory(open_http_client, 0.7), RecordedTunnels())
    async with Hostile(hangs) as server:
        failed = await failure_of(client, a_call(server.url(), timeout=3.0))

    seconds = float(failed.reason.removeprefix("time-out after ").partition(" s ")[0])
    assert 0 < seconds <= 2.3
