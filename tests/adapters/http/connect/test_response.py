"""Reading answers, without a socket: whole ones, cut ones, and those made to do harm."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.http.hostile import answer, chunked
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.response import InvalidHttpResponse, ResponseParser
from outrider.domain.calls.classify import CLASSIFIED_BYTES, classify_response
from outrider.domain.calls.request import Response
from outrider.domain.outcome import Outcome

SMALL = ClientLimits(
    max_head_bytes=1024, max_fields=5, max_interim_responses=2, max_body_bytes=2048
)
DEFAULTS = ClientLimits()
HEAD = b"HTTP/1.1 200 OK\r\n"
CUT = "connection closed in the middle of the answer's body"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
WHOLE = {
    "with a length": answer(200, b"hello", ("X-Empty", ""), ("X-Two", "a, b")),
    "in chunks": chunked(b"he", b"llo"),
    "in chunks with extensions and trailers": chunked(
        b"hello", end=b"0;last=1\r\nX-Trailer: a\r\nX-More: b\r\n\r\n"
    ),
    "after interim answers": EARLY_HINTS + b"HTTP/1.1 100 Continue\r\n\r\n" + answer(200, b"hi"),
    "without a body": answer(204),
    "not modified, with the length of what is not there": HEAD.replace(b"200", b"304")
    + b"Content-Length: 5\r\n\r\n",
    "without a reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
    "with octets that are not ASCII": answer(200, b"\x00\xff", ("X-Name", "\u00e4")),
}


def read(data: bytes, *, pieces: int | None = None, limits: ClientLimits = DEFAULTS):
    """Feed `data`, whole or in pieces; give the response, or the sentence of the error."""
    parser = ResponseParser(limits)
    size = pieces or len(data) or 1
    try:
        for start in range(0, len(data), size):
            whole = parser.feed(data[start : start + size])
            if whole is not None:
                return whole
        return parser.end()
    except InvalidHttpResponse as bad:
        return str(bad)


def test_an_answer_has_its_status_fields_and_body():
    """
    Status, Retry-After and body are what deliveries and interceptions are classified by.
    """
    expected = Response(
        429, (("content-length", "5"), ("retry-after", "7"), ("set-cookie", "a=b")), b"later"
    )
    fields = (("Retry-After", "7"), ("SET-COOKIE", "a=b"))

    assert expected == read(answer(429, b"later", *fields))


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
def test_an_answer_is_the_same_however_it_is_cut(data):
    """
    No receiver chooses where TCP cuts, and the parser must not care.
    """
    expected = read(data)
    results = {repr(read(data, pieces=size)) for size in range(1, len(data))}

    assert isinstance(expected, Response)
    assert {repr(expected)} == results


@given(st.data())
def test_an_answer_survives_any_cuts(data):
    """
    Not only equal pieces.
    """
    whole = data.draw(st.sampled_from(list(WHOLE.values())))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1))))
    parser = ResponseParser(DEFAULTS)
    results = [
        parser.feed(whole[start:end])
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)
    ]

    assert read(whole) == results[-1]
    assert not any(results[:-1])


@given(st.binary(max_size=300))
@example(b"HTTP/1.1 200 OK\r\n\r\nrest")
@example(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
def test_any_bytes_are_an_answer_or_a_sentence(data):
    """
    A receiver cannot choose which exception we raise.
    """
    result = read(data, limits=SMALL)

    assert isinstance(result, Response) or 0 < len(result) < 200


@given(st.binary(max_size=300))
def test_any_bytes_after_a_head_are_an_answer_or_a_sentence(data):
    """
    The same, past the first obstacle.
    """
    result = read(HEAD + data, limits=SMALL)

    assert isinstance(result, Response) or 0 < len(result) < 200


def test_a_body_in_a_coding_without_chunks_ends_with_the_connection():
    """
    Then nothing else says where it ends (RFC 9112, 6.3).
    """
    assert b"hello" == read(HEAD + b"Transfer-Encoding: gzip\r\n\r\nhello").body


def test_a_body_without_a_length_ends_with_the_connection():
    """
    HTTP/1.0 receivers still answer this way.
    """
    parser = ResponseParser(DEFAULTS)

    assert parser.feed(b"HTTP/1.0 200 OK\r\n\r\nall there") is None
    assert Response(200, (), b"all there is") == (parser.feed(b" is") or parser.end())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "connection closed before the answer was complete"),
        (HEAD, "connection closed before the answer was complete"),
        (EARLY_HINTS, "connection closed before the answer was complete"),
        (answer(200, b"hello")[:-1], f"{CUT}, after 4 of 5 bytes"),
        (chunked(b"hello", end=b""), f"{CUT}, after 5 bytes"),
        (chunked(b"hi", end=b"0\r\n"), f"{CUT}, after 2 bytes"),
    ],
)
def test_a_cut_answer_is_not_an_answer(data, reason):
    """
    Half an answer must not be applied to a request.
    """
    assert reason == read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 1000 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        HEAD + b"Content-Length: -5\r\n\r\nhello",
        HEAD + b"Content-Length: 99999999999999999999\r\n\r\nhello",
        HEAD + b"Content-Length: 5, 6\r\n\r\nhello",
        HEAD + b"Content-Length: five\r\n\r\nhello",
        b"HTTP/1.1 200OK\r\n\r\n",
        chunked()[:-5] + b"xyz\r\nhello\r\n0\r\n\r\n",
        chunked()[:-5] + b"-5\r\nhello\r\n0\r\n\r\n",
        chunked()[:-5] + b"ffffffffffffffffff\r\nhello",
        chunked()[:-5] + b"3\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(data):
    """
    What two parsers could understand differently is refused, not guessed.
    """
    result = read(data)

    assert isinstance(result, str)
    assert result.startswith("answer is not valid HTTP: ")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (HEAD + b"A: b\r\n" * 6 + b"\r\n", "answer with more than 5 header fields"),
        (
            HEAD + b"A: " + b"b" * 1100 + b"\r\n\r\n",
            "answer with a head larger than 1 KiB",
        ),
        (HEAD + b"A: " + b"b" * 1100, "answer with a head larger than 1 KiB"),
        (b"\r\n" * 600, "answer with a head larger than 1 KiB"),
        (b"HTTP/1.1 200 " + b"O" * 1100, "answer with a head larger than 1 KiB"),
        (EARLY_HINTS * 3, "more than 2 interim answers"),
        (HEAD + b"\r\n" + b"x" * 2049, "answer larger than 0.00195312 MiB"),
        (answer(200, b"x" * 2049), "answer larger than 0.00195312 MiB"),
        (chunked(b"x" * 1025, b"x" * 1024), "answer larger than 0.00195312 MiB"),
        (
            chunked(b"x", end=b"5;" + b"e" * 2000),
            "answer with a chunk framing larger than 1 KiB",
        ),
        (
            chunked(b"x", end=b"0\r\nX-Trailer: " + b"t" * 2000),
            "answer with a chunk framing larger than 1 KiB",
        ),
        (
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "answer with the status 101, which was not requested",
        ),
        (b"HTTP/1.1 099 Odd\r\n\r\n", "answer with the status 099, which was not requested"),
    ],
)
def test_every_bound_has_its_sentence(data, reason):
    """
    The owner of the URL writes the answer: nothing of it may grow without an end.
    """
    assert reason == read(data, pieces=700, limits=SMALL)


@pytest.mark.parametrize(
    "data",
    [
        answer(200, b"x" * 2048),
        chunked(*[b"x"] * 2048),
        HEAD + b"\r\n" + b"x" * 2048,
        HEAD + b"A: b\r\n" * 4 + b"Content-Length: 0\r\n\r\n",
        EARLY_HINTS * 2 + answer(200),
    ],
)
def test_a_bound_itself_is_allowed(data):
    """
    The limits are the documented ones, not one less.
    """
    assert isinstance(read(data, limits=SMALL), Response)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (answer(200, b"hi"), True),
        (chunked(b"hi"), True),
        (answer(200, b"hi", ("Connection", "close")), False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", True),
        (answer(200, b"hi") + b"H", False),
        (answer(200, b"hi") + answer(200, b"another"), False),
        (answer(200, b"hi") + b"garbage", False),
        (answer(200, b"hi", ("Connection", "close")) + b"garbage", False),
    ],
)
def test_only_a_clean_connection_is_used_again(data, expected):
    """
    Bytes left over would be read as the answer to another target's call.
    """
    parser = ResponseParser(DEFAULTS)
    whole = parser.feed(data)

    assert whole is not None
    assert whole.body == b"hi"
    assert expected == parser.reusable


@pytest.mark.parametrize("size", [-1, 0, 1, 70_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_what_is_not_kept_changes_no_classification(size, is_chunked):
    """
    Dropping the rest of a large answer must not make an error of data, nor data of an error.
    """
    error = b'{"forwardedStatusCode": 403}'
    body = error.ljust(CLASSIFIED_BYTES - 1 + size)
    data = chunked(body[:100], body[100:]) if is_chunked else answer(200, body)
    parser = ResponseParser(DEFAULTS)
    parser.begin(CLASSIFIED_BYTES)
    wholes = [parser.feed(data[at : at + 50_000]) for at in range(0, len(data), 50_000)]

    assert classify_response(read(data)) == classify_response(wholes[-1])
    assert (size < 1) == (classify_response(wholes[-1]).outcome is Outcome.FAILED)
    assert len(wholes[-1].body) <= CLASSIFIED_BYTES + 50_000


def test_what_is_not_kept_still_counts():
    """
    Else an answer without an end would be read without an end.
    """
    parser = ResponseParser(SMALL)
    parser.begin(10)

    with pytest.raises(InvalidHttpResponse, match="answer larger than"):
        parser.feed(chunked(*[b"x" * 100] * 21))


def test_a_parser_reads_one_answer_after_the_other():
    """
    A kept connection must not mix the fields of two answers.
    """
    parser = ResponseParser(DEFAULTS)
    for data in [chunked(b"one", end=b"0\r\nX-Trailer: a\r\n\r\n"), answer(204), chunked(b"two")]:
        parser.begin()
        assert read(data) == parser.feed(data)


def in_chunks(chunk: bytes, count: int) -> bytes:
    return chunked(*[chunk] * count)


def test_a_body_in_tiny_chunks_is_given_up():
    """
    A chunk costs more than its bytes: 20 MiB of them took 6 s of the event loop.
    """
    few = in_chunks(b"x", DEFAULTS.max_small_chunks)
    many = in_chunks(b"x", DEFAULTS.max_small_chunks + 200)

    assert read(few, pieces=4096).body == b"x" * DEFAULTS.max_small_chunks
    assert read(many, pieces=4096) == "answer in chunks smaller than 64 bytes"


def test_a_large_body_in_usual_chunks_is_taken():
    """
    Servers that stream write a few hundred bytes at a time.
    """
    assert len(read(in_chunks(bytes(100), 100_000), pieces=65536).body) == 10_000_000
