"""Whatever is sent, the answer tells what is wrong, in the caller's protocol, and nothing breaks."""

from __future__ import annotations

import gzip
import json
import struct
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protobuf.wkt import Duration, Timestamp

from api.asgi_client import ApiClient, in_process
from api.sample import OWNER, Lines, sample_app
from api.wires import CONTENT_TYPES, HttpRequest, HttpResponse, Wire, result_of
from outrider.api.asgi.gzip import MAX_MEMBERS
from outrider.api.asgi.limits import REQUEST_BYTES
from outrider_api.zitadel.action.v2.action_service_pb import (
    AddPublicKeyRequest,
    CreateTargetRequest,
    CreateTargetResponse,
)

CREATE = "/zitadel.action.v2.ActionService/CreateTarget"
ADD_KEY = "/zitadel.action.v2.ActionService/AddPublicKey"
TARGETS = "/v2/actions/targets"
FRAMED = (Wire.GRPC, Wire.GRPC_WEB, Wire.GRPC_WEB_TEXT)
BINARY = (Wire.CONNECT_PROTO, *FRAMED)

every_wire = pytest.mark.parametrize("wire", list(Wire), ids=str)


def framed(wire: Wire, data: bytes, flags: int = 0) -> bytes:
    """A message as this wire would carry it, good or bad."""
    if wire not in FRAMED:
        return data
    body = struct.pack(">BI", flags, len(data)) + data
    return b64encode(body) if wire is Wire.GRPC_WEB_TEXT else body


def post(wire: Wire, body: bytes, path: str = CREATE, **headers: str) -> HttpRequest:
    """A POST on this wire with the owner's token."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    path = TARGETS if wire is Wire.REST else path
    return HttpRequest("POST", path, {"content-type": CONTENT_TYPES[wire], **OWNER, **named}, body)


async def refused(client: ApiClient, wire: Wire, request: HttpRequest) -> tuple[str, str]:
    """Code and text of the error."""
    result = result_of(wire, await client.exchange(request), CreateTargetResponse)
    return result.code, result.text


@pytest.mark.parametrize("wire", [Wire.CONNECT_JSON, Wire.REST], ids=str)
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"{} {}",
        b'{"name": 1}',
        b'{"name": "\xff\xfe"}',
        b'{"name": "\\ud800"}',
        b'{"timeout": "soon"}',
        b'{"timeout": "99999999999999999999s"}',
        b'{"name": NaN}',
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"name": ' + b"[" * 100_000,
        b'{"name": ' + b'{"a":' * 100_000,
        b'{"restCall": {}, "restAsync": {}}',
        "{}".encode("utf-16"),
    ],
    ids=repr,
)
async def test_what_is_not_json_of_the_message_is_an_invalid_argument(
    client: ApiClient, wire: Wire, body: bytes
):
    """
    A typing mistake must not look like an outage.
    """
    code, text = await refused(client, wire, post(wire, body))
    assert code == "invalid_argument"
    assert text.startswith("unmarshal message: ")
    assert len(text) < 600


@pytest.mark.parametrize("wire", BINARY, ids=str)
@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7f"], ids=repr)
async def test_what_is_not_protobuf_is_an_invalid_argument(client: ApiClient, wire: Wire, data):
    """
    Truncated messages and texts that are not UTF-8 are the caller's.
    """
    code, text = await refused(client, wire, post(wire, framed(wire, data)))
    assert code == "invalid_argument"
    assert text.startswith("unmarshal message: ")


@pytest.mark.parametrize("wire", BINARY, ids=str)
@pytest.mark.parametrize("seconds", [2**62, -(2**62), 253_402_300_800])
async def test_absurd_times_are_refused_before_a_handler_converts_them(
    client: ApiClient, wire: Wire, seconds: int
):
    """
    JSON cannot say them, but binary protobuf can; converting one raises OverflowError.
    """
    key = AddPublicKeyRequest(
        target_id="1", public_key=b"k", expiration_date=Timestamp(seconds=seconds)
    )
    request = post(wire, framed(wire, key.to_binary()), ADD_KEY)
    assert await refused(client, wire, request) == (
        "invalid_argument",
        "invalid AddPublicKeyRequest.ExpirationDate: value is not a valid timestamp",
    )
    target = CreateTargetRequest(name="n", timeout=Duration(seconds=2**60, nanos=1))
    request = post(wire, framed(wire, target.to_binary()))
    assert await refused(client, wire, request) == (
        "invalid_argument",
        "invalid CreateTargetRequest.Timeout: value is not a valid duration",
    )


@every_wire
async def test_a_message_over_the_limit_is_refused_by_its_size(client: ApiClient, wire: Wire):
    """
    The text names the limit, so that a publisher knows how to split.
    """
    body = framed(wire, b" " * (REQUEST_BYTES + 1))
    assert await refused(client, wire, post(wire, body)) == (
        "invalid_argument",
        f"request is larger than {REQUEST_BYTES} bytes",
    )


@every_wire
async def test_a_message_of_just_the_limit_is_read(client: ApiClient, wire: Wire):
    """
    The limit is what the contract says and not a byte less.
    """
    empty = b"{}" if wire in {Wire.CONNECT_JSON, Wire.REST} else b""
    filler = b" " if empty else b"\xfa\xff\xff\x01"
    if empty:
        data = empty + filler * (REQUEST_BYTES - len(empty))
    else:
        data = CreateTargetRequest(name="n" * (REQUEST_BYTES - 5)).to_binary()
    assert len(data) == REQUEST_BYTES
    code, text = await refused(client, wire, post(wire, framed(wire, data)))
    assert (code, text[:34]) == ("invalid_argument", "invalid CreateTargetRequest.Name: ")


@every_wire
@pytest.mark.parametrize("length", ["99999999999", "9" * 5000])
async def test_an_absurd_length_is_refused_before_anything_is_read(
    client: ApiClient, wire: Wire, length: str
):
    """
    The server does not wait for a terabyte that was announced.
    """
    request = post(wire, framed(wire, b""), content_length=length)
    code, text = await refused(client, wire, request)
    assert (code, text) == ("invalid_argument", f"request is larger than {REQUEST_BYTES} bytes")


@every_wire
async def test_a_length_that_is_no_number_is_refused(client: ApiClient, wire: Wire):
    """
    Servers differ in what they let through.
    """
    code, text = await refused(client, wire, post(wire, b"", content_length="-1"))
    assert (code, text) == ("invalid_argument", "content-length is not a number")


@every_wire
async def test_a_header_that_is_not_utf8_is_refused_by_name(
    client: ApiClient, log: Lines, wire: Wire
):
    """
    The protocol library cannot read it, and would answer with a bare 500.
    """
    request = post(wire, framed(wire, b"{}"), x_note="caf\xe9")
    code, text = await refused(client, wire, request)
    assert (code, text) == ("invalid_argument", "header x-note is not UTF-8")
    assert [line["event"] for line in log.lines] == ["http.answered"]


@pytest.mark.parametrize("wire", [Wire.CONNECT_JSON, Wire.CONNECT_PROTO, Wire.REST], ids=str)
async def test_gzip_is_read(client: ApiClient, wire: Wire):
    """
    Publishers with large batches compress them.
    """
    plain = b"{}" if wire is not Wire.CONNECT_PROTO else b""
    request = post(wire, gzip.compress(plain), content_encoding="gzip")
    code, text = await refused(client, wire, request)
    assert (code, text[:34]) == ("invalid_argument", "invalid CreateTargetRequest.Name: ")


@pytest.mark.parametrize("wire", [Wire.CONNECT_JSON, Wire.CONNECT_PROTO, Wire.REST], ids=str)
@pytest.mark.parametrize("body", [b"plain", gzip.compress(b"{}" * 9)[:-9]], ids=["plain", "cut"])
async def test_broken_gzip_is_an_invalid_argument(client: ApiClient, wire: Wire, body: bytes):
    """
    A proxy that lies about the encoding is found by the text.
    """
    code, text = await refused(client, wire, post(wire, body, content_encoding="gzip"))
    assert code == "invalid_argument"
    assert "decompress" in text or "unpacked" in text


@every_wire
async def test_a_small_body_that_unpacks_to_a_large_one_is_refused(client: ApiClient, wire: Wire):
    """
    Four megabytes is the limit of what is unpacked too; a bomb must not fill the memory.
    """
    bomb = gzip.compress(b" " * (8 * REQUEST_BYTES), compresslevel=1)
    encoding = "grpc_encoding" if wire in FRAMED else "content_encoding"
    request = post(wire, framed(wire, bomb, flags=1), **{encoding: "gzip"})
    assert await refused(client, wire, request) == (
        "invalid_argument",
        f"request is larger than {REQUEST_BYTES} bytes",
    )


@every_wire
async def test_many_members_of_gzip_are_refused(client: ApiClient, wire: Wire):
    """
    Each is a few bytes, and takes as long as a copy of all that follow.
    """
    members = gzip.compress(b"") * (REQUEST_BYTES // 32)
    encoding = "grpc_encoding" if wire in FRAMED else "content_encoding"
    request = post(wire, framed(wire, members, flags=1), **{encoding: "gzip"})
    code, text = await refused(client, wire, request)
    assert code == "invalid_argument"
    assert f"more than {MAX_MEMBERS} members" in text


async def test_many_pieces_of_base64_are_refused(client: ApiClient):
    """
    A million texts of one byte are a message too, as the protocol has it.
    """
    request = post(Wire.GRPC_WEB_TEXT, b"AA==" * (REQUEST_BYTES // 4))
    code, text = await refused(client, Wire.GRPC_WEB_TEXT, request)
    assert (code, text) == ("invalid_argument", "body has more than 2000 Base64 padding characters")


@pytest.mark.parametrize(
    "path", ["/" * 9000, f"{TARGETS}/{'%20' * 3000}", f"/v1/events{'x' * 9000}"]
)
async def test_a_path_longer_than_any_is_refused_immediately(client: ApiClient, path: str):
    """
    It is decoded segment by segment, before authentication.
    """
    response = await client.exchange(HttpRequest("GET", path, {}))
    assert (response.status, response.json()["message"]) == (
        400,
        "the path is longer than 8192 bytes",
    )


async def test_a_long_query_is_no_long_path(client: ApiClient):
    response = await client.exchange(HttpRequest("GET", f"{TARGETS}/7?a={'x' * 9000}", OWNER))
    assert response.status == 200


@every_wire
async def test_an_unknown_encoding_is_refused(client: ApiClient, wire: Wire):
    """
    Guessing would read garbage.
    """
    encoding = "grpc_encoding" if wire in FRAMED else "content_encoding"
    request = post(wire, framed(wire, b"{}", flags=1), **{encoding: "br"})
    code, text = await refused(client, wire, request)
    assert code == ("invalid_argument" if wire is Wire.REST else "unimplemented")
    assert "br" in text
    assert "gzip" in text


@pytest.mark.parametrize("wire", FRAMED, ids=str)
@pytest.mark.parametrize(
    "body",
    [b"", b"\x00", b"\x00\x00\x00\x00\x09abc", b"\x7f\x00\x00\x00\x00", b"\x01\x00\x00\x00\x01a"],
    ids=["empty", "cut head", "cut message", "unknown flags", "compressed without encoding"],
)
async def test_broken_frames_are_the_callers(client: ApiClient, log: Lines, wire: Wire, body):
    """
    A frame that cannot be read is no fault of ours, and fills no error log.
    """
    sent = b64encode(body) if wire is Wire.GRPC_WEB_TEXT else body
    code, _ = await refused(client, wire, post(wire, sent))
    assert code in {"invalid_argument", "unimplemented"}
    assert [line["event"] for line in log.lines] == ["rpc.answered"]


@pytest.mark.parametrize("wire", FRAMED, ids=str)
async def test_two_messages_are_not_one(client: ApiClient, wire: Wire):
    """
    Every procedure takes exactly one message.
    """
    one = framed(Wire.GRPC, b"")
    sent = b64encode(one + one) if wire is Wire.GRPC_WEB_TEXT else one + one
    code, text = await refused(client, wire, post(wire, sent))
    assert (code, text) == ("unimplemented", "unary request has multiple messages")


@pytest.mark.parametrize("body", [b"!!!!", b"AAAAA", b"=", "ü".encode()])
async def test_what_is_not_base64_is_an_invalid_argument(client: ApiClient, body: bytes):
    """
    gRPC-Web-text is Base64 and nothing else.
    """
    wire = Wire.GRPC_WEB_TEXT
    assert await refused(client, wire, post(wire, body)) == (
        "invalid_argument",
        "body is not Base64",
    )


@pytest.mark.parametrize("value", ["soon", "-1", "99999999999", "1_000", "٣"])
async def test_a_timeout_that_is_none_is_refused(client: ApiClient, value: str):
    """
    Ignoring it would make the caller wait for longer than it said.
    """
    encoded = value.encode().decode("latin-1")
    request = post(Wire.CONNECT_JSON, b"{}", connect_timeout_ms=encoded)
    code, _ = await refused(client, Wire.CONNECT_JSON, request)
    assert code == "invalid_argument"
    for wire in (Wire.GRPC, Wire.REST):
        request = post(wire, framed(wire, b"{}"), grpc_timeout=encoded)
        code, _ = await refused(client, wire, request)
        assert code == "invalid_argument"


async def plain(client: ApiClient, method: str, path: str, **headers: str) -> HttpResponse:
    """A request without a body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.exchange(HttpRequest(method, path, OWNER | named))


async def test_another_content_type_is_refused_with_those_that_are_read(client: ApiClient):
    """
    The answer tells the caller what to send instead.
    """
    for kind in ("text/plain", "application/xml", "application/connect+json", ""):
        response = await plain(client, "POST", CREATE, content_type=kind)
        assert response.status == 415
        assert "application/json" in response.headers["accept-post"]
        assert response.json()["code"] == "unimplemented"
    response = await plain(client, "POST", CREATE)
    assert (response.status, response.json()["message"]) == (415, "content type is missing")


async def test_a_content_type_with_parameters_or_capitals_is_the_same(client: ApiClient):
    """
    Clients write it as they like.
    """
    for kind in ("application/json; charset=utf-8", "Application/JSON", " application/json "):
        request = HttpRequest("POST", CREATE, OWNER | {"content-type": kind}, b"{}")
        assert (await client.exchange(request)).json()["message"].startswith("invalid Create")


async def test_another_http_method_is_refused_with_the_one_that_is_served(client: ApiClient):
    """
    A GET of a procedure in a browser is a usual first try.
    """
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        response = await plain(client, method, CREATE)
        assert (response.status, response.headers["allow"]) == (405, "POST")


async def test_an_unknown_procedure_is_named(client: ApiClient):
    """
    404 over HTTP, `unimplemented` for every protocol.
    """
    path = "/zitadel.action.v2.ActionService/Nope"
    response = await plain(client, "POST", path, content_type="application/json")
    expected = {"code": "unimplemented", "message": f"unknown procedure {path}"}
    assert (response.status, response.json()) == (404, expected)
    for wire in FRAMED:
        for unknown in (path, "/other.Service/Do", "/x\xff\xfe"):
            response = await plain(client, "POST", unknown, content_type=CONTENT_TYPES[wire])
            assert result_of(wire, response, CreateTargetResponse).code == "unimplemented"
            assert response.status == 200


async def test_grpc_without_trailers_is_refused_in_headers(log: Lines):
    """
    Over HTTP/1.1 an answer could not be ended; gRPC-Web works there.
    """
    exchange = in_process(sample_app(log), trailers=False)
    response = await exchange(post(Wire.GRPC, framed(Wire.GRPC, b"")))
    assert response.headers["grpc-status"] == "12"
    response = await exchange(post(Wire.GRPC_WEB, framed(Wire.GRPC_WEB, b"")))
    assert result_of(Wire.GRPC_WEB, response, CreateTargetResponse).code == "invalid_argument"


async def test_a_part_that_breaks_is_answered_and_logged(log: Lines):
    """
    Any application mounted next to the API may fail; the caller gets a reference, not a cut line.
    """

    async def broken(_scope, _receive, _send):
        raise ZeroDivisionError

    app = sample_app(log, mounts={"/broken": broken})
    response = await in_process(app)(HttpRequest("GET", "/broken/window"))
    assert response.status == 500
    assert response.json()["message"] == f"internal error, reference {log.lines[0]['reference']}"


async def test_an_answer_that_breaks_halfway_is_cut(log: Lines):
    """
    Once an answer has begun, only a cut connection tells the caller that it is not whole.
    """

    async def half(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    app = sample_app(log, mounts={"/half": half})
    with pytest.raises(ZeroDivisionError):
        await in_process(app)(HttpRequest("GET", "/half"))


class TestAnyBytes:
    """Properties: no bytes are answered with a fault of ours."""

    @given(st.binary(max_size=200), st.sampled_from(list(Wire)))
    async def test_any_body_gets_an_answer_that_blames_the_caller(self, body: bytes, wire: Wire):
        """
        A client that can send bytes must not be able to fill the error log or raise the alarm.
        """
        log = Lines()
        exchange = in_process(sample_app(log))
        result = result_of(wire, await exchange(post(wire, body)), CreateTargetResponse)
        assert result.code in {"ok", "invalid_argument", "unimplemented"}
        assert "rpc.failed" not in [line["event"] for line in log.lines]

    @given(
        st.text(max_size=60),
        st.binary(max_size=60),
        st.sampled_from(["GET", "POST", "PATCH"]),
    )
    async def test_any_path_gets_an_answer_that_blames_the_caller(self, path, query, method):
        """
        Paths and queries are the first thing that scanners try.
        """
        log = Lines()
        exchange = in_process(sample_app(log))
        # The root alone is no mistake: it leads to the reference.
        target = "/~" + path.encode().decode("latin-1") + "?" + query.decode("latin-1")
        response = await exchange(HttpRequest(method, target, OWNER))
        assert 400 <= response.status < 500
        assert json.loads(response.body)["code"]
        assert {line["event"] for line in log.lines} <= {"http.answered"}


def test_the_harness_reads_base64_in_pieces():
    """
    The text wire's padding stands in the middle, as in real streams.
    """
    assert b"".join(b64decode(p) for p in (b"AA==", b"AQI=")) == b"\x00\x01\x02"
