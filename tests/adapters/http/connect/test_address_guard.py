"""The address guard at work: what was checked is what is connected to."""

from __future__ import annotations

import asyncio

import pytest

from adapters.http.hostile import Hostile, answer, sends, sends_then_closes
from adapters.http.names import ALLOW_LOOPBACK, Names, Silence, a_call, failure_of
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile, parse_allow
from outrider.domain.outcome import Outcome

EVERY_TIME = ClientLimits(resolved=0.0)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "http://127.0.0.1/",
            "127.0.0.1 is loopback; allow it with OUTRIDER_EGRESS_ALLOW or the profile dev",
        ),
        (
            "https://hooks.example/",
            "10.0.0.7 is private; allow it with OUTRIDER_EGRESS_ALLOW or the profile cluster",
        ),
        (
            "http://[64:ff9b::a9fe:a9fe]/",
            (
                "64:ff9b::a9fe:a9fe leads to 169.254.169.254, "
                "which is a cloud metadata address; allow it with OUTRIDER_EGRESS_ALLOW"
            ),
        ),
    ],
)
async def test_a_blocked_address_is_never_connected_to(open_http_client, url, reason):
    """
    The sentence is what the operator gets, so it says what to do.
    """
    client = open_http_client(EgressPolicy(), resolver=Names(hooks_example="10.0.0.7"))
    failed = await failure_of(client, a_call(url))

    assert (failed.outcome, failed.stage) == (Outcome.BLOCKED, Stage.GUARD)
    assert reason == failed.reason


async def test_of_many_addresses_only_the_allowed_are_tried(open_http_client):
    """
    A name with a public and a private address is how an attacker makes a guard look away.
    """
    async with Hostile(sends(answer())) as server, Hostile(sends(answer()), host="127.0.0.2") as no:
        client = open_http_client(
            EgressPolicy(allow=parse_allow("127.0.0.1")),
            resolver=Names(hooks_example="10.0.0.7 127.0.0.2 127.0.0.1"),
        )
        await client.send(a_call(server.url(host="hooks.example")))

    assert (server.connections, no.connections) == (1, 0)


async def test_a_name_that_turns_inwards_is_caught_at_the_next_connection(open_http_client):
    """
    DNS rebinding: harmless when it is checked, private when it is used.
    """
    names = Names(hooks_example=["127.0.0.1", "10.0.0.7"])
    client = open_http_client(limits=EVERY_TIME, resolver=names)
    async with Hostile(sends_then_closes(answer(200, b"", ("Connection", "close")))) as server:
        call = a_call(server.url(host="hooks.example"))
        await client.send(call)
        failed = await failure_of(client, call)

    assert (failed.outcome, failed.stage) == (Outcome.BLOCKED, Stage.GUARD)
    assert names.lookups == ["hooks.example"] * 2
    assert server.connections == 1


async def test_a_name_is_resolved_once_for_a_connection(open_http_client):
    """
    The address that was checked is the one that is used: there is no second lookup to differ.
    """
    names = Names(hooks_example=["127.0.0.1", "10.0.0.7"])
    client = open_http_client(limits=EVERY_TIME, resolver=names)
    async with Hostile(sends(answer())) as server:
        for _ in range(3):
            await client.send(a_call(server.url(host="hooks.example")))

    assert names.lookups == ["hooks.example"]
    assert server.connections == 1


async def test_what_was_resolved_serves_for_a_moment(open_http_client):
    """
    A burst of new connections must not become a burst of lookups.
    """
    names = Names(hooks_example="127.0.0.1")
    client = open_http_client(resolver=names)
    async with Hostile(sends(answer(200, b"", ("Connection", "close")))) as server:
        for _ in range(3):
            await client.send(a_call(server.url(host="hooks.example")))

    assert names.lookups == ["hooks.example"]
    assert server.connections == 3


async def test_calls_at_the_same_time_share_a_lookup(open_http_client):
    """
    A name server that hangs must hold one thread, not one for each call.
    """
    names = Names(hooks_example="127.0.0.1")
    client = open_http_client(limits=EVERY_TIME, resolver=names)
    async with Hostile(sends(answer())) as server:
        call = a_call(server.url(host="hooks.example"))
        await asyncio.gather(*[client.send(call) for _ in range(10)])

    assert names.lookups == ["hooks.example"]
    assert server.connections == 10


async def test_a_call_that_gives_up_a_shared_lookup_does_not_end_it_for_others(open_http_client):
    """
    One impatient call must not fail the others that wait for the same name.
    """
    asked, may_answer = asyncio.Event(), asyncio.Event()

    class SlowNames(Names):
        async def resolve(self, host):
            asked.set()
            await may_answer.wait()
            return await super().resolve(host)

    client = open_http_client(resolver=SlowNames(hooks_example="127.0.0.1"))
    async with Hostile(sends(answer())) as server:
        call = a_call(server.url(host="hooks.example"))
        impatient = asyncio.create_task(client.send(call))
        patient = asyncio.create_task(client.send(call))
        await asked.wait()
        impatient.cancel()
        await asyncio.wait([impatient])
        may_answer.set()
        result = await patient

    assert impatient.cancelled()
    assert result.status == 200


async def test_an_allowed_name_may_lead_anywhere(open_http_client):
    """
    It is how one service inside is opened without opening its whole network.
    """
    client = open_http_client(
        EgressPolicy(allow=parse_allow("hooks.internal")),
        resolver=Names(hooks_internal="127.0.0.1", other_internal="127.0.0.1"),
    )
    async with Hostile(sends(answer())) as server:
        await client.send(a_call(server.url(host="hooks.internal")))
        failed = await failure_of(client, a_call(server.url(host="other.internal")))

    assert failed.outcome == Outcome.BLOCKED
    assert server.connections == 1


async def test_an_allowed_name_does_not_vouch_for_another_on_the_same_address(open_http_client):
    """
    Connections are kept by name, so one name's trust must not open another.
    """
    client = open_http_client(
        EgressPolicy(allow=parse_allow("hooks.internal")),
        resolver=Names(hooks_internal="127.0.0.1"),
    )
    async with Hostile(sends(answer())) as server:
        await client.send(a_call(server.url(host="hooks.internal")))
        failed = await failure_of(client, a_call(server.url()))

    assert (failed.outcome, failed.stage) == (Outcome.BLOCKED, Stage.GUARD)


async def test_a_rooted_name_is_resolved_as_it_is_written(open_http_client):
    """
    In a cluster the dot keeps the resolver from trying five search domains first.
    """
    names = Names(**{"hooks.example.": "127.0.0.1"})
    client = open_http_client(resolver=names)
    async with Hostile(sends(answer())) as server:
        await client.send(a_call(server.url(host="hooks.example.")))

    assert names.lookups == ["hooks.example."]
    assert server.requests[0].header("Host") == f"hooks.example:{server.port}"


async def test_closing_ends_the_lookups_in_progress(open_http_client):
    """
    A name server that hangs must not keep the process from stopping.
    """
    silence = Silence()
    client = open_http_client(ALLOW_LOOPBACK, resolver=silence)
    waiting = asyncio.create_task(client.send(a_call("http://hooks.example/")))
    await silence.asked.wait()
    await client.aclose()
    with pytest.raises(RequestError) as failed:
        await waiting

    assert (failed.value.stage, failed.value.reason) == (Stage.RESOLVE, "the client was closed")


async def test_a_mapped_address_is_connected_to_as_what_it_is(open_http_client):
    """
    Some resolvers answer with IPv4-mapped addresses on machines without IPv6.
    """
    client = open_http_client(
        EgressPolicy(EgressProfile.DEV), resolver=Names(hooks_example="::ffff:127.0.0.1")
    )
    async with Hostile(sends(answer())) as server:
        result = await client.send(a_call(server.url(host="hooks.example")))

    assert result.status == 200
