"""The caller has gone, in each stage: nothing is left of the call, and the next one works."""

from __future__ import annotations

import asyncio

import pytest

from adapters.http.hostile import Hostile, answer, hangs, never_reads, sends, silent_port
from adapters.http.names import Names, Silence
from adapters.http.secure import SecureServer
from outrider.domain.targets.target import TargetType
from outrider.testing.receiver import Receiver
from usecases.interception.harness import KINDS, Harness, authority, call_target, open_harness


async def cancelled(harness: Harness, task: asyncio.Task) -> None:
    """Cancel a run; afterwards nothing of it may be there."""
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(harness.bulkheads) == 0


async def alone() -> bool:
    """Whether no task is left but the test's own, once the loop has run what is ready."""
    for _ in range(20):
        await asyncio.sleep(0)
    return asyncio.all_tasks() == {asyncio.current_task()}


async def works(harness: Harness, kind: str) -> bool:
    """Whether the next call does."""
    async with Receiver() as receiver:
        await harness.bind(kind, call_target(receiver.url, "901"))
        done = await harness.run(kind)
    return ["ACCEPTED"] == [call.outcome.name for call in done.calls]


for_every_kind = pytest.mark.parametrize("kind", KINDS)


@for_every_kind
async def test_while_waiting_for_a_permit(harness, kind):
    """
    A call that waits no longer is not in the way of those that do.
    """
    async with Hostile(hangs, sends(answer())) as server:
        await harness.bind(kind, call_target(server.url(), seconds=30))
        await harness.policy("101", max_concurrency=1)
        first = asyncio.create_task(harness.run(kind))
        await server.heard.wait()
        second, third = (asyncio.create_task(harness.run(kind)) for _ in range(2))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        assert len(harness.bulkheads) == 1
        first.cancel()
        done = await third

        assert ["ACCEPTED"] == [call.outcome.name for call in done.calls]
    await asyncio.wait([first])
    assert first.cancelled()
    assert second.cancelled()
    assert len(harness.bulkheads) == 0


@for_every_kind
async def test_while_resolving(kind):
    """
    The name server hangs; the lookup is shared with others, and ends with the HTTP client.
    """
    silence = Silence()
    async with open_harness(resolver=silence) as harness:
        await harness.bind(kind, call_target("http://hooks.example/hook"))
        task = asyncio.create_task(harness.run(kind))
        await silence.asked.wait()

        await cancelled(harness, task)
        assert await works(harness, kind)
    assert await alone()


@for_every_kind
async def test_while_connecting(kind):
    """
    No attempt continues alone.
    """
    resolved = asyncio.Event()

    class Telling(Names):
        async def resolve(self, host):
            resolved.set()
            return await super().resolve(host)

    with silent_port() as port:
        async with open_harness(resolver=Telling(hooks_example="127.0.0.1")) as harness:
            await harness.bind(kind, call_target(f"http://hooks.example:{port}/hook"))
            task = asyncio.create_task(harness.run(kind))
            await resolved.wait()
            assert not await alone()

            await cancelled(harness, task)
            assert await alone()
            assert await works(harness, kind)


@for_every_kind
async def test_in_the_handshake(harness, kind):
    """
    The half-made connection is closed towards the receiver, too.
    """

    async def swallows(peer) -> None:
        await peer.receive()
        peer.server.heard.set()
        await peer.until_gone()

    async with Hostile(swallows) as server:
        await harness.bind(kind, call_target(server.url().replace("http:", "https:")))
        task = asyncio.create_task(harness.run(kind))
        await server.heard.wait()

        await cancelled(harness, task)
        await server.gone.wait()
    assert await works(harness, kind)


@for_every_kind
async def test_while_sending(harness, kind):
    """
    Megabytes wait in the buffer.
    """
    async with Hostile(never_reads) as server:
        await harness.bind(kind, call_target(server.url()))
        task = asyncio.create_task(harness.run(kind, {"a": "x" * 2**23}))
        await server.accepted.wait()

        await cancelled(harness, task)
    assert await works(harness, kind)


@for_every_kind
async def test_while_waiting_for_the_response(harness, kind):
    """
    The connection is closed: no later call may get what still comes.
    """
    async with Hostile(hangs) as server:
        await harness.bind(kind, call_target(server.url()))
        task = asyncio.create_task(harness.run(kind))
        await server.heard.wait()

        await cancelled(harness, task)
        await server.gone.wait()
    assert await works(harness, kind)


@for_every_kind
async def test_over_tls(harness, kind):
    """
    The same through another layer of buffers.
    """
    async with SecureServer(authority().server_context("127.0.0.1"), b"") as server:
        await harness.bind(kind, call_target(server.url()))
        task = asyncio.create_task(harness.run(kind))
        await server.heard.wait()

        await cancelled(harness, task)
    assert await works(harness, kind)


@for_every_kind
async def test_between_two_targets(harness, kind):
    """
    The first has answered, and the second is never called.
    """
    async with Receiver() as first, Receiver() as second:
        await harness.bind(kind, call_target(first.url, "101"), call_target(second.url, "102"))
        running: list[asyncio.Task] = []

        def goes_away(event: str, /, **fields: object) -> None:
            running[0].cancel()

        # The log line of a call is the last that happens before the next target's turn.
        harness.log.debug = goes_away
        running.append(asyncio.create_task(harness.run(kind)))
        await asyncio.wait(running)

        assert running[0].cancelled()
        assert (1, 0) == (len(first.calls), len(second.calls))
        assert len(harness.bulkheads) == 0
        del harness.log.debug
    assert await works(harness, kind)


async def test_an_asynchronous_call_is_delivered_all_the_same(harness):
    """
    It was the target's turn when the caller was still there.
    """
    async with Hostile(hangs) as server:
        asynchronous = call_target("http://hooks.example/", "101", type=TargetType.REST_ASYNC)
        await harness.bind("request", asynchronous, call_target(server.url(), "102"))
        task = asyncio.create_task(harness.run("request"))
        await server.heard.wait()
        await cancelled(harness, task)
    await harness.enqueuer.aclose()

    assert await harness.store.read(lambda unit: unit.deliveries.next_due()) is not None
