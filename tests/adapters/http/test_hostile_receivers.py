"""Hostile receivers, each next to one that is not.

Every row is a real server, a real handshake or a name server. Each call ends as what it was, in
bounded time and memory, and while it lasts the healthy receiver is served as if nothing were.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from adapters.http.certificates import EXPIRED, Authority
from adapters.http.hostile import (
    Hostile,
    answer,
    chunked,
    hangs,
    never_reads,
    redirect,
    refusing_port,
    repeats,
    resets_before_reading,
    sends,
    sends_then_closes,
    sends_then_resets,
    silent_port,
)
from adapters.http.names import Names, Silence, a_call
from adapters.http.secure import SecureServer
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.calls.classify import CLASSIFIED_BYTES, classify_response
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.outcome import Outcome

MIB = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
BOMB = gzip.compress(bytes(100 * MIB))  # 100 KB that want to be 100 MiB
AUTHORITY = Authority()
PATIENCE = 0.3  # seconds a call to a hostile receiver may take
HEALTHY_CALLS = 20
AT_MOST = 20  # seconds for one row, whatever it tries; its call may take only `PATIENCE`


@dataclass(frozen=True)
class Row:
    """`open_receiver` opens the receiver and gives its URL. `holds`: its call lasts until its deadline.

    `grows` is by how much the process may grow, in MiB, both ends and the healthy calls included.
    """

    name: str
    open_receiver: Callable[[], Any]
    outcome: Outcome
    stage: Stage
    reason: str = ""
    seconds: float = 10.0
    grows: float = 2.0
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return self.seconds == PATIENCE


def serves(script, *, path: str = "/hook"):
    @contextlib.asynccontextmanager
    async def open_receiver():
        async with Hostile(script) as server:
            yield server.url(path)

    return open_receiver


def secures(context: ssl.SSLContext, data: bytes = b""):
    @contextlib.asynccontextmanager
    async def open_receiver():
        async with SecureServer(context, data or answer()) as server:
            yield server.url()

    return open_receiver


def leads_to(url: str):
    @contextlib.asynccontextmanager
    async def open_receiver():
        yield url

    return open_receiver


def port_of(opened):
    @contextlib.asynccontextmanager
    async def open_receiver():
        with opened() as port:
            yield f"http://127.0.0.1:{port}/"

    return open_receiver


def old_tls() -> ssl.SSLContext:
    context = AUTHORITY.server_context("127.0.0.1")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


async def one_byte_a_second(peer) -> None:
    await peer.request()
    for position in range(len(HEAD)):
        await peer.say(HEAD[position : position + 1])
        await asyncio.sleep(1)


async def swallows(peer) -> None:
    await peer.until_gone()


async def speaks_http(peer) -> None:
    await peer.receive()
    await peer.say(answer(400))
    await peer.until_gone()


async def one_byte_of_a_handshake(peer) -> None:
    await peer.receive()
    await peer.say(b"\x16")
    await peer.until_gone()


def secured(open_receiver):
    @contextlib.asynccontextmanager
    async def https():
        async with open_receiver() as url:
            yield url.replace("http:", "https:")

    return https


class RebindingNames(Names):
    """Harmless when it is checked, private a moment later."""

    def __init__(self) -> None:
        super().__init__(hooks_example=["127.0.0.1", "10.0.0.7"])


UNREACHABLE, ANSWER = Outcome.UNREACHABLE, Stage.ANSWER
CLOSED = "the connection was closed after the request was sent; the receiver may have processed it"
CUT = "connection closed in the middle of the answer's body"
TOO_LARGE = "answer larger than 20 MiB"
LATE = f"time-out after {PATIENCE} s "
TRUSTING = {"ssl_context": AUTHORITY.client_context()}


def timeless(name, open_receiver, stage, **more) -> Row:
    """A row whose call lasts until its deadline."""
    return Row(name, open_receiver, UNREACHABLE, stage, LATE, PATIENCE, **more)


ROWS = [
    Row("refuses", port_of(refusing_port), UNREACHABLE, Stage.CONNECT, "cannot connect to "),
    timeless("drops every packet", port_of(silent_port), Stage.CONNECT),
    Row("closes after the request", serves(sends_then_closes()), UNREACHABLE, ANSWER, CLOSED),
    Row("resets at once", serves(resets_before_reading), UNREACHABLE, ANSWER, CLOSED),
    timeless("never answers", serves(hangs), ANSWER),
    timeless("one byte a second", serves(one_byte_a_second), ANSWER),
    Row(
        "endless headers",
        serves(repeats(HEAD, b"X-Endless: " + b"a" * 60_000 + b"\r\n", times=2000)),
        UNREACHABLE,
        ANSWER,
        "answer with a head larger than 64 KiB",
    ),
    Row(
        "one endless header",
        serves(repeats(HEAD + b"X-Endless: ", b"a" * 60_000, times=2000)),
        UNREACHABLE,
        ANSWER,
        "answer with a head larger than 64 KiB",
    ),
    Row(
        "endless small headers",
        serves(repeats(HEAD, b"A: b\r\n" * 10_000, times=2000)),
        UNREACHABLE,
        ANSWER,
        "answer with a head larger than 64 KiB",
    ),
    Row(
        "endless trailers",
        serves(repeats(CHUNKED + b"0\r\n", b"A: b\r\n" * 10_000, times=2000)),
        UNREACHABLE,
        ANSWER,
        "answer with a chunk framing larger than 64 KiB",
    ),
    Row(
        "an endless reason",
        serves(repeats(b"HTTP/1.1 200 ", b"a" * 60_000, times=2000)),
        UNREACHABLE,
        ANSWER,
        "answer with a head larger than 64 KiB",
    ),
    Row(
        "100 MB, announced",
        serves(repeats(HEAD + b"Content-Length: 104857600\r\n\r\n", bytes(MIB), times=100)),
        UNREACHABLE,
        ANSWER,
        TOO_LARGE,
        grows=64,
    ),
    Row(
        "100 MB in chunks",
        serves(repeats(CHUNKED, b"10000\r\n" + bytes(0x10000) + b"\r\n", times=1600)),
        UNREACHABLE,
        ANSWER,
        TOO_LARGE,
        grows=64,
    ),
    Row(
        "100 MB until the connection closes",
        serves(repeats(HEAD + b"\r\n", bytes(MIB), times=100)),
        UNREACHABLE,
        ANSWER,
        TOO_LARGE,
        grows=64,
    ),
    Row(
        "an interim answer with 100 MB",
        serves(
            repeats(b"HTTP/1.1 100 A\r\nContent-Length: 104857600\r\n\r\n", bytes(MIB), times=100)
        ),
        UNREACHABLE,
        ANSWER,
        "answer is not valid HTTP: ",
    ),
    Row(
        "a gzip bomb",
        serves(sends(answer(200, BOMB, ("Content-Encoding", "gzip")))),
        Outcome.ACCEPTED,
        ANSWER,
    ),
    Row(
        "a gzip bomb in the transfer coding",
        serves(
            sends(
                HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
                b"%x\r\n%s\r\n0\r\n\r\n" % (len(BOMB), BOMB),
            )
        ),
        Outcome.ACCEPTED,
        ANSWER,
    ),
    Row(
        "a deflated bomb with an error inside",
        serves(sends(answer(500, BOMB, ("Content-Encoding", "deflate")))),
        Outcome.FAILED,
        ANSWER,
    ),
    Row(
        "a chunk size that is no number",
        serves(sends(CHUNKED + b"zz\r\nok\r\n0\r\n\r\n")),
        UNREACHABLE,
        ANSWER,
        "answer is not valid HTTP: ",
    ),
    Row(
        "a chunk size over 64 bits",
        serves(sends(CHUNKED + b"ffffffffffffffffff\r\n")),
        UNREACHABLE,
        ANSWER,
        "answer is not valid HTTP: ",
    ),
    Row(
        "a hundred thousand chunks of a byte",
        serves(sends(CHUNKED, *[b"1\r\nx\r\n" * 10_000] * 10, b"0\r\n\r\n")),
        UNREACHABLE,
        ANSWER,
        "answer in chunks smaller than 64 bytes",
    ),
    Row(
        "endless chunk extensions",
        serves(repeats(CHUNKED + b"2;", b"a" * 60_000, times=2000)),
        UNREACHABLE,
        ANSWER,
        "answer with a chunk framing larger than 64 KiB",
    ),
    Row(
        "chunks that stop",
        serves(sends_then_closes(chunked(b"hello", end=b""))),
        UNREACHABLE,
        ANSWER,
        CUT,
    ),
    Row(
        "less than announced",
        serves(sends_then_closes(HEAD + b"Content-Length: 9\r\n\r\nhello")),
        UNREACHABLE,
        ANSWER,
        CUT,
    ),
    timeless(
        "less than announced, and waits", serves(sends(HEAD + b"Content-Length: 9\r\n\r\n")), ANSWER
    ),
    Row(
        "more than announced",
        serves(sends(answer(200, b"hi") + bytes(60_000))),
        Outcome.ACCEPTED,
        ANSWER,
    ),
    Row(
        "more than announced, without an end",
        serves(repeats(answer(200, b"hi"), bytes(60_000), times=2000)),
        Outcome.ACCEPTED,
        ANSWER,
    ),
    Row(
        "two lengths",
        serves(sends(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc")),
        UNREACHABLE,
        ANSWER,
        "answer is not valid HTTP: ",
    ),
    Row(
        "interim answers without an end",
        serves(repeats(b"", HINTS * 1000, times=1000)),
        UNREACHABLE,
        ANSWER,
        "more than 20 interim answers",
    ),
    Row(
        "redirects in a loop",
        serves(sends(redirect("/hook"))),
        UNREACHABLE,
        ANSWER,
        "more than 5 redirects",
    ),
    Row(
        "redirects to a private address",
        serves(sends(redirect("http://10.0.0.7/"))),
        Outcome.BLOCKED,
        Stage.GUARD,
        "10.0.0.7 is private",
    ),
    Row(
        "redirects to a name that is private",
        serves(sends(redirect("http://inside.example/"))),
        Outcome.BLOCKED,
        Stage.GUARD,
        "10.0.0.7 is private",
        parts={"resolver": Names(inside_example="10.0.0.7")},
    ),
    Row(
        "redirects to metadata, mapped and in hexadecimal",
        serves(sends(redirect("http://[::ffff:a9fe:a9fe]/latest/meta-data/"))),
        Outcome.BLOCKED,
        Stage.GUARD,
        "169.254.169.254 is a cloud metadata address",
    ),
    Row(
        "redirects to a file", serves(sends(redirect("file:///etc/passwd"))), Outcome.FAILED, ANSWER
    ),
    Row("redirects to ftp", serves(sends(redirect("ftp://127.0.0.1/"))), Outcome.FAILED, ANSWER),
    Row(
        "redirects out of TLS",
        secures(AUTHORITY.server_context("127.0.0.1"), redirect("http://127.0.0.1/")),
        Outcome.BLOCKED,
        Stage.GUARD,
        "the redirect leads from https to http",
        parts=TRUSTING,
    ),
    timeless("never reads", serves(never_reads), ANSWER),
    Row(
        "TLS: expired",
        secures(AUTHORITY.server_context("127.0.0.1", until=EXPIRED)),
        UNREACHABLE,
        Stage.TLS,
        "certificate verify failed: certificate has expired",
        parts=TRUSTING,
    ),
    Row(
        "TLS: another host",
        secures(AUTHORITY.server_context("other.example")),
        UNREACHABLE,
        Stage.TLS,
        "certificate verify failed: IP address mismatch",
        parts=TRUSTING,
    ),
    Row(
        "TLS: an unknown authority",
        secures(Authority("another").server_context("127.0.0.1")),
        UNREACHABLE,
        Stage.TLS,
        "certificate verify failed: unable to get local issuer certificate",
        parts=TRUSTING,
    ),
    Row(
        "TLS: 1.1 at most",
        secures(old_tls()),
        UNREACHABLE,
        Stage.TLS,
        "TLS handshake failed: ",
        parts=TRUSTING,
    ),
    Row(
        "TLS: another protocol",
        secured(serves(speaks_http)),
        UNREACHABLE,
        Stage.TLS,
        "TLS handshake failed: wrong version number",
    ),
    timeless("TLS: no hello", secured(serves(swallows)), Stage.TLS),
    timeless("TLS: a byte of a hello", secured(serves(one_byte_of_a_handshake)), Stage.TLS),
    Row(
        "DNS: no such name",
        leads_to("http://hooks.example/"),
        UNREACHABLE,
        Stage.RESOLVE,
        "cannot resolve hooks.example",
        parts={"resolver": Names()},
    ),
    timeless(
        "DNS: no answer",
        leads_to("http://hooks.example/"),
        Stage.RESOLVE,
        parts={"resolver": Silence()},
    ),
    Row(
        "DNS: an answer inside",
        leads_to("http://hooks.example/"),
        Outcome.BLOCKED,
        Stage.GUARD,
        "10.0.0.7 is private",
        parts={"resolver": Names(hooks_example="10.0.0.7")},
    ),
    Row(
        "DNS: a thousand addresses that refuse",
        leads_to("http://hooks.example:1/"),
        UNREACHABLE,
        Stage.CONNECT,
        "cannot connect to hooks.example port 1: connection refused",
        parts={
            "resolver": Names(
                hooks_example=" ".join(
                    f"127.0.{high}.{low}" for high in range(4) for low in range(1, 251)
                )
            )
        },
    ),
]


async def outcome_of(client, call) -> tuple[Outcome, Stage, str]:
    try:
        received = await client.send(call)
    except RequestError as failed:
        return failed.outcome, failed.stage, failed.reason
    return classify_response(received).outcome, Stage.ANSWER, ""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_hostile_receiver_harms_only_itself(open_http_client, default_context, row):
    """
    One target's owner must not be able to stop, slow or fill what delivers for all others.
    """
    client = open_http_client(**({"ssl_context": default_context} | row.parts))
    ended: list[str] = []

    async def hostile_call():
        try:
            return await outcome_of(client, a_call(url, timeout=row.seconds))
        finally:
            ended.append("hostile")

    async def healthy_calls() -> list[int]:
        calls = [await client.send(a_call(healthy.url())) for _ in range(HEALTHY_CALLS)]
        ended.append("healthy")
        return [received.status for received in calls]

    async with (
        asyncio.timeout(AT_MOST),
        Hostile(sends(answer(200, b"ok"))) as healthy,
        row.open_receiver() as url,
    ):
        tracemalloc.start()
        try:
            result, statuses = await asyncio.gather(hostile_call(), healthy_calls())
            grown = tracemalloc.get_traced_memory()[1] / MIB
        finally:
            tracemalloc.stop()

    assert (row.outcome, row.stage) == result[:2]
    assert result[2].startswith(row.reason)
    assert [200] * HEALTHY_CALLS == statuses
    assert not row.holds or ended == ["healthy", "hostile"]
    assert grown < row.grows
    assert "busy 0" in repr(client)


WHOLE = [
    pytest.param(answer(200, b"hello", ("X-Name", "value")), id="with a length"),
    pytest.param(chunked(b"he", b"llo", end=b"0\r\nX-Trailer: a\r\n\r\n"), id="in chunks"),
    pytest.param(b"HTTP/1.1 103 Hints\r\n\r\n" + answer(500, b"no"), id="after an interim one"),
]


@pytest.mark.parametrize("whole", WHOLE)
async def test_a_reset_at_every_byte_is_never_an_answer(client, whole):
    """
    Half an answer must not settle a delivery, wherever it was cut.
    """
    scripts = [sends_then_resets(whole[:cut]) for cut in range(len(whole))]
    async with Hostile(*scripts) as server, Hostile(sends(answer())) as healthy:
        for _ in scripts:
            outcome = await outcome_of(client, a_call(server.url()))
            assert (UNREACHABLE, ANSWER) == outcome[:2]
        await client.send(a_call(healthy.url()))

    assert len(scripts) == server.connections


async def test_a_name_that_turns_inwards_between_check_and_connection_gains_nothing(
    open_http_client,
):
    """
    Rebinding: what was checked is what is connected to, and the next connection is checked again.
    """
    names = RebindingNames()
    client = open_http_client(resolver=names, limits=ClientLimits(resolved=0.0))
    async with Hostile(sends_then_closes(answer(200, b"", ("Connection", "close")))) as server:
        call = a_call(server.url(host="hooks.example"))
        results = [await outcome_of(client, call) for _ in range(3)]

    assert [Outcome.ACCEPTED, Outcome.BLOCKED, Outcome.BLOCKED] == [result[0] for result in results]
    assert server.connections == 1
    assert len(names.lookups) == 3


async def test_many_hostile_receivers_delay_no_other(open_http_client):
    """
    A hundred of them are a tenant with a script.
    """
    client = open_http_client(limits=ClientLimits(max_idle=10))
    scripts = [hangs, one_byte_a_second, swallows, never_reads]
    async with Hostile(*scripts * 25) as hostile, Hostile(sends(answer())) as healthy:
        calls = [
            asyncio.create_task(outcome_of(client, a_call(hostile.url(), timeout=5.0)))
            for _ in range(100)
        ]
        await hostile.accepted.wait()
        statuses = [(await client.send(a_call(healthy.url()))).status for _ in range(100)]
        unfinished = [call for call in calls if not call.done()]
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)

    assert [200] * 100 == statuses
    assert 100 == len(unfinished)


async def test_large_answers_to_deliveries_do_not_add_up(client):
    """
    Sixty-four concurrent calls that hold 20 MiB each are more than most machines can spare.
    """
    large = answer(200, bytes(16 * MIB))
    async with Hostile(sends(large)) as server:
        call = a_call(server.url(), body_limit=CLASSIFIED_BYTES)
        tracemalloc.start()
        try:
            responses = await asyncio.gather(*[client.send(call) for _ in range(10)])
            grown = tracemalloc.get_traced_memory()[1] / MIB
        finally:
            tracemalloc.stop()

    assert {Outcome.ACCEPTED} == {classify_response(response).outcome for response in responses}
    assert all(CLASSIFIED_BYTES <= len(response.body) < 2 * MIB for response in responses)
    assert grown < 60


async def test_an_idle_connection_holds_nothing_of_its_response(client):
    """
    A hundred of them may be idle for each receiver.
    """
    large = answer(200, bytes(16 * MIB))
    async with Hostile(sends(large)) as server:
        tracemalloc.start()
        try:
            status = (await client.send(a_call(server.url()))).status
            # The loop's iteration that brought the response holds it to its end.
            await asyncio.sleep(0)
            kept = tracemalloc.get_traced_memory()[0] / MIB
        finally:
            tracemalloc.stop()

        assert repr(client).endswith("[busy 0 | idle 1]>")
    assert status == 200
    assert kept < 2
