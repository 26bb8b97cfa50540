"""One call: what goes over the wire, and how each stage can fail."""

from __future__ import annotations

import asyncio
import socket

import pytest

from adapters.http.hostile import (
    Hostile,
    answer,
    chunked,
    closes_before_reading,
    drips,
    hangs,
    never_reads,
    refusing_port,
    repeats,
    resets_before_reading,
    sends,
    sends_then_closes,
    sends_then_resets,
    silent_port,
)
from adapters.http.names import ALLOW_LOOPBACK, Names, Silence, a_call, failure_of
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.calls.request import Response, Stage
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile
from outrider.domain.outcome import Outcome

HEAD = b"HTTP/1.1 200 OK\r\n"
PERHAPS_PROCESSED = (
    "the connection was closed after the request was sent; the receiver may have processed it"
)
LARGE = bytes(8 * 1024 * 1024)  # more than two socket buffers hold


async def test_a_call_brings_back_the_answer(client):
    """
    The whole point, once around.
    """
    async with Hostile(sends(answer(201, b'{"a": 1}', ("X-Name", "value")))) as server:
        result = await client.send(a_call(server.url(), body=b'{"b": 2}'))

    assert Response(201, (("content-length", "8"), ("x-name", "value")), b'{"a": 1}') == result
    assert server.requests[0].body == b'{"b": 2}'


async def test_a_request_says_what_the_contract_says(client):
    """
    Receivers read these headers, and proxies on the way read the others.
    """
    headers = (("Content-Type", "application/json"), ("webhook-id", "4711"))
    async with Hostile(sends(answer())) as server:
        await client.send(a_call(server.url("/hook?a=b"), headers=headers, body=b"12345"))

    (request,) = server.requests
    assert request.line == "POST /hook?a=b HTTP/1.1"
    assert request.headers == (
        ("Host", f"127.0.0.1:{server.port}"),
        ("User-Agent", "outrider/test"),
        ("Accept", "*/*"),
        ("Content-Type", "application/json"),
        ("webhook-id", "4711"),
        ("Content-Length", "5"),
    )


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", "POST / HTTP/1.1"),
        ("?a", "POST /?a HTTP/1.1"),
        ("/a/../b//c;d?e=%41&f", "POST /a/../b//c;d?e=%41&f HTTP/1.1"),
        ("/\u00e4 \u20ac?\u00e4=\u20ac", "POST /%C3%A4%20%E2%82%AC?%C3%A4=%E2%82%AC HTTP/1.1"),
    ],
)
async def test_path_and_query_are_sent_as_they_are_written(client, path, line):
    """
    Receivers may sign or route by the exact target; only what HTTP forbids is encoded.
    """
    async with Hostile(sends(answer())) as server:
        await client.send(a_call(server.url(path)))

    assert line == server.requests[0].line


async def test_a_given_user_agent_takes_the_place_of_ours(client):
    """
    Some firewalls want a certain one, and two of them are an error.
    """
    async with Hostile(sends(answer())) as server:
        await client.send(a_call(server.url(), headers=(("user-agent", "mine"),)))

    assert server.requests[0].all("User-Agent") == ["mine"]
    assert server.requests[0].all("Accept") == ["*/*"]


async def test_header_values_are_sent_in_utf_8(client):
    """
    What people write into a target's headers arrives as they wrote it.
    """
    async with Hostile(sends(answer())) as server:
        await client.send(a_call(server.url(), headers=(("X-Name", "J\u00fcrgen"),)))

    assert server.requests[0].header("X-Name") == "J\u00fcrgen"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (("X-Name", "a\r\nX-Evil: b"), "a header value contains a line end or NUL"),
        (("X-Name", "a\nb"), "a header value contains a line end or NUL"),
        (("X-Name", "a\rb"), "a header value contains a line end or NUL"),
        (("X-Name", "a\0b"), "a header value contains a line end or NUL"),
        (("X-Name", "a\r\n"), "a header value contains a line end or NUL"),
        (("X-Name", "\ud800"), "a header value is not valid text"),
        (("X-Name\r\nX-Evil", "a"), "a header name contains a character it may not"),
        (("X Name", "a"), "a header name contains a character it may not"),
        (("X-Name:", "a"), "a header name contains a character it may not"),
        (("", "a"), "a header name contains a character it may not"),
        (("X-N\u00e4me", "a"), "a header name contains a character it may not"),
        (("Content-Length", "5"), "the header Content-Length cannot be given"),
        (("transfer-encoding", "chunked"), "the header transfer-encoding cannot be given"),
        (("HOST", "evil.example"), "the header HOST cannot be given"),
        (("Connection", "upgrade"), "the header Connection cannot be given"),
    ],
)
async def test_a_header_cannot_write_more_than_itself(client, header, reason):
    """
    Header values come from people; one that ends its line writes the next one.
    """
    call = a_call("http://127.0.0.1:1/", headers=(("X-First", "a"), header))
    failed = await failure_of(client, call)

    assert (Outcome.UNREACHABLE, Stage.BUILD, reason) == (
        failed.outcome,
        failed.stage,
        failed.reason,
    )


async def test_a_url_that_cannot_be_called_fails_before_anything_else(client):
    """
    URLs saved under older rules must not come as a surprise.
    """
    failed = await failure_of(client, a_call("ftp://hooks.example/"))

    assert failed.stage == Stage.BUILD
    assert failed.reason == "the URL's scheme is neither http nor https"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(sends(chunked(b"he", b"llo")), id="in chunks"),
        pytest.param(drips(answer(200, b"hello")), id="one byte at a time"),
        pytest.param(sends_then_closes(HEAD + b"\r\nhello"), id="until the connection closes"),
        pytest.param(sends_then_closes(answer(200, b"hello")), id="then closed"),
        pytest.param(
            sends(
                b"HTTP/1.1 100 Continue\r\n\r\n",
                b"HTTP/1.1 103 Early\r\n\r\n",
                answer(200, b"hello"),
            ),
            id="after interim answers",
        ),
        pytest.param(sends(answer(200, b"hello") + b"garbage"), id="more than it announced"),
    ],
)
async def test_an_answer_that_can_be_understood_is_taken(client, script):
    """
    Receivers are written in everything, and most of it is not tidy.
    """
    async with Hostile(script) as server:
        result = await client.send(a_call(server.url()))

    assert result.body == b"hello"


async def test_a_compressed_answer_is_left_as_it_is(client):
    """
    We ask for none, and unpacking what comes anyway is how bombs go off.
    """
    packed = b"\x1f\x8b not really"
    async with Hostile(sends(answer(200, packed, ("Content-Encoding", "gzip")))) as server:
        result = await client.send(a_call(server.url()))

    assert packed == result.body
    assert server.requests[0].all("Accept-Encoding") == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(
            resets_before_reading,
            PERHAPS_PROCESSED,
            id="resets at the first byte",
        ),
        pytest.param(sends_then_closes(), PERHAPS_PROCESSED, id="no answer"),
        pytest.param(
            sends_then_resets(HEAD),
            "connection closed before the answer was complete",
            id="reset in the head",
        ),
        pytest.param(
            sends_then_closes(HEAD + b"Content-Length: 9\r\n\r\nhello"),
            "connection closed in the middle of the answer's body, after 5 of 9 bytes",
            id="less than announced",
        ),
        pytest.param(
            sends_then_closes(chunked(b"hello", end=b"")),
            "connection closed in the middle of the answer's body, after 5 bytes",
            id="chunks without an end",
        ),
        pytest.param(
            sends_then_closes(chunked(b"hello", end=b"zz\r\n")),
            "answer is not valid HTTP: the size of a chunk is 'zz'",
            id="bad chunk",
        ),
        pytest.param(
            sends_then_closes(b"SSH-2.0-OpenSSH_9.6\r\n"),
            "answer is not HTTP: it begins with 'SSH-2.0-OpenSSH_9.6\\r\\n'; that is an SSH server:"
            " check the port of the endpoint",
            id="not HTTP",
        ),
        pytest.param(
            repeats(HEAD, b"X-Endless: " + b"a" * 1000 + b"\r\n", times=70),
            "answer with a head larger than 64 KiB",
            id="endless head",
        ),
        pytest.param(
            repeats(HEAD, b"A: b\r\n", times=201),
            "time-out after 0.3 s while waiting for the answer",
            id="a head that never ends",
        ),
        pytest.param(
            sends(HEAD + b"A: b\r\n" * 201 + b"\r\n"),
            "answer with more than 200 header fields",
            id="too many fields",
        ),
        pytest.param(
            repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", times=21),
            "more than 20 interim answers",
            id="interim answers without an end",
        ),
        pytest.param(
            repeats(HEAD + b"\r\n", bytes(1024 * 1024), times=21),
            "answer larger than 20 MiB",
            id="huge body",
        ),
    ],
)
async def test_an_answer_that_cannot_be_used_fails_in_the_stage_answer(client, script, reason):
    """
    The receiver may have got it: the log must say that the answer was the problem, and which.
    """
    seconds = 0.3 if "time-out" in reason else 10.0
    async with Hostile(script) as server:
        failed = await failure_of(client, a_call(server.url(), timeout=seconds))

    assert (Outcome.UNREACHABLE, Stage.ANSWER, reason) == (
        failed.outcome,
        failed.stage,
        failed.reason,
    )
    assert repr(client) == "<EgressClient strict [busy 0 | idle 0]>"


async def test_a_connection_that_is_closed_immediately_fails_before_or_after_the_request(client):
    """
    Whether the end comes first is the network's choice; the log must say which it was.
    """
    async with Hostile(closes_before_reading) as server:
        failed = await failure_of(client, a_call(server.url()))

    assert Outcome.UNREACHABLE == failed.outcome
    assert (failed.stage, failed.reason) in {
        (Stage.SEND, "connection closed before the request was sent"),
        (Stage.ANSWER, PERHAPS_PROCESSED),
    }
    assert repr(client) == "<EgressClient strict [busy 0 | idle 0]>"


async def test_a_body_of_20_mib_is_still_taken(client):
    """
    The limit is the one ZITADEL documents.
    """
    async with Hostile(sends(answer(200, bytes(20 * 1024 * 1024)))) as server:
        result = await client.send(a_call(server.url()))

    assert len(result.body) == 20 * 1024 * 1024


async def test_no_call_waits_longer_than_it_allows(client):
    """
    A receiver that hangs must not hold a worker.
    """
    async with Hostile(hangs) as server:
        failed = await failure_of(client, a_call(server.url(), timeout=0.3))
        await server.gone.wait()

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.ANSWER)
    assert failed.reason == "time-out after 0.3 s while waiting for the answer"


async def test_a_drip_does_not_extend_the_deadline(client):
    """
    A byte now and then is how a receiver would hold a worker for ever.
    """
    async with Hostile(drips(HEAD + b"\r\n" + bytes(10**6))) as server:
        failed = await failure_of(client, a_call(server.url(), timeout=0.3))

    beginning, _, received = failed.reason.partition(" answer's body, after ")
    assert beginning == "time-out after 0.3 s in the middle of the"
    assert received == f"{received.split()[0]} bytes"


async def test_a_receiver_that_never_reads_times_out_in_the_stage_send(client):
    """
    Whether the payload left at all decides what a repetition means.
    """
    async with Hostile(never_reads) as server:
        failed = await failure_of(client, a_call(server.url(), body=LARGE, timeout=0.4))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.SEND)
    assert failed.reason == "time-out after 0.4 s while sending the request"


async def test_a_receiver_that_resets_while_we_send_fails_in_the_stage_send(client):
    """
    The same, without waiting.
    """
    async with Hostile(resets_before_reading) as server:
        failed = await failure_of(client, a_call(server.url(), body=LARGE))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.SEND)
    assert failed.reason == "connection closed while sending the request"


async def test_an_answer_that_comes_before_everything_is_sent_is_taken(client):
    """
    413 comes early, and its status says more than a reset.
    """

    async def refuses_early(peer):
        await peer.receive()
        await peer.say(answer(413, b"too large"))
        await peer.until_gone()

    async with Hostile(refuses_early) as server:
        result = await client.send(a_call(server.url(), body=LARGE))
        await server.gone.wait()

    assert (result.status, result.body) == (413, b"too large")
    assert repr(client) == "<EgressClient strict [busy 0 | idle 0]>"


async def test_a_refused_connection_says_where(client):
    """
    The most usual failure of all: the receiver was not started.
    """
    with refusing_port() as port:
        failed = await failure_of(client, a_call(f"http://127.0.0.1:{port}/?token=secret"))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.CONNECT)
    assert failed.reason == f"cannot connect to 127.0.0.1 port {port}: connection refused"


async def test_a_connection_that_never_comes_is_given_up(open_http_client):
    """
    A firewall that drops packets must not cost the target's whole time-out.
    """
    client = open_http_client(limits=ClientLimits(dial=0.1))
    with silent_port() as port:
        failed = await failure_of(client, a_call(f"http://127.0.0.1:{port}/"))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.CONNECT)
    assert failed.reason == f"no connection to 127.0.0.1 port {port} within 0.1 s"


async def test_connecting_counts_against_the_call(client):
    """
    There is one deadline for everything.
    """
    with silent_port() as port:
        failed = await failure_of(client, a_call(f"http://127.0.0.1:{port}/", timeout=0.1))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.CONNECT)
    assert failed.reason == "time-out after 0.1 s while connecting"


async def test_resolving_counts_against_the_call(open_http_client):
    """
    A dead name server is part of the exchange, too.
    """
    client = open_http_client(resolver=Silence())
    failed = await failure_of(client, a_call("http://hooks.example/", timeout=0.1))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.RESOLVE)
    assert failed.reason == "time-out after 0.1 s while resolving the host name"


async def test_an_unknown_name_fails_in_the_stage_resolve(open_http_client):
    """
    A typing error in the endpoint must be told from a receiver that is down.
    """
    client = open_http_client(resolver=Names())
    failed = await failure_of(client, a_call("http://nosuch.example/hook?token=secret"))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.RESOLVE)
    assert failed.reason == "cannot resolve nosuch.example"


async def test_a_name_the_system_cannot_resolve_fails_in_the_stage_resolve(client):
    """
    The same, through the real resolver: `.invalid` never exists (RFC 2606).
    """
    failed = await failure_of(client, a_call("http://nosuch.invalid/"))

    assert Stage.RESOLVE == failed.stage


async def test_the_system_resolves_localhost(open_http_client):
    """
    The one name that every machine knows.
    """
    client = open_http_client(EgressPolicy(EgressProfile.DEV))
    async with Hostile(sends(answer(200, b"home"))) as server:
        result = await client.send(a_call(server.url(host="localhost")))

    assert result.body == b"home"
    assert server.requests[0].header("Host") == f"localhost:{server.port}"


async def test_an_address_that_does_not_answer_gives_way_to_the_next(open_http_client):
    """
    Half of all names have an IPv6 address that leads nowhere.
    """
    async with Hostile(sends(answer())) as server:
        names = Names(hooks_example="::1 127.0.0.2 127.0.0.1")
        client = open_http_client(resolver=names)
        result = await client.send(a_call(server.url(host="hooks.example")))

    assert result.status == 200


async def test_an_address_that_dawdles_does_not_keep_the_next_one_waiting(open_http_client):
    """
    A black hole in front of a good address must not cost the dial limit.
    """
    limits = ClientLimits(next_address=0.05)
    with silent_port("127.0.0.2") as port:
        async with Hostile(sends(answer()), port=port) as server:
            client = open_http_client(
                limits=limits, resolver=Names(hooks_example="127.0.0.2 127.0.0.1")
            )
            result = await client.send(a_call(server.url(host="hooks.example")))

    assert result.status == 200
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_all_addresses_refusing_is_told_once(open_http_client):
    """
    The log needs one sentence, and it is the first address's.
    """
    with refusing_port() as port:
        client = open_http_client(resolver=Names(hooks_example="127.0.0.1 127.0.0.2"))
        failed = await failure_of(client, a_call(f"http://hooks.example:{port}/"))

    assert failed.reason == f"cannot connect to hooks.example port {port}: connection refused"


async def test_ipv6_works_and_is_named_with_brackets(open_http_client):
    """
    Clusters are IPv6-only more often than one thinks.
    """
    sock = socket.create_server(("::1", 0), family=socket.AF_INET6)
    server = Hostile(sends(answer()), sock=sock)
    client = open_http_client(ALLOW_LOOPBACK)
    async with server:
        await client.send(a_call(server.url(host="[::1]")))

    assert server.requests[0].header("Host") == f"[::1]:{server.port}"


async def test_nothing_secret_shows_in_a_failure(client):
    """
    Reasons and tracebacks go into logs.
    """
    with refusing_port() as port:
        headers = (("Authorization", "hunter2"),)
        url = f"http://127.0.0.1:{port}/?token=hunter2"
        call = a_call(url, headers=headers, body=b"hunter2")
        failed = await failure_of(client, call)

    assert "hunter2" not in repr(failed) + str(failed) + failed.reason
