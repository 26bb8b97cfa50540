"""Redirects: which are followed, how far, and what never goes along."""

from __future__ import annotations

import pytest

from adapters.http.certificates import Authority
from adapters.http.hostile import Hostile, answer, redirect, sends, sends_in_turn
from adapters.http.names import Names, a_call, failure_of
from adapters.http.secure import SecureServer
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.calls.request import Stage
from outrider.domain.outcome import Outcome

HEADERS = (
    ("Zitadel-Signature", "t=1,v1=00"),
    ("Authorization", "Bearer a"),
    ("cookie", "a=b"),
    ("Proxy-Authorization", "c"),
    ("X-Own", "d"),
)


def names_of(request) -> set[str]:
    return {name for name, _ in request.headers} & {name for name, _ in HEADERS}


@pytest.mark.parametrize("status", [307, 308])
async def test_the_redirects_that_keep_the_request_are_followed(client, status):
    """
    A receiver that moved says so, and the delivery goes where it lives now.
    """
    async with Hostile(sends(answer(200, b"here"))) as there, Hostile() as here:
        here.scripts = (sends(redirect(there.url("/new?a=b"), status)),)
        result = await client.send(a_call(here.url(), body=b"payload"))

    (request,) = there.requests
    assert (result.status, result.body) == (200, b"here")
    assert (request.line, request.body) == ("POST /new?a=b HTTP/1.1", b"payload")
    assert f"127.0.0.1:{there.port}" == request.header("Host")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305])
async def test_the_redirects_that_change_the_request_are_answers(client, status):
    """
    A GET without a body delivers nothing, so it must not look like a success.
    """
    headers = ("Location", "/new")
    async with Hostile(sends(answer(status, b"", headers))) as server:
        result = await client.send(a_call(server.url()))

    assert status == result.status
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ("/new", "POST /new HTTP/1.1"),
        ("new?a=b", "POST /old/new?a=b HTTP/1.1"),
        ("../new", "POST /new HTTP/1.1"),
        ("?a=b", "POST /old/hook?a=b HTTP/1.1"),
        ("/new#part", "POST /new HTTP/1.1"),
        ("/n\u00fc", "POST /n%C3%BC HTTP/1.1"),
        ("//127.0.0.1:{port}/new", "POST /new HTTP/1.1"),
    ],
)
async def test_a_relative_location_starts_from_the_url_that_gave_it(client, location, line):
    """
    Most receivers send a path only.
    """
    async with Hostile() as server:
        moved = redirect(location.format(port=server.port))
        server.scripts = (sends_in_turn(moved, answer()),)
        await client.send(a_call(server.url("/old/hook")))

    assert [request.line for request in server.requests] == ["POST /old/hook HTTP/1.1", line]
    assert server.connections == 1


@pytest.mark.parametrize(
    "location",
    [
        "",
        "http://",
        "ftp://127.0.0.1/",
        "http://user@127.0.0.1/",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "http://b\u00fccher.example/",
        "mailto:somebody@example.com",
        "/" + "a" * 9000,
    ],
)
async def test_a_location_that_leads_nowhere_leaves_the_answer_as_it_is(client, location):
    """
    The status tells the operator more than our opinion about the Location.
    """
    async with Hostile(sends(redirect(location))) as server:
        result = await client.send(a_call(server.url()))

    assert (result.status, result.body) == (307, b"elsewhere")


@pytest.mark.parametrize("fields", [(), (("Location", "/a"), ("Location", "/b"))])
async def test_no_location_or_two_leave_the_answer_as_it_is(client, fields):
    """
    Choosing one of two is a guess, and guesses carry a signed body.
    """
    async with Hostile(sends(answer(308, b"elsewhere", *fields))) as server:
        result = await client.send(a_call(server.url()))

    assert (result.status, result.body) == (308, b"elsewhere")


async def test_five_redirects_are_followed(client):
    """
    The documented number itself works.
    """
    async with Hostile() as server:
        hops = [redirect(f"/{hop}") for hop in range(5)]
        server.scripts = (sends_in_turn(*hops, answer(200, b"there")),)
        result = await client.send(a_call(server.url()))

    assert result.body == b"there"
    assert len(server.requests) == 6


async def test_a_loop_of_redirects_ends(client):
    """
    Two receivers that point at each other must not keep a worker busy for ever.
    """
    async with Hostile(sends(redirect("/again"))) as server:
        failed = await failure_of(client, a_call(server.url()))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.ANSWER)
    assert failed.reason == "more than 5 redirects"
    assert len(server.requests) == 6


async def test_all_hops_share_one_deadline(open_http_client):
    """
    A chain of slow hops is how a receiver would multiply its time.
    """

    async def redirects_for_ever(peer):
        while True:
            await peer.request()
            await peer.say(redirect("/again"))

    client = open_http_client(limits=ClientLimits(max_redirects=10**9))
    async with Hostile(redirects_for_ever) as server:
        failed = await failure_of(client, a_call(server.url(), timeout=0.2))

    # Between two hops it may be another stage.
    assert failed.reason.startswith("time-out after 0.2 s while ")


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("http://10.0.0.7/", "10.0.0.7"),
        ("http://169.254.169.254/latest/", "169.254.169.254"),
        ("http://0xa.7/", "10.0.0.7"),
        ("http://inside.example/", "10.0.0.7"),
    ],
)
async def test_a_redirect_to_a_blocked_address_is_blocked(open_http_client, location, address):
    """
    A harmless endpoint that redirects inwards is the classic way in.
    """
    client = open_http_client(resolver=Names(inside_example="10.0.0.7"))
    async with Hostile(sends(redirect(location))) as server:
        failed = await failure_of(client, a_call(server.url()))

    assert (failed.outcome, failed.stage) == (Outcome.BLOCKED, Stage.GUARD)
    assert failed.reason.startswith(f"{address} is ")


async def test_credentials_stay_with_their_server(client):
    """
    An open redirect must not turn into a leaked token; signatures belong to the body.
    """
    async with Hostile(sends(answer())) as there, Hostile(sends(redirect(there.url()))) as here:
        await client.send(a_call(here.url(), headers=HEADERS))

    assert names_of(here.requests[0]) == {name for name, _ in HEADERS}
    assert names_of(there.requests[0]) == {"Zitadel-Signature", "X-Own"}


async def test_credentials_do_not_come_back_on_a_later_hop(client):
    """
    Once another server steered the request, coming home does not make it ours again.
    """
    async with Hostile() as here, Hostile(sends(redirect(here.url("/back")))) as there:
        here.scripts = (sends_in_turn(redirect(there.url()), answer()),)
        await client.send(a_call(here.url(), headers=HEADERS))

    assert names_of(here.requests[1]) == {"Zitadel-Signature", "X-Own"}


async def test_credentials_go_along_on_the_same_server(client):
    """
    A slash at the end is the most usual redirect of all.
    """
    async with Hostile(sends_in_turn(redirect("/hook/"), answer())) as server:
        await client.send(a_call(server.url(), headers=HEADERS))

    assert names_of(server.requests[1]) == {name for name, _ in HEADERS}


async def test_nothing_that_was_encrypted_is_sent_in_the_clear(open_http_client):
    """
    A payload that left under TLS must not end up readable on the way.
    """
    authority = Authority()
    async with Hostile(sends(answer())) as clear:
        moved = redirect(clear.url())
        async with SecureServer(authority.server_context("127.0.0.1"), moved) as secure:
            client = open_http_client(ssl_context=authority.client_context())
            failed = await failure_of(client, a_call(secure.url()))

    assert (failed.outcome, failed.stage) == (Outcome.BLOCKED, Stage.GUARD)
    assert failed.reason == "the redirect leads from https to http"
    assert clear.connections == 0


async def test_from_the_clear_to_tls_is_followed(open_http_client):
    """
    It is what every receiver behind a proxy does with http.
    """
    authority = Authority()
    context = authority.server_context("127.0.0.1")
    async with SecureServer(context, answer(200, b"safe")) as secure, Hostile() as clear:
        clear.scripts = (sends(redirect(secure.url())),)
        client = open_http_client(ssl_context=authority.client_context())
        result = await client.send(a_call(clear.url()))

    assert result.body == b"safe"
