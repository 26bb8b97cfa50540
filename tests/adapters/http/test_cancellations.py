"""Cancelled in each stage: nothing leaks, and the next call works."""

from __future__ import annotations

import asyncio

import pytest

from adapters.http.certificates import Authority
from adapters.http.hostile import (
    Hostile,
    answer,
    hangs,
    never_reads,
    sends,
    sends_in_turn,
    silent_port,
)
from adapters.http.names import Names, Silence, a_call
from adapters.http.secure import SecureServer

LONG = 3600.0  # so that no deadline tidies up what the cancellation left


async def cancelled(task: asyncio.Task) -> bool:
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


def is_empty(client) -> bool:
    return repr(client).endswith("[busy 0 | idle 0]>")


async def some_iterations() -> None:
    """Let the loop run what is ready: far more iterations than anything here needs."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_cancelled_while_resolving(open_http_client):
    """
    The name server hangs, and the caller has gone.
    """
    silence = Silence()
    client = open_http_client(resolver=silence)
    task = asyncio.create_task(client.send(a_call("http://hooks.example/", timeout=LONG)))
    await silence.asked.wait()

    assert await cancelled(task)
    assert is_empty(client)


@pytest.mark.parametrize("addresses", ["127.0.0.1", "127.0.0.1 127.0.0.1"])
async def test_cancelled_while_connecting(open_http_client, addresses):
    """
    One address or a race of several: no attempt continues alone, no socket stays open.
    """
    resolved = asyncio.Event()

    class WatchedNames(Names):
        async def resolve(self, host):
            resolved.set()
            return await super().resolve(host)

    client = open_http_client(resolver=WatchedNames(hooks_example=addresses))
    with silent_port() as port:
        task = asyncio.create_task(
            client.send(a_call(f"http://hooks.example:{port}/", timeout=LONG))
        )
        await resolved.wait()
        await some_iterations()
        assert len(asyncio.all_tasks()) > 1

        assert await cancelled(task)
        await some_iterations()
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert is_empty(client)


async def test_cancelled_in_the_handshake(client):
    """
    The half-made connection is closed towards the receiver, too.
    """

    async def swallows(peer):
        await peer.receive()
        peer.server.heard.set()
        await peer.until_gone()

    async with Hostile(swallows) as server:
        task = asyncio.create_task(
            client.send(a_call(server.url().replace("http:", "https:"), timeout=LONG))
        )
        await server.heard.wait()

        assert await cancelled(task)
        await server.gone.wait()
    assert is_empty(client)


async def test_cancelled_while_sending(client):
    """
    Megabytes wait in the buffer: they must not hold the connection open.
    """
    async with Hostile(never_reads) as server:
        task = asyncio.create_task(
            client.send(a_call(server.url(), body=bytes(2**23), timeout=LONG))
        )
        await server.accepted.wait()

        assert await cancelled(task)
        assert repr(client).endswith("idle 0]>")


async def test_cancelled_while_waiting_for_the_answer(client):
    """
    No call may read the response that may still come, so its connection is not kept.
    """
    async with Hostile(hangs, sends(answer(200, b"next"))) as server:
        task = asyncio.create_task(client.send(a_call(server.url(), timeout=LONG)))
        await server.heard.wait()

        assert await cancelled(task)
        await server.gone.wait()
        result = await client.send(a_call(server.url()))

    assert result.body == b"next"
    assert server.connections == 2


async def test_cancelled_in_the_middle_of_the_body(client):
    """
    The rest of a body must not be read as the head of the next answer.
    """

    async def stops_half_way(peer):
        await peer.request()
        await peer.say(answer(200, b"hello")[:-2])
        peer.server.heard.set()
        await peer.until_gone()

    async with Hostile(stops_half_way, sends(answer(200, b"next"))) as server:
        task = asyncio.create_task(client.send(a_call(server.url(), timeout=LONG)))
        await server.heard.wait()

        assert await cancelled(task)
        await server.gone.wait()
        result = await client.send(a_call(server.url()))

    assert result.body == b"next"


async def test_cancelled_on_a_kept_connection(client):
    """
    A kept connection is given up like a fresh one.
    """
    async with Hostile(sends_in_turn(answer()), sends(answer(200, b"next"))) as server:
        await client.send(a_call(server.url()))
        server.heard.clear()
        task = asyncio.create_task(client.send(a_call(server.url(), timeout=LONG)))
        await asyncio.sleep(0)

        assert repr(client).endswith("[busy 1 | idle 0]>")
        assert await cancelled(task)
        await server.gone.wait()
        result = await client.send(a_call(server.url()))

    assert result.body == b"next"


async def test_cancelled_when_the_answer_is_already_there(client):
    """
    The narrowest moment: the answer has been read, and the task has not run yet.
    """
    async with Hostile(sends_in_turn(answer()), sends(answer(200, b"next"))) as server:
        await client.send(a_call(server.url()))
        (connection,) = client._pool._open
        task = asyncio.create_task(client.send(a_call(server.url(), timeout=LONG)))
        await asyncio.sleep(0)
        connection.data_received(answer(200, b"too late"))

        assert await cancelled(task)
        await server.gone.wait()
        result = await client.send(a_call(server.url()))

    assert result.body == b"next"


async def test_cancelled_over_tls(open_http_client):
    """
    The same, through another layer of buffers.
    """
    authority = Authority()
    async with SecureServer(authority.server_context("127.0.0.1"), b"") as server:
        client = open_http_client(ssl_context=authority.client_context())
        task = asyncio.create_task(client.send(a_call(server.url(), timeout=LONG)))
        await server.heard.wait()

        assert await cancelled(task)
    assert repr(client).endswith("idle 0]>")
