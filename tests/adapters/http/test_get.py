"""Reading documents: a GET goes through the same checks as a delivery."""

from __future__ import annotations

import pytest

from adapters.http.hostile import Hostile, answer, redirect, sends, sends_then_closes
from adapters.http.names import a_call
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.net.egress_policy import EgressPolicy
from outrider.domain.outcome import Outcome

DOCUMENT = answer(200, b'{"keys": []}')


async def test_a_get_has_no_content_and_announces_none(client):
    """
    Some servers refuse a GET with a Content-Length, even of nothing.
    """
    async with Hostile(sends(DOCUMENT)) as server:
        result = await client.get(server.url("/keys?a=b"), 10.0)

    (request,) = server.requests
    assert (200, b'{"keys": []}') == (result.status, result.body)
    assert request.line == "GET /keys?a=b HTTP/1.1"
    assert request.headers == (
        ("Host", f"127.0.0.1:{server.port}"),
        ("User-Agent", "outrider/test"),
        ("Accept", "*/*"),
    )


async def test_a_get_and_a_post_do_not_mix_up_their_destinations(client):
    """
    Destinations are remembered by their URL.
    """
    async with Hostile(sends(DOCUMENT)) as server:
        for _ in range(2):
            await client.get(server.url(), 10.0)
            await client.send(a_call(server.url()))

    assert [request.line.split()[0] for request in server.requests] == ["GET", "POST"] * 2
    assert server.connections == 1


async def test_a_get_follows_a_redirect_with_a_get(client):
    """
    And the redirects that a delivery does not follow, it does not follow either.
    """
    async with Hostile(sends(DOCUMENT)) as there, Hostile() as here:
        here.scripts = (
            sends_then_closes(redirect(there.url("/new"))),
            sends(redirect(there.url("/new"), 302)),
        )
        followed = await client.get(here.url(), 10.0)
        answered = await client.get(here.url(), 10.0)

    assert (200, 302) == (followed.status, answered.status)
    assert ["GET /new HTTP/1.1"] == [request.line for request in there.requests]


async def test_a_get_may_go_no_further_than_a_delivery(open_http_client):
    """
    Another server's discovery document tells where the keys are.
    """
    async with Hostile(sends(DOCUMENT)) as server:
        with pytest.raises(RequestError) as failed:
            await open_http_client(EgressPolicy()).get(server.url(), 10.0)

    assert (Outcome.BLOCKED, Stage.GUARD) == (failed.value.outcome, failed.value.stage)
    assert 0 == server.connections


async def test_a_get_has_the_limits_of_its_client(open_http_client):
    """
    A reader of small documents sets its own limit.
    """
    async with Hostile(sends(answer(200, bytes(2**20 + 1)))) as server:
        with pytest.raises(RequestError, match="answer larger than 1 MiB"):
            await open_http_client(limits=ClientLimits(max_body_bytes=2**20)).get(
                server.url(), 10.0
            )
