"""An answer that was cut is never applied, however whole it looks; one that is only sloppy is."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager

import pytest

from adapters.http.hostile import Hostile, chunked, sends, sends_then_closes, sends_then_resets
from outrider.domain.outcome import Outcome
from outrider.errors import FailedPrecondition
from usecases.interception.harness import (
    KINDS,
    MESSAGE,
    authority,
    call_target,
    open_harness,
)

CHANGED = b'{"id":"2"}'
CLAIM = b'{"append_claims":[{"key":"a","value":1}]}'
HEAD = b"HTTP/1.1 200 OK\r\n"
CUTS = {
    "closed": (sends_then_closes, b"Content-Length: 99\r\n\r\n%b"),
    "reset": (sends_then_resets, b"Content-Length: 99\r\n\r\n%b"),
    "reset without a length": (sends_then_resets, b"\r\n%b"),
    "closed in the chunks": (sends_then_closes, chunked()[len(HEAD) : -5] + b"63\r\n%b"),
    "too late": (sends, b"Content-Length: 99\r\n\r\n%b"),
    "in two lengths": (sends, b"Content-Length: 99\r\nContent-Length: 10\r\n\r\n%b"),
}
BODIES = {
    "an answer": lambda kind: CLAIM if kind == "function" else CHANGED,
    "nothing": lambda _: b"",
}


@asynccontextmanager
async def ended_by_tls(data: bytes, *, is_notified: bool):
    """A receiver over TLS that sends this and closes, with the alert that says so or without."""
    context = authority().server_context("127.0.0.1")

    async def script(peer):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_side=True)

        async def until_done(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    await peer.say(outgoing.read())
                    await peer.receive()
                    incoming.write(peer.unread)
                    peer.unread = b""

        await until_done(session.do_handshake)
        await until_done(lambda: session.read(65536))
        session.write(data)
        if is_notified:
            with pytest.raises(ssl.SSLWantReadError):
                session.unwrap()
        await peer.say(outgoing.read())

    async with Hostile(script) as server:
        yield server.url().replace("http", "https", 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize(("script", "head"), CUTS.values(), ids=CUTS.keys())
async def test_a_cut_answer_changes_nothing(kind, body, script, head):
    """
    What is missing may have been the refusal. With `interruptOnError` the caller is stopped.
    """
    async with Hostile(script(HEAD + head % body(kind))) as server, open_harness() as harness:
        target = call_target(server.url(), seconds=0.3, interrupt_on_error=False)
        await harness.bind(kind, target)
        result = await harness.run(kind)
        [call] = result.calls
        stopping = call_target(server.url(), "102", seconds=0.3)
        await harness.bind(kind, stopping)
        with pytest.raises(FailedPrecondition, match="Execution failed"):
            await harness.run(kind)

    assert Outcome.UNREACHABLE == call.outcome
    assert call.error
    assert unchanged(kind) == result.message


@pytest.mark.parametrize("kind", KINDS)
async def test_only_the_receiver_itself_ends_an_answer_without_a_length(kind):
    """
    Over TLS an attacker on the way can end the connection, and an empty answer accepts.
    """
    data = HEAD + b"Connection: close\r\n\r\n"
    calls = []
    for is_notified in (True, False):
        async with ended_by_tls(data, is_notified=is_notified) as url, open_harness() as harness:
            await harness.bind(kind, call_target(url, interrupt_on_error=False))
            result = await harness.run(kind)
            calls += result.calls
            assert unchanged(kind) == result.message

    assert [Outcome.ACCEPTED, Outcome.UNREACHABLE] == [call.outcome for call in calls]
    assert calls[1].error == (
        "the answer may be cut: it has no length, and TLS ended without close_notify; let the"
        " receiver send a Content-Length"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\nContent-Length: %d\n\n%b",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Folded: a\r\n b\r\n\r\n%b",
    ],
    ids=["line feeds alone", "a folded field"],
)
async def test_a_sloppy_answer_is_applied(kind, data):
    """
    It is as whole as any other.
    """
    body = BODIES["an answer"](kind)
    async with Hostile(sends(data % (len(body), body))) as server, open_harness() as harness:
        await harness.bind(kind, call_target(server.url()))
        result = await harness.run(kind)

    assert Outcome.ACCEPTED == result.calls[0].outcome
    assert unchanged(kind) != result.message


def unchanged(kind: str):
    """What a caller gets when no target changed anything."""
    return {} if kind == "function" else MESSAGE
