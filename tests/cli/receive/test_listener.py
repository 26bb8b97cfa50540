"""The receiver for trying things out, over real sockets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from outrider.cli.receive.bounded_connection import MAX_BODY_BYTES, MAX_HEAD_BYTES
from outrider.cli.receive.listener import NOT_VERIFIED, Listener, ReceivedCall, ResponseScript
from outrider.runtime import utc_now
from outrider_receiver.testing import sign

SIGNING_KEY = "k" * 36
BODY = b'{"event_type":"a.b"}'


def request(body: bytes = BODY, *, signing_key: str | None = SIGNING_KEY, more: str = "") -> bytes:
    head = f"POST /hook?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{more}"
    if signing_key:
        signature = sign(body, signing_keys=signing_key, at=int(utc_now().timestamp()))
        head += f"ZITADEL-Signature: {signature}\r\n"
    return head.encode() + b"\r\n" + body


@asynccontextmanager
async def listening(**options):
    """A listener that was started, and the calls that it passes on."""
    calls: list[ReceivedCall] = []
    async with Listener(calls.append, **options) as listener:
        await listener.listen("127.0.0.1", 0)
        yield listener, calls


@asynccontextmanager
async def connected(listener):
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def read_status(reader) -> int:
    """The status of the next answer; its body is read, too."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = [line for line in head.splitlines() if line.startswith("content-length:")]
    if length:
        await reader.readexactly(int(length[0].partition(":")[2]))
    return int(head.split()[1])


async def send(listener, *requests: bytes) -> list[int]:
    """The status of the answer to each of these, sent together on one connection."""
    async with connected(listener) as (reader, writer):
        writer.write(b"".join(requests))
        return [await read_status(reader) for _ in requests]


async def test_a_signed_call_is_verified_and_passed_on():
    """
    What the demonstration stands on.
    """
    async with listening(signing_keys=[SIGNING_KEY]) as (listener, calls):
        statuses = await send(listener, request(more="Outrider-Attempt: 2\r\n"))

    (call,) = calls
    assert [200] == statuses
    assert (None, BODY, 200) == (call.verification_error, call.body, call.status)
    assert ("POST", "/hook?x=1") == (call.method, call.target)
    assert call.verified is not None
    assert ("2", "") == (call.header("OUTRIDER-ATTEMPT"), call.header("absent"))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        pytest.param({"signing_key": "x" * 36}, "no_match", id="another key"),
        pytest.param({"signing_key": None}, "missing", id="no signature"),
        pytest.param(
            {"signing_key": None, "more": "ZITADEL-Signature: x\r\n"}, "malformed", id="x"
        ),
    ],
)
async def test_a_call_that_is_not_signed_is_refused(wrong, reason):
    """
    With the reason for the developer, and 401 for the caller.
    """
    async with listening(signing_keys=[SIGNING_KEY]) as (listener, calls):
        # Signed here: a signature made when tests are collected may be too old by then.
        statuses = await send(listener, request(**wrong))

    assert [401] == statuses
    assert calls[0].verified is None
    assert calls[0].verification_error.startswith(f"{reason}: ")


async def test_without_a_signing_key_everything_is_taken_and_says_so():
    """
    Handy, but the output must not suggest that it was verified.
    """
    async with listening() as (listener, calls):
        statuses = await send(listener, request(signing_key=None))

    assert [200] == statuses
    assert (None, NOT_VERIFIED) == (calls[0].verified, calls[0].verification_error)


async def test_each_of_several_signing_keys_is_good():
    """
    While a key is being changed, both are in use.
    """
    async with listening(signing_keys=["old" * 12, "new" * 12]) as (listener, _):
        statuses = await send(
            listener, request(signing_key="old" * 12), request(signing_key="new" * 12)
        )

    assert [200, 200] == statuses


async def test_a_key_can_be_added_later():
    """
    The demonstration listens before its target, and so its key, exists.
    """
    async with listening() as (listener, calls):
        listener.trust(SIGNING_KEY)
        statuses = await send(listener, request(), request(signing_key=None))

    assert [200, 401] == statuses
    assert calls[0].verified is not None


async def test_it_fails_as_often_as_it_was_told():
    """
    To see how a sender tries again. A bad signature is no part of that count.
    """
    script = ResponseScript(fail_first=2, status=202)
    async with listening(signing_keys=[SIGNING_KEY], script=script) as (listener, calls):
        statuses = await send(
            listener, request(signing_key=None), request(), request(), request(), request()
        )

    assert [401, 500, 500, 202, 202] == statuses
    assert statuses == [call.status for call in calls]


async def test_it_waits_before_each_answer():
    """
    A slow receiver; the call is passed on before the wait.
    """
    calls: asyncio.Queue[ReceivedCall] = asyncio.Queue()
    async with Listener(calls.put_nowait, script=ResponseScript(delay=0.2)) as listener:
        await listener.listen("127.0.0.1", 0)
        async with connected(listener) as (reader, writer):
            started = asyncio.get_running_loop().time()
            writer.write(request())
            await calls.get()
            passed_on = asyncio.get_running_loop().time() - started
            assert 200 == await read_status(reader)
            answered = asyncio.get_running_loop().time() - started

    assert passed_on < 0.2 <= answered + 0.01


@pytest.mark.parametrize("status", [204, 304, 418, 599])
async def test_any_status_is_a_well_formed_answer(status):
    """
    Those that have no body, and those that have no name.
    """
    async with listening(script=ResponseScript(status=status)) as (listener, _):
        assert [status, status] == await send(listener, request(), request())


@pytest.mark.parametrize(
    ("script", "body"),
    [
        (ResponseScript(), b""),
        (ResponseScript(status=204, body=b"{}"), b""),
        (ResponseScript(status=400), b"400 Bad Request\n"),
        (ResponseScript(body=b"{}"), b"{}"),
        (ResponseScript(body=b"{}", fail_first=1), b"500 Internal Server Error\n"),
    ],
)
async def test_only_what_was_asked_for_is_in_the_body(script, body):
    """
    A target of the type call replaces the message by the body, whatever that is.
    """
    async with listening(script=script) as (listener, _), connected(listener) as (reader, writer):
        writer.write(request(more="Connection: close\r\n"))
        answer = await reader.read()

    assert body == answer.partition(b"\r\n\r\n")[2]


async def test_a_request_may_come_in_pieces():
    """
    TCP has no messages.
    """
    options = {"signing_keys": [SIGNING_KEY]}
    async with listening(**options) as (listener, calls), connected(listener) as streams:
        reader, writer = streams
        for byte in request():
            writer.write(bytes([byte]))
            await writer.drain()
        assert 200 == await read_status(reader)

    assert BODY == calls[0].body


async def test_a_chunked_body_is_put_together():
    """
    Other senders do not know the length beforehand.
    """
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b'2\r\n{"\r\n3\r\na":\r\n2\r\n1}\r\n0\r\n\r\n'
    async with listening() as (listener, calls):
        assert [200] == await send(listener, chunked)

    assert b'{"a":1}' == calls[0].body


async def test_who_waits_for_leave_to_send_the_body_gets_it():
    """
    curl does so with a long body.
    """
    head, _, body = request(more="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    async with listening() as (listener, _), connected(listener) as (reader, writer):
        writer.write(head + b"\r\n\r\n")
        assert 100 == await read_status(reader)
        writer.write(body)
        assert 200 == await read_status(reader)


async def test_a_connection_is_closed_when_the_caller_asks():
    """
    `Connection: close` is a promise to be kept.
    """
    async with listening() as (listener, _), connected(listener) as (reader, writer):
        writer.write(request(more="Connection: close\r\n"))
        assert 200 == await read_status(reader)
        assert b"" == await reader.read()


@pytest.mark.parametrize(
    ("asked", "kept"), [("", False), ("Connection: keep-alive\r\n", True)], ids=["closed", "kept"]
)
async def test_http_1_0_is_answered(asked, kept):
    """
    Older senders speak it: without the word that it stays, the connection's end is the answer's.
    """
    call = request(more=asked).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with listening() as (listener, calls), connected(listener) as (reader, writer):
        writer.write(call)
        head = await reader.readuntil(b"\r\n\r\n")
        if kept:
            writer.write(request(more="Connection: close\r\n").replace(b"1.1", b"1.0"))
        rest = await reader.read()

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (b"connection: keep-alive" if kept else b"connection: close") in head.lower()
    assert kept == rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert 1 + kept == len(calls)


@pytest.mark.parametrize(
    ("status", "hostile"),
    [
        pytest.param(400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(413, b"GET /" + b"a" * (MAX_HEAD_BYTES + 1), id="endless URL"),
        pytest.param(
            413,
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (MAX_HEAD_BYTES // 8),
            id="endless headers",
        ),
        pytest.param(
            400,
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            id="two lengths",
        ),
    ],
)
async def test_what_is_no_request_is_refused_and_cut(status, hostile):
    """
    It must not hang, and it must not be passed on.
    """
    async with listening() as (listener, calls), connected(listener) as (reader, writer):
        writer.write(hostile)
        assert status == await read_status(reader)
        assert b"" == await reader.read()

    assert [] == calls


async def test_a_body_has_a_bound():
    """
    A developer's machine has a bound, too.
    """
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {MAX_BODY_BYTES * 2}\r\n\r\n".encode()
    async with listening() as (listener, calls), connected(listener) as (reader, writer):
        writer.write(head)
        piece = bytes(1024 * 1024)

        async def send_pieces() -> None:
            for _ in range(2 * MAX_BODY_BYTES // len(piece)):
                writer.write(piece)
                await writer.drain()

        sending = asyncio.create_task(send_pieces())
        assert 413 == await read_status(reader)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    assert [] == calls


async def test_a_caller_that_disconnects_harms_no_other():
    """
    The next one is served.
    """
    async with listening() as (listener, calls):
        async with connected(listener) as (_, writer):
            writer.write(request()[:-1])
            await writer.drain()
        assert [200] == await send(listener, request())

    assert 1 == len(calls)


async def test_closing_cuts_connections_and_frees_the_port():
    """
    Ctrl-C must not wait for a sender that keeps its connection.
    """
    async with listening() as (listener, _), connected(listener) as (reader, writer):
        writer.write(request())
        assert 200 == await read_status(reader)
        port = listener.port
        await listener.close()
        assert b"" == await reader.read()
        async with Listener(lambda _call: None) as second:
            await second.listen("127.0.0.1", port)


async def test_a_taken_port_is_an_error():
    """
    Two receivers on one port would each get half of the calls.
    """
    async with listening() as (listener, _), Listener(lambda _call: None) as second:
        with pytest.raises(OSError, match="in use"):
            await second.listen("127.0.0.1", listener.port)
