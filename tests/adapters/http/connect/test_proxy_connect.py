"""Calls through proxies: what proxies see, what they may decide, and whose fault is whose."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import pytest

from adapters.http.certificates import EXPIRED, Authority
from adapters.http.hostile import (
    Hostile,
    answer,
    closes_before_reading,
    hangs,
    redirect,
    refusing_port,
    repeats,
    sends,
    sends_then_closes,
)
from adapters.http.names import ALLOW_LOOPBACK, Names, Silence, a_call, failure_of
from adapters.http.proxies import OPEN, Proxy
from adapters.http.secure import SecureServer
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.calls.request import Response, Route, Stage
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile, parse_allow
from outrider.domain.net.proxy import parse_proxy
from outrider.domain.outcome import Outcome

AUTHORITY = Authority()


def through(proxy_url: str, url: str, **changes):
    return a_call(url, route=Route(proxy_url=proxy_url), **changes)


async def read_connect(peer) -> None:
    """Read the head of a CONNECT request."""
    while b"\r\n\r\n" not in peer.unread:
        await peer.receive()
    peer.unread = b""


def answers_connect(*parts: bytes, closes: bool = True):
    async def script(peer):
        await read_connect(peer)
        await peer.say(*parts)
        if not closes:
            await peer.until_gone()

    return script


def after_connect(script):
    """The script, for a peer whose CONNECT has no body that `request` could wait for."""

    async def heard(peer):
        await read_connect(peer)
        peer.unread = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
        await script(peer)

    return heard


@pytest.mark.parametrize("is_proxy_secure", [False, True], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("is_target_secure", [False, True], ids=["http target", "https target"])
async def test_a_call_goes_through_the_proxy(open_http_client, is_proxy_secure, is_target_secure):
    """
    Many networks have no other exit, and TLS inside of TLS is the hard corner of it.
    """
    client = open_http_client(ssl_context=AUTHORITY.client_context())
    context = AUTHORITY.server_context("127.0.0.1") if is_proxy_secure else None
    target = (
        SecureServer(AUTHORITY.server_context("127.0.0.1"), answer(200, bytes(300_000)))
        if is_target_secure
        else Hostile(sends(answer(200, bytes(300_000))))
    )
    async with Proxy(context) as proxy, target:
        call = through(proxy.url(), target.url(), body=bytes(500_000))
        answers = [await client.send(call) for _ in range(2)]

    assert [len(response.body) for response in answers] == [300_000] * 2
    assert [f"CONNECT 127.0.0.1:{target.port} HTTP/1.1"] == proxy.asked
    assert target.connections == 1


async def test_a_proxy_learns_where_and_who_and_nothing_else(client):
    """
    Payloads, signatures and the target's own headers are for the target.
    """
    async with Proxy() as proxy, Hostile(sends(answer())) as target:
        await client.send(through(proxy.url("us%20er:p%40ss@"), target.url("/secret")))

    (request,) = target.requests
    credentials = b64encode(b"us er:p@ss").decode()
    assert [
        f"Host: 127.0.0.1:{target.port}",
        f"Proxy-Authorization: Basic {credentials}",
    ] == proxy.headers[0]
    assert request.line == "POST /secret HTTP/1.1"
    assert request.all("Proxy-Authorization") == []


async def test_the_proxy_resolves_what_we_cannot(open_http_client):
    """
    Inside some networks only the proxy knows the names of the internet.
    """
    client = open_http_client(resolver=Names())
    async with Proxy() as proxy, Hostile(sends(answer())) as target:
        await client.send(through(proxy.url(), target.url(host="hooks.example.")))

    assert [f"CONNECT hooks.example:{target.port} HTTP/1.1"] == proxy.asked
    assert target.requests[0].header("Host") == f"hooks.example:{target.port}"


async def test_a_name_server_that_hangs_does_not_hold_what_the_proxy_resolves(open_http_client):
    """
    The same where questions to name servers are dropped instead of refused.
    """
    client = open_http_client(resolver=Silence(), limits=ClientLimits(beyond_proxy=0.05))
    async with Proxy() as proxy, Hostile(sends(answer())) as target:
        result = await client.send(through(proxy.url(), target.url(host="hooks.example")))

    assert result.status == 200


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("10.0.0.7", "10.0.0.7 is private"),
        ("0xa.7", "10.0.0.7 is private"),
        ("[::ffff:169.254.169.254]", "169.254.169.254 is a cloud metadata address"),
        ("inside.example", "10.0.0.7 is private"),
        ("mixed.example", "10.0.0.7 is private"),
    ],
)
async def test_a_proxy_does_not_open_the_network(open_http_client, host, reason):
    """
    A proxy stands inside, so what is blocked without one is blocked with one.
    """
    names = Names(inside_example="10.0.0.7", mixed_example="8.8.8.8 10.0.0.7")
    client = open_http_client(resolver=names)
    async with Proxy() as proxy:
        failed = await failure_of(client, through(proxy.url(), f"http://{host}/"))

    assert (Outcome.BLOCKED, Stage.GUARD) == (failed.outcome, failed.stage)
    assert failed.reason.startswith(reason)
    assert proxy.asked == []


async def test_a_redirect_inwards_is_blocked_through_a_proxy_too(client):
    """
    Every hop is checked, also behind a proxy.
    """
    async with Proxy() as proxy, Hostile(sends(redirect("http://10.0.0.7/"))) as target:
        failed = await failure_of(client, through(proxy.url(), target.url()))

    assert (Outcome.BLOCKED, Stage.GUARD) == (failed.outcome, failed.stage)
    assert len(proxy.asked) == 1


async def test_an_allowed_name_is_not_looked_up(open_http_client):
    """
    The operator vouched for it, wherever it leads.
    """
    names = Names(hooks_internal="10.0.0.7")
    client = open_http_client(
        EgressPolicy(allow=parse_allow("127.0.0.1, hooks.internal")), resolver=names
    )
    async with Proxy() as proxy, Hostile(sends(answer())) as target:
        await client.send(through(proxy.url(), target.url(host="hooks.internal")))

    assert names.lookups == []


async def test_a_targets_proxy_is_checked_like_a_target(open_http_client):
    """
    Else a policy would open every port inside with a CONNECT.
    """
    client = open_http_client(EgressPolicy(), resolver=Names(proxy_example="127.0.0.1"))
    async with Proxy() as proxy:
        by_address = await failure_of(client, through(proxy.url(), "http://8.8.8.8/"))
        by_name = through(proxy.url(host="proxy.example"), "http://8.8.8.8/")
        named = await failure_of(client, by_name)

    for failed in (by_address, named):
        assert (Outcome.BLOCKED, Stage.PROXY) == (failed.outcome, failed.stage)
        assert failed.reason.startswith("proxy: 127.0.0.1 is loopback; allow it with ")
    assert proxy.asked == []


async def test_the_servers_own_proxy_needs_no_entry(open_http_client):
    """
    Who operates the server named it; an entry would open its address to every target.
    """
    async with Proxy() as proxy:
        client = open_http_client(
            EgressPolicy(), proxy=parse_proxy(proxy.url()), limits=ClientLimits(tunnel=0.05)
        )
        await failure_of(client, a_call("http://8.8.8.8:1/"))
        blocked = await failure_of(client, a_call(f"http://127.0.0.1:{proxy.port}/"))

    assert proxy.asked == ["CONNECT 8.8.8.8:1 HTTP/1.1"]
    assert blocked.outcome == Outcome.BLOCKED


async def test_a_targets_proxy_takes_the_place_of_the_servers(open_http_client):
    """
    One of two proxies, never both.
    """
    async with Proxy() as servers, Proxy() as targets, Hostile(sends(answer())) as target:
        client = open_http_client(proxy=parse_proxy(servers.url()))
        await client.send(through(targets.url(), target.url()))
        await client.send(a_call(target.url()))
        await client.get(target.url(), 10.0)

    assert len(targets.asked) == 1
    assert len(servers.asked) == 1
    assert target.connections == 2


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(
            closes_before_reading, "connection closed before it answered", id="closes at once"
        ),
        pytest.param(
            answers_connect(), "connection closed before it answered", id="closes without a word"
        ),
        pytest.param(
            answers_connect(OPEN[:20]), "connection closed before it answered", id="half an answer"
        ),
        pytest.param(
            answers_connect(answer(407, b"who?", ("Proxy-Authenticate", "Basic"))),
            "it answered 407 to CONNECT",
            id="wants a password",
        ),
        pytest.param(answers_connect(answer(502)), "it answered 502 to CONNECT", id="bad gateway"),
        pytest.param(
            answers_connect(b"HTTP/1.0 301 Moved\r\nLocation: /\r\n\r\n"),
            "it answered 301 to CONNECT",
            id="redirects",
        ),
        pytest.param(
            answers_connect(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "its answer is not HTTP", id="ssh"
        ),
        pytest.param(
            answers_connect(b"HTTP/1.1 2000 OK\r\n\r\n"), "its answer is not HTTP", id="no status"
        ),
        pytest.param(
            answers_connect(OPEN + answer(200, b"forged")),
            "bytes after its answer",
            id="answers in the target's place",
        ),
        pytest.param(
            after_connect(
                repeats(b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 1000 + b"\r\n", times=70)
            ),
            "its answer is larger than 64 KiB",
            id="endless head",
        ),
        pytest.param(
            after_connect(repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", times=3000)),
            "its answer is larger than 64 KiB",
            id="interim answers without an end",
        ),
        pytest.param(after_connect(hangs), "no answer to CONNECT within 0.2 s", id="hangs"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_fault_of_the_proxy_is_not_the_targets(open_http_client, script, reason, scheme):
    """
    A breaker that opens for a target because a proxy is down would punish the wrong one.
    """
    client = open_http_client(limits=ClientLimits(tunnel=0.2))
    async with Hostile(script) as proxy:
        call = through(f"http://127.0.0.1:{proxy.port}", f"{scheme}://8.8.8.8:81/")
        failed = await failure_of(client, call)

    assert (Outcome.UNREACHABLE, Stage.PROXY) == (failed.outcome, failed.stage)
    assert f"proxy: {reason}" == failed.reason
    assert not failed.stage.concerns_target
    assert repr(client).endswith("[busy 0 | idle 0]>")


async def test_only_the_proxys_faults_are_taken_from_the_target():
    """
    Everything else may be the target's.
    """
    assert {Stage.PROXY} == {stage for stage in Stage if not stage.concerns_target}


async def test_interim_answers_of_a_proxy_are_passed_over(client):
    """
    RFC 9110 allows them before every answer.
    """
    opens_with = b"HTTP/1.1 100 Continue\r\n\r\n" + OPEN
    target = Hostile(sends(answer(200, b"there")))
    async with Proxy(opens_with=opens_with) as proxy, target:
        result = await client.send(through(proxy.url(), target.url()))

    assert result.body == b"there"


async def test_a_proxy_that_refuses_or_has_no_address_says_so(open_http_client):
    """
    The sentence names the proxy, for the operator who looks after it.
    """
    client = open_http_client(resolver=Names())
    with refusing_port() as port:
        refused = await failure_of(client, through(f"http://127.0.0.1:{port}", "http://8.8.8.8/"))
    unknown = await failure_of(client, through("http://proxy.example", "http://8.8.8.8/"))

    expected = f"proxy: cannot connect to 127.0.0.1 port {port}: connection refused"
    assert (Stage.PROXY, expected) == (refused.stage, refused.reason)
    assert (Stage.PROXY, "proxy: cannot resolve proxy.example") == (unknown.stage, unknown.reason)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (
            {"host": "127.0.0.1", "until": EXPIRED},
            "proxy: certificate verify failed: certificate has expired",
        ),
        (
            {"host": "other.example"},
            (
                "proxy: certificate verify failed: IP address mismatch, certificate is not valid "
                "for '127.0.0.1'"
            ),
        ),
    ],
)
async def test_a_proxy_must_prove_who_it_is(open_http_client, certificate, reason):
    """
    Its password goes to it, so it must be the right one.
    """
    client = open_http_client(ssl_context=AUTHORITY.client_context())
    async with Proxy(AUTHORITY.server_context(**certificate)) as proxy:
        failed = await failure_of(client, through(proxy.url("a:b@"), "https://8.8.8.8/"))

    assert (Stage.PROXY, reason) == (failed.stage, failed.reason)
    assert proxy.asked == []


@pytest.mark.parametrize("is_proxy_secure", [False, True], ids=["http proxy", "https proxy"])
async def test_a_target_behind_a_proxy_must_prove_who_it_is(open_http_client, is_proxy_secure):
    """
    A proxy could answer in its place; and this failure is the target's own.
    """
    client = open_http_client(ssl_context=AUTHORITY.client_context())
    context = AUTHORITY.server_context("127.0.0.1") if is_proxy_secure else None
    wrong = SecureServer(AUTHORITY.server_context("127.0.0.1", until=EXPIRED), answer())
    async with Proxy(context) as proxy, wrong:
        failed = await failure_of(client, through(proxy.url(), wrong.url()))

    assert (Outcome.UNREACHABLE, Stage.TLS) == (failed.outcome, failed.stage)
    assert failed.reason == "certificate verify failed: certificate has expired"
    assert failed.stage.concerns_target


async def test_a_tunnel_that_ends_in_the_handshake_is_told(open_http_client):
    """
    Half of all firewalls let CONNECT pass and cut what follows.
    """

    async def cuts(peer):
        await read_connect(peer)
        await peer.say(OPEN)
        await peer.receive()

    client = open_http_client()
    async with Hostile(cuts) as proxy:
        call = through(f"http://127.0.0.1:{proxy.port}", "https://8.8.8.8/")
        failed = await failure_of(client, call)

    assert (Stage.TLS, "TLS handshake failed: connection closed by the peer") == (
        failed.stage,
        failed.reason,
    )


async def test_one_deadline_covers_proxy_and_target(client):
    """
    A proxy must not multiply the time that a call may take.
    """
    async with Hostile(after_connect(hangs)) as proxy:
        call = through(f"http://127.0.0.1:{proxy.port}", "http://8.8.8.8/", timeout=0.2)
        failed = await failure_of(client, call)
        await proxy.gone.wait()

    expected = "time-out after 0.2 s while reaching the target through the proxy"
    assert (Stage.PROXY, expected) == (failed.stage, failed.reason)


async def test_a_cancelled_call_leaves_no_tunnel_behind(client):
    """
    A worker that stops must not leave sockets at the proxy.
    """
    async with Hostile(after_connect(hangs)) as proxy:
        call = through(f"http://127.0.0.1:{proxy.port}", "http://8.8.8.8/")
        waiting = asyncio.create_task(client.send(call))
        await proxy.heard.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        await proxy.gone.wait()

    assert waiting.cancelled()


async def test_a_kept_tunnel_that_was_closed_is_opened_again(client):
    """
    Proxies close quiet tunnels, and the next call must not pay for it.
    """
    async with Proxy() as proxy, Hostile(sends_then_closes(answer(200, b"a"))) as target:
        call = through(proxy.url(), target.url())
        answers = []
        for _ in range(3):
            answers.append(await client.send(call))
            await asyncio.wait(proxy.tunnels)

    assert [response.body for response in answers] == [b"a"] * 3
    assert len(proxy.asked) == 3


async def test_through_another_proxy_is_another_connection(client):
    """
    A target with a proxy must never be served over another's tunnel, nor the other way around.
    """
    async with Proxy() as one, Proxy() as two, Hostile(sends(answer())) as target:
        ways = [through(one.url(), target.url()), through(two.url(), target.url())]
        ways += [through(one.url("a:b@"), target.url()), a_call(target.url())]
        for call in ways * 2:
            await client.send(call)

    assert (len(one.asked), len(two.asked), target.connections) == (2, 1, 4)


async def test_a_proxy_that_cannot_be_one_fails_before_anything_else(client):
    """
    Policies saved under older rules must not come as a surprise, nor show their password.
    """
    failed = await failure_of(client, through("ftp://user:hunter2@proxy/", "http://8.8.8.8/"))

    assert (Outcome.UNREACHABLE, Stage.BUILD) == (failed.outcome, failed.stage)
    assert "the policy's proxy: the URL's scheme is neither http nor https" == failed.reason


async def test_nothing_secret_of_a_proxy_shows(open_http_client):
    """
    Reasons, calls and clients are printed into logs.
    """
    client = open_http_client(EgressPolicy(EgressProfile.DEV))
    with refusing_port() as port:
        call = through(f"http://user:hunter2@127.0.0.1:{port}", "http://8.8.8.8/")
        failed = await failure_of(client, call)

    shown = repr([call, call.route, failed, str(failed), client, parse_proxy(call.route.proxy_url)])
    assert "hunter2" not in shown


async def test_an_http_answer_through_a_tunnel_is_the_targets(open_http_client):
    """
    After the tunnel is open a 502 is the target's own, and charged to it.
    """
    client = open_http_client(ALLOW_LOOPBACK)
    async with Proxy() as proxy, Hostile(sends(answer(502, b"mine"))) as target:
        result = await client.send(through(proxy.url(), target.url()))

    assert Response(502, (("content-length", "4"),), b"mine") == result
