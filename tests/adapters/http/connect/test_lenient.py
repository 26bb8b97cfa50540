"""Answers that are not well-formed and mean one thing: taken, and their connection closed."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.hostile import Hostile, answer, chunked, sends_in_turn
from adapters.http.names import a_call
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.response import InvalidHttpResponse, ResponseParser
from outrider.domain.calls.request import Response

HEAD = b"HTTP/1.1 200 OK\r\n"
OK = b"Content-Length: 2\r\n\r\nok"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
# Each is `Response(200, …, b"ok")`; Go's client takes those that are marked with it.
TAKEN = {
    "line feeds alone (Go)": b"HTTP/1.1 200 OK\nX-A: b\nContent-Length: 2\n\nok",
    "line feeds here and there (Go)": HEAD + b"X-A: b\nContent-Length: 2\r\n\nok",
    "line feeds in chunks (Go)": HEAD + b"Transfer-Encoding: chunked\n\n2\nok\n0\nX-T: a\n\n",
    "line feeds in chunks alone": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n",
    "blanks after a chunk's size (Go)": chunked()[:-5] + b"2  \r\nok\r\n0\t\r\n\r\n",
    "a folded field (Go)": HEAD + b"X-A: b\r\n  c\r\n\td\r\n" + OK,
    "a folded field that begins empty (Go)": HEAD + b"X-A:\r\n b\r\n" + OK,
    "a folded length (Go)": HEAD + b"Content-Length:\r\n 2\r\n\r\nok",
    "a line that continues nothing": HEAD + b" X-A: b\r\n" + OK,
    "a length twice (Go)": HEAD + b"Content-Length: 2\r\n" + OK,
    "a list of one length": HEAD + b"Content-Length: 2, 2\r\n\r\nok",
    "a length with a zero in front, beside one without": HEAD + b"Content-Length: 02\r\n" + OK,
    "a length before chunks (Go)": HEAD + b"Content-Length: 7\r\n" + CHUNKS,
    "a length after chunks (Go)": HEAD + CHUNKS.replace(b"\r\n\r\n", b"\r\nContent-Length: 7\r\n\r\n", 1),
    "two lengths beside chunks": HEAD + b"Content-Length: 7\r\nContent-Length: x\r\n" + CHUNKS,
    "the coding identity": HEAD + b"Transfer-Encoding: identity\r\n" + OK,
    "chunks, spelled otherwise": HEAD + b"X : y\r\n" + CHUNKS.replace(b"chunked", b"CHUNKED"),
    "a blank before the colon": HEAD + b"X-A : b\r\nContent-Length \t: 2\r\n\r\nok",
    "no colon": HEAD + b"X-A\r\n" + OK,
    "no name": HEAD + b": b\r\n" + OK,
    "a name with a blank": HEAD + b"X A: b\r\n" + OK,
    "a name that is not ASCII": HEAD + b"X-\xc3\xa4: b\r\n" + OK,
    "NUL in a value": HEAD + b"X-A: b\0c\r\n" + OK,
    "CR in a value": HEAD + b"X-A: b\rc\r\n" + OK,
    "a control character": HEAD + b"X-A: \x1b[31m\r\n" + OK,
    "another version (Go)": HEAD.replace(b"1.1", b"1.2") + OK,
    "a version as curl shows it": b"HTTP/2 200\r\n" + OK,
    "small letters": b"http/1.1 200 ok\r\n" + OK,
    "blanks around the status": b"HTTP/1.1  200  OK\r\n" + OK,
    "no reason, and a line feed": b"HTTP/1.1 200\n" + OK,
    "lines in front": b"\r\n\n" + HEAD + b"X-A\r\n" + OK,
    "an interim answer with line feeds": b"HTTP/1.1 100 Continue\n\n" + HEAD + OK,
    "an interim answer, then line feeds": b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\n" + OK,
    "no length, until the end": b"HTTP/1.0 200 OK\n\nok",
}  # fmt: skip


def read(data: bytes, *, pieces: int | None = None) -> tuple[Response, bool]:
    """The answer, and whether its connection would be kept."""
    parser = ResponseParser(ClientLimits())
    size = pieces or len(data)
    for start in range(0, len(data), size):
        whole = parser.feed(data[start : start + size])
        if whole is not None:
            return whole, parser.reusable
    return parser.end(), parser.reusable


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN.keys())
def test_what_means_one_thing_is_taken(data):
    """
    The receiver has done its work: to call it again would do it twice.
    """
    response, is_kept = read(data)

    assert (200, b"ok") == (response.status, response.body)
    assert not is_kept


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN.keys())
def test_it_is_the_same_however_it_is_cut(data):
    """
    The strict parser gives up in the middle of a piece, and the rest has not come yet.
    """
    expected = repr(read(data))

    assert {expected} == {repr(read(data, pieces=size)) for size in range(1, len(data))}


def test_the_fields_are_those_that_were_sent():
    """
    Retry-After and Location count, also in such company.
    """
    response, _ = read(
        b"HTTP/1.1 503 Busy\nRetry-After : 7\nX-Folded: a\n b\nX-Two: a\nX-Two: b\0\nX No: c\n\n"
    )

    assert (
        ("retry-after", "7"),
        ("x-folded", "a b"),
        ("x-two", "a"),
        ("x-two", "b"),
    ) == response.headers


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", 200, "it has two lengths, '2' and '3'"),
        (b"Content-Length: 2\n 3\r\n\r\nok", 200, "its Content-Length is '2 3'"),
        (b"Content-Length: -1\r\n\r\nok", 200, "its Content-Length is '-1'"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", 200, "the size of a chunk"),
        (b"Transfer-Encoding: chunked\n\n1\nok\n0\n\n", 200, "a chunk is longer than its size"),
        (b"Transfer-Encoding: chunked\n\n3\nok\n0\n\n", 200, "a chunk is longer than its size"),
    ],
)  # fmt: skip
def test_what_could_end_in_two_places_is_refused_and_its_status_kept(data, status, reason):
    """
    A guess could leave out the end of an answer, and that could be its refusal.
    """
    parser = ResponseParser(ClientLimits())

    with pytest.raises(InvalidHttpResponse, match=f"^answer is not valid HTTP: {reason}"):
        parser.feed(HEAD + data)
    assert status == parser.partial.status
    assert not parser.reusable


@given(st.binary(max_size=200))
def test_no_bytes_leave_a_connection_to_be_kept_after_a_sloppy_answer(data):
    """
    What follows such an answer could be read as the answer to another target's call.
    """
    parser = ResponseParser(ClientLimits())
    with contextlib.suppress(InvalidHttpResponse):
        parser.feed(b"HTTP/1.1 200 OK\n" + data)

    assert not parser.reusable


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 200 OK\n" + b"A: b\n" * 20_000, "answer with a head larger than 64 KiB"),
        (b"HTTP/1.1 200 OK\nA: " + b"b" * 70_000, "answer with a head larger than 64 KiB"),
        (b"HTTP/1.1 200 OK\n" + b"A: b\n" * 201 + b"\n", "answer with more than 200 header fields"),
        (b"HTTP/1.1 100 A\n\n" * 21, "more than 20 interim answers"),
        (b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n" + b"1\nx\n" * 99_999, "answer in chunks"),
        (
            b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n0\n" + b"A: b\n" * 20_000,
            "answer with a chunk framing larger than 64 KiB",
        ),
        (b"HTTP/1.1 200 OK\nContent-Length: 30000000\n\n" + bytes(21 << 20), "answer larger than 20 MiB"),
    ],
)  # fmt: skip
def test_every_bound_holds_and_costs_little(data, reason):
    """
    A receiver must not find a way round the bounds by being sloppy, nor hold up the loop.
    """
    began = time.thread_time()
    with pytest.raises(InvalidHttpResponse, match=f"^{reason}"):
        read(data, pieces=65536)

    assert time.thread_time() - began < 1.0


def test_an_ordinary_answer_that_turns_ambiguous_late_is_not_kept_in_memory():
    """
    Only a beginning can be read again; the rest of 20 MiB would be kept for nothing.
    """
    parser = ResponseParser(ClientLimits())
    parser.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n20000\r\n" + bytes(0x20000) + b"\r\n")

    with pytest.raises(InvalidHttpResponse, match="answer is not valid HTTP: "):
        parser.feed(b"1\nx\n0\n\n")
    assert (200, 2048) == (parser.partial.status, len(parser.partial.body))


async def test_its_connection_is_closed_and_another_taken(client):
    """
    No other call may read what is left over: that is what makes leniency harmless.
    """
    sloppy = b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"
    async with Hostile(sends_in_turn(sloppy, sloppy), sends_in_turn(answer(), answer())) as server:
        first = await client.send(a_call(server.url()))
        await server.gone.wait()
        assert repr(client) == "<EgressClient strict [busy 0 | idle 0]>"
        for _ in range(2):
            await client.send(a_call(server.url()))

        assert repr(client) == "<EgressClient strict [busy 0 | idle 1]>"

    assert (200, b"ok") == (first.status, first.body)
    assert server.connections == 2
