"""Kept connections, watched through the client's `repr`."""

from __future__ import annotations

import asyncio

import pytest

from adapters.http.hostile import (
    Hostile,
    answer,
    hangs,
    sends,
    sends_in_turn,
    sends_then_closes,
    sends_then_resets,
)
from adapters.http.names import a_call, failure_of
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.response import allowed_idle
from outrider.adapters.http.connect.transports import MAX_TRANSPORTS
from outrider.adapters.http.request import MAX_KEPT, destination_of
from outrider.domain.calls.request import DIRECT, Route, Stage


def state(client) -> str:
    return repr(client).removeprefix("<EgressClient strict ").removesuffix(">")


async def test_the_pool_tells_its_story(client):
    """
    One call after the other uses one connection; calls at the same time need one each.
    """
    async with Hostile(sends(answer(200, b"ok"))) as server:
        call = a_call(server.url())
        story = [state(client)]
        await client.send(call)
        story.append(state(client))
        await client.send(call)
        story.append(state(client))
        await asyncio.gather(*[client.send(call) for _ in range(3)])
        story.append(state(client))

    assert story == [
        "[busy 0 | idle 0]",
        "[busy 0 | idle 1]",
        "[busy 0 | idle 1]",
        "[busy 0 | idle 3]",
    ]
    assert server.connections == 3


async def test_a_connection_in_an_exchange_is_busy(client):
    """
    Operators read the print when something hangs.
    """
    async with Hostile(hangs) as server:
        waiting = asyncio.create_task(client.send(a_call(server.url())))
        await server.heard.wait()
        assert state(client) == "[busy 1 | idle 0]"
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_another_origin_gets_another_connection(client):
    """
    An answer of one receiver must never be taken for another's.
    """
    async with Hostile(sends(answer(200, b"a"))) as one, Hostile(sends(answer(200, b"b"))) as two:
        first = await client.send(a_call(one.url()))
        second = await client.send(a_call(two.url()))

    assert (first.body, second.body) == (b"a", b"b")
    assert (one.connections, two.connections) == (1, 1)


async def test_another_path_of_the_same_origin_shares_the_connection(client):
    """
    Ten targets of one receiver are one receiver.
    """
    async with Hostile(sends(answer())) as server:
        for path in ["/a", "/b?c", "/d"]:
            await client.send(a_call(server.url(path)))

    assert server.connections == 1


async def test_an_origin_keeps_no_more_than_its_share(open_http_client):
    """
    A burst at one receiver must not stay open at its cost.
    """
    client = open_http_client(limits=ClientLimits(max_idle_per_origin=2))
    async with Hostile(sends(answer())) as server:
        await asyncio.gather(*[client.send(a_call(server.url())) for _ in range(5)])

        assert state(client).endswith("idle 2]")


async def test_over_the_total_the_one_unused_for_longest_is_closed(open_http_client):
    """
    Many receivers must not use up the process's files.
    """
    client = open_http_client(limits=ClientLimits(max_idle=2))
    async with (
        Hostile(sends_in_turn(answer())) as first,
        Hostile(sends(answer())) as second,
        Hostile(sends(answer())) as third,
    ):
        for server in [first, second, third]:
            await client.send(a_call(server.url()))
        await first.gone.wait()
        for server in [second, third]:
            await client.send(a_call(server.url()))

        assert state(client).endswith("idle 2]")
    assert (second.connections, third.connections) == (1, 1)


async def test_an_unused_connection_is_closed_after_a_while(open_http_client):
    """
    Firewalls forget quiet connections, and the next call would pay for it.
    """
    client = open_http_client(limits=ClientLimits(idle=0.05))
    async with Hostile(sends_in_turn(answer())) as server:
        await client.send(a_call(server.url()))
        await server.gone.wait()

    assert state(client) == "[busy 0 | idle 0]"


async def test_the_time_out_of_the_last_call_does_not_close_an_idle_connection(open_http_client):
    """
    One timer serves both, so a short call must not shorten what comes after it.
    """
    client, clock = open_http_client(), open_http_client(limits=ClientLimits(idle=0.6))
    async with Hostile(sends(answer())) as server, Hostile(sends_in_turn(answer())) as ticking:
        await client.send(a_call(server.url(), timeout=0.5))
        await clock.send(a_call(ticking.url()))
        await ticking.gone.wait()

        assert state(client) == "[busy 0 | idle 1]"


async def test_the_end_of_the_idle_time_does_not_end_a_call(open_http_client):
    """
    The same timer, the other way around: it must not fire into an exchange.
    """
    may_answer = asyncio.Event()

    async def answers_late(peer):
        await peer.request()
        await peer.say(answer())
        await peer.request()
        await may_answer.wait()
        await peer.say(answer(200, b"late"))

    client = open_http_client(limits=ClientLimits(idle=0.05))
    async with Hostile(answers_late) as server, Hostile(sends_in_turn(answer())) as ticking:
        await client.send(a_call(server.url()))
        await client.send(a_call(ticking.url()))
        late = asyncio.create_task(client.send(a_call(server.url())))
        await ticking.gone.wait()
        may_answer.set()
        result = await late

    assert result.body == b"late"
    assert server.connections == 1


async def test_a_connection_the_receiver_closed_is_forgotten(client):
    """
    Receivers close what is idle sooner than we do.
    """
    async with Hostile(sends_then_closes(answer()), sends(answer())) as server:
        await client.send(a_call(server.url()))
        await client.send(a_call(server.url()))

    assert server.connections == 2


async def test_a_connection_that_speaks_out_of_turn_is_closed(client):
    """
    Bytes out of turn would be read as the response to the next call.
    """
    is_idle = asyncio.Event()

    async def speaks_out_of_turn(peer):
        await peer.request()
        await peer.say(answer(200, b"mine"))
        await is_idle.wait()
        await peer.say(answer(200, b"smuggled"))
        await peer.until_gone()

    async with Hostile(speaks_out_of_turn, sends(answer(200, b"right"))) as server:
        first = await client.send(a_call(server.url()))
        is_idle.set()
        await server.gone.wait()
        second = await client.send(a_call(server.url()))

    assert (first.body, second.body) == (b"mine", b"right")


@pytest.mark.parametrize(
    ("announced", "seconds"),
    [
        (None, 4.0),
        ("timeout=5", 4.0),
        ("timeout=5, max=1000", 4.0),
        ('max=10, Timeout = "30"', 29.0),
        ("timeout=2", 1.0),
        ("timeout=1", 0.5),
        ("timeout=0", 0.0),
        ("timeout=300", 50.0),
        (f"timeout={'9' * 5000}", 50.0),
        ("max-timeout=9", 4.0),
        ("timeout=soon", 4.0),
    ],
)
def test_a_connection_is_closed_before_its_receiver_closes_it(announced, seconds):
    """
    A request that meets the receiver's end on the way fails: we have to be first.
    """
    headers = () if announced is None else (("keep-alive", announced),)

    assert seconds == allowed_idle(headers, ClientLimits())


async def test_what_the_receiver_announces_ends_a_connection(client):
    """
    Node says how long it waits; it is believed also when that is less than our own time.
    """
    says_one_second = answer(200, b"", ("Keep-Alive", "timeout=1"))
    async with Hostile(sends_in_turn(says_one_second)) as server:
        await client.send(a_call(server.url()))
        async with asyncio.timeout(3.5):  # ours is 4 s
            await server.gone.wait()

    assert state(client) == "[busy 0 | idle 0]"


async def test_a_fresh_connection_that_dies_is_not_replaced(client):
    """
    It was no race: the receiver took the request and said nothing.
    """
    async with Hostile(sends_then_resets(), sends(answer())) as server:
        failed = await failure_of(client, a_call(server.url()))

    assert failed.stage == Stage.ANSWER
    assert server.connections == 1


async def test_a_kept_connection_that_dies_in_its_answer_is_not_replaced(client):
    """
    The receiver had started to answer, so it had the request.
    """

    async def dies_in_the_second_answer(peer):
        await peer.request()
        await peer.say(answer())
        await peer.request()
        await peer.say(b"HTTP/1.1 200")
        peer.close()

    async with Hostile(dies_in_the_second_answer, sends(answer())) as server:
        await client.send(a_call(server.url()))
        failed = await failure_of(client, a_call(server.url()))

    assert failed.stage == Stage.ANSWER
    assert server.connections == 1


async def test_a_kept_connection_that_hangs_is_not_replaced(client):
    """
    A time-out says nothing about whether the request arrived.
    """
    async with Hostile(sends_in_turn(answer()), sends(answer())) as server:
        await client.send(a_call(server.url()))
        failed = await failure_of(client, a_call(server.url(), timeout=0.3))

    assert failed.reason == "time-out after 0.3 s while waiting for the answer"
    assert server.connections == 1


async def test_closing_closes_everything_and_fails_pending_calls(client):
    """
    A process that stops leaves nothing open and no call waiting.
    """
    async with Hostile(sends(answer())) as one, Hostile(hangs) as two:
        await client.send(a_call(one.url()))
        waiting = asyncio.create_task(failure_of(client, a_call(two.url())))
        await two.heard.wait()
        await client.aclose()
        failed = await waiting

    assert failed.reason == "the client was closed"
    assert state(client) == "[busy 0 | idle 0]"


async def test_closing_twice_or_before_the_first_call_is_fine(open_http_client):
    """
    Stopping must never be the thing that fails.
    """
    client = open_http_client()
    await client.aclose()
    await client.aclose()

    assert state(client) == "[busy 0 | idle 0]"


async def test_what_is_remembered_is_bounded(client):
    """
    A process that runs for months meets more URLs, names and receivers than it may keep.
    """
    default = client._transports.get(DIRECT)
    for number in range(MAX_KEPT + 10):
        destination_of(f"http://hooks-{number}.example/", default)
        client._post_writer.fields(((f"X-{number}", ""),))
    for number in range(MAX_TRANSPORTS + 10):
        client._transports.get(Route(proxy_url=f"http://proxy-{number}.example"))

    assert len(default.destinations) <= MAX_KEPT
    assert len(default._origins) <= MAX_KEPT
    assert len(client._post_writer._defaults_beside) <= MAX_KEPT
    assert MAX_TRANSPORTS == len(client._transports._by_route)
