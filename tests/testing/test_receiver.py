"""The receiver that other tests rely on: it follows its script, and records what was sent."""

from __future__ import annotations

import asyncio

import pytest

from outrider.domain.calls.signature import standard_webhooks_headers, zitadel_signature
from outrider.testing.receiver import Answer, Receiver
from support.builders import SIGNING_KEY
from support.runtime import NOW, FixedClock

BODY = b'{"event_type":"user.human.added"}'


def request(body: bytes = BODY, *headers: tuple[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"POST /hook HTTP/1.1\r\nHost: receiver\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    return head.encode() + body


def signed(body: bytes = BODY, signing_key: str = SIGNING_KEY) -> bytes:
    at = int(NOW.timestamp())
    standard = standard_webhooks_headers(body, "31", [signing_key], at)
    signature = ("ZITADEL-Signature", zitadel_signature(body, [signing_key], at))
    return request(body, signature, *standard.items(), ("Outrider-Attempt", "2"))


class Peer:
    """One connection to a receiver."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> bytes:
        """The next answer, head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        return head + await self.reader.readexactly(length)


@pytest.fixture
async def connect():
    """Opens connections; closes them after the test."""
    writers = []

    async def connected(receiver: Receiver) -> Peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        writers.append(writer)
        return Peer(reader, writer)

    yield connected
    for writer in writers:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_calls_are_recorded_as_they_arrived(connect):
    """
    A test compares bytes, headers and connections with what should have been sent.
    """
    async with Receiver() as receiver:
        peer = await connect(receiver)
        peer.writer.write(request(BODY, ("X-Twice", "one"), ("x-twice", "two")))
        [call] = await receiver.wait_for(1)

    assert ("POST", "/hook", BODY) == (call.method, call.path, call.body)
    assert "one" == call.header("X-TWICE")
    assert None is call.header("absent")
    assert ("x-twice", "two") == call.headers[-1]


async def test_the_script_is_followed_on_one_connection_and_then_everything_is_accepted(connect):
    """
    Retries meet different answers in order; keeping the connection is the sender's right.
    """
    script = [Answer(status=503, headers=(("Retry-After", "7"),)), Answer(body=b"{}")]
    async with Receiver(script) as receiver:
        peer = await connect(receiver)
        answers = []
        for _ in range(3):
            peer.writer.write(request())
            answers.append(await peer.answer())

    assert b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n" in answers[0]
    assert answers[1].endswith(b"Content-Length: 2\r\n\r\n{}")
    assert b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" == answers[2]
    assert [1, 1, 1] == [call.connection for call in receiver.calls]


async def test_http_1_0_is_answered_and_kept_when_the_caller_asks(connect):
    """
    A sender of 1.0 that is not told takes the connection's end for the answer's.
    """
    kept = request(BODY, ("Connection", "keep-alive")).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with Receiver() as receiver:
        peer = await connect(receiver)
        peer.writer.write(kept + request().replace(b"HTTP/1.1", b"HTTP/1.0"))
        first, rest = await peer.answer(), await peer.reader.read()

    assert b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n" == first
    assert b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" == rest


async def test_a_script_may_decide_by_the_call(connect):
    """
    Where the order of calls is not the test's business.
    """
    async with Receiver(lambda call: Answer(body=call.body.upper())) as receiver:
        peer = await connect(receiver)
        peer.writer.write(request(b"echo"))

        assert (await peer.answer()).endswith(b"ECHO")


@pytest.mark.parametrize("script", [[Answer(cut_at=3, body=b"0123456")], [Answer(raw=b"012")]])
async def test_an_answer_can_be_cut(connect, script):
    """
    The announced length does not arrive: what a crashing receiver looks like.
    """
    async with Receiver(script) as receiver:
        peer = await connect(receiver)
        peer.writer.write(request())

        assert (await peer.reader.read()).endswith(b"012")


async def test_a_connection_can_be_reset(connect):
    """
    Before any answer: the sender cannot know whether the call was seen.
    """
    async with Receiver([Answer(reset=True)]) as receiver:
        peer = await connect(receiver)
        peer.writer.write(request())

        with pytest.raises(ConnectionResetError):
            await peer.reader.read()


async def test_an_answer_can_hang_until_it_is_released(connect):
    """
    The test decides when, not the time; what came behind it on the connection waits.
    """
    let_go = asyncio.Event()
    async with Receiver([Answer(hang_until=let_go, delay=0.001, body=b"slow")]) as receiver:
        peer = await connect(receiver)
        peer.writer.write(request() + request())
        await receiver.wait_for(2)
        let_go.set()

        assert (await peer.answer()).endswith(b"slow")
        assert b"200 OK" in await peer.answer()


async def test_leaving_ends_calls_that_hang(connect):
    """
    A test that failed must not hang on its receiver as well.
    """
    async with Receiver([Answer(hang_until=asyncio.Event())]) as receiver:
        peer = await connect(receiver)
        peer.writer.write(request())
        await receiver.wait_for(1)

        assert 1 == receiver.connection_count
        assert "<Receiver 1 calls on 1 connections>" == repr(receiver)

    with pytest.raises(ConnectionResetError):
        await peer.reader.read()


async def test_it_says_whether_receivers_would_believe_the_call(connect):
    """
    With the keys and the time that the test gives it; without keys it says nothing.
    """
    async with Receiver(now=FixedClock()) as receiver:
        peer = await connect(receiver)
        peer.writer.write(signed())
        await receiver.wait_for(1)
        receiver.signing_keys = ["another", SIGNING_KEY]
        peer.writer.write(signed() + signed(signing_key="a stranger's"))
        unchecked, believed, doubted = await receiver.wait_for(3)

    assert (None, None) == (unchecked.verified, unchecked.refusal)
    assert ("31", 2) == (believed.verified.delivery_id, believed.verified.attempt)
    assert doubted.verified is None
    assert "no signature" in str(doubted.refusal)


async def test_what_is_not_http_is_recorded_and_ends_the_connection(connect):
    """
    A sender that forgets its framing shows up here, not as a call.
    """
    async with Receiver() as receiver:
        peer = await connect(receiver)
        peer.writer.write(b"this is not HTTP\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await peer.reader.read()

    assert [] == receiver.calls
    assert 1 == len(receiver.garbage)


async def test_waiting_says_how_many_calls_have_come(connect):
    """
    The first thing to know about a test that timed out.
    """
    async with Receiver() as receiver:
        peer = await connect(receiver)
        peer.writer.write(request())
        await receiver.wait_for(1)

        with pytest.raises(TimeoutError, match="1 of 2 calls have arrived"):
            await receiver.wait_for(2, within=0)


async def test_connection_close_is_respected(connect):
    """
    A client that asks for it gets an end after the answer.
    """
    async with Receiver() as receiver:
        peer = await connect(receiver)
        peer.writer.write(request(b"", ("Connection", "close")))

        assert (await peer.reader.read()).endswith(b"Content-Length: 0\r\n\r\n")


async def test_a_receiver_must_be_entered():
    """
    Without it there is no port; guessing one would call another server.
    """
    with pytest.raises(RuntimeError):
        _ = Receiver().url
