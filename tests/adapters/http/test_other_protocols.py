"""Ports where something else than HTTP/1 answers: each error says what it is, and what to do."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import grpc
import pytest
from cryptography.hazmat.primitives import serialization

from adapters.http.certificates import Authority
from adapters.http.connect.test_policy_tls import Pair
from adapters.http.hostile import Hostile, answer
from adapters.http.names import a_call, failure_of
from adapters.http.secure import SecureServer
from adapters.http.test_policies import built
from outrider.adapters.http.connect.connection import Connection
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.net.endpoint import parse_endpoint
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import TargetPolicy, TlsPolicy

ONLY_HTTP2 = (
    "the receiver speaks only HTTP/2; let it accept HTTP/1.1 as well, or put a proxy in front of it"
)
SETTINGS = bytes.fromhex("000012 04 00 00000000 0003 00000080 0004 00010000 0005 00ffffff")
GOAWAY = bytes.fromhex("000008 07 00 00000000 00000000 00000001")
NO_APPLICATION_PROTOCOL = bytes.fromhex("15 0303 0002 02 78")
AUTHORITY = Authority()
CLIENT = Pair(AUTHORITY)


@asynccontextmanager
async def grpc_server(credentials=None):
    """HTTP/2 and nothing else, as gRPC's own library serves it."""
    server = grpc.aio.server()
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def greets(data: bytes):
    """Says something as soon as the client has, or without waiting for it."""

    async def script(peer):
        await peer.receive()
        await peer.say(data)
        await peer.until_gone()

    return script


async def failed_at(client, data: bytes, scheme: str = "http"):
    async with Hostile(greets(data)) as server:
        return await failure_of(client, a_call(server.url().replace("http", scheme, 1)))


async def test_a_grpc_server_speaks_only_http_2(client):
    """
    A webhook's path on the port of a gRPC service is an easy mistake.
    """
    async with grpc_server() as port:
        failed = await failure_of(client, a_call(f"http://127.0.0.1:{port}/hook"))

    # It begins by itself, perhaps before the request is sent.
    assert failed.stage in {Stage.SEND, Stage.ANSWER}
    assert (Outcome.UNREACHABLE, ONLY_HTTP2) == (failed.outcome, failed.reason)


async def test_a_grpc_server_over_tls_speaks_only_http_2(open_http_client):
    """
    There the protocol is agreed on in the handshake (ALPN).
    """
    certificate, private_key = AUTHORITY.server_certificate("127.0.0.1")
    pem = serialization.Encoding.PEM
    key_pem = private_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    credentials = grpc.ssl_server_credentials([(key_pem, certificate.public_bytes(pem))])
    client = open_http_client(ssl_context=AUTHORITY.client_context())
    async with grpc_server(credentials) as port:
        failed = await failure_of(client, a_call(f"https://127.0.0.1:{port}/hook"))

    assert Outcome.UNREACHABLE == failed.outcome
    assert failed.reason.endswith(
        "; it did not choose HTTP/1.1 in the TLS handshake (ALPN), so perhaps it speaks only HTTP/2"
    )


async def test_a_server_that_agrees_on_no_protocol_is_told_apart(client):
    """
    Go's servers that have only "h2" end the handshake with this alert.
    """
    failed = await failed_at(client, NO_APPLICATION_PROTOCOL, "https")

    assert (
        Stage.TLS,
        f"TLS handshake failed: tlsv1 alert no application protocol; {ONLY_HTTP2}",
    ) == (
        failed.stage,
        failed.reason,
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (SETTINGS, ONLY_HTTP2),
        (SETTINGS + GOAWAY, ONLY_HTTP2),
        (GOAWAY + b"http/1.x is not spoken here", ONLY_HTTP2),
        (bytes.fromhex("15 0301 0002 02 50"), "; the port speaks TLS: begin the endpoint with https"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "; that is an SSH server: check the port of the endpoint"),
        (b"220 mail.example ESMTP\r\n", "; that is a server of SMTP or FTP: check the port of the endpoint"),
        (b"220-ftp.example\r\n220 ready\r\n", "; that is a server of SMTP or FTP: check the port of the endpoint"),
        (b"-ERR unknown command 'POST'\r\n", "; check host and port of the endpoint"),
        (b"<html>no head at all</html>", "; check host and port of the endpoint"),
        (bytes.fromhex("ffffff 04 00 00000000"), "; check host and port of the endpoint"),
        (b"\x00", "; check host and port of the endpoint"),
    ],
)  # fmt: skip
async def test_what_answers_is_named(client, data, expected):
    """
    The endpoint is wrong in most of these cases, and the operator has to see in what.
    """
    failed = await failed_at(client, data)

    assert (Outcome.UNREACHABLE, Stage.ANSWER) == (failed.outcome, failed.stage)
    assert failed.reason.endswith(expected)
    assert None is failed.partial
    if expected != ONLY_HTTP2:
        assert failed.reason.startswith("answer is not HTTP: it begins with ")
        assert len(failed.reason) < 300


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "that is an SSH server"),
        (b"220 mail.example ESMTP\r\n", "that is a server of SMTP or FTP"),
        (SETTINGS, ONLY_HTTP2),
        (answer(503), "the receiver answered before the request was sent: 'HTTP/1.1 503 OK"),
    ],
)
async def test_what_speaks_first_is_named(data, expected):
    """
    Its greeting may be there before the request: then nothing is sent, and the call fails by it.
    """

    async def greets_at_once(peer):
        await peer.say(data)
        await peer.until_gone()

    loop, closed = asyncio.get_running_loop(), asyncio.Event()
    async with Hostile(greets_at_once) as server:
        endpoint = parse_endpoint(server.url())
        connection = Connection(endpoint, ClientLimits(), ignore, lambda _: closed.set())
        await loop.create_connection(lambda: connection, "127.0.0.1", server.port)
        await closed.wait()
        with pytest.raises(RequestError) as failed:
            await connection.send(b"", loop.time() + 10, 10.0, 10)

    assert Stage.SEND == failed.value.stage
    assert expected in failed.value.reason


def ignore(_connection) -> None:
    pass


@pytest.mark.parametrize("data", [answer(400), b"SSH-2.0-OpenSSH_9.6\r\n", b"220 mail\r\n"])
async def test_a_port_without_tls_is_named(client, data):
    """
    https where http was meant, and the ports of other services.
    """
    failed = await failed_at(client, data, "https")

    assert Stage.TLS == failed.stage
    assert failed.reason == (
        "TLS handshake failed: wrong version number; the port does not speak TLS: begin the endpoint"
        " with http if it is meant to, else check the port"
    )


@pytest.mark.parametrize(
    ("version", "alert"),
    [
        (ssl.TLSVersion.TLSv1_3, "tlsv13 alert certificate required; give it a client certificate"),
        (
            ssl.TLSVersion.TLSv1_2,
            "sslv3 alert handshake failure; the receiver may ask for a client",
        ),
    ],
    ids=["TLS 1.3", "TLS 1.2"],
)
async def test_a_receiver_that_asks_for_our_certificate_is_named(client, version, alert):
    """
    With TLS 1.3 it refuses after our side of the handshake: nothing of the call was read.
    """
    context = AUTHORITY.server_context("127.0.0.1")
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=AUTHORITY.pem)
    policies = [
        TargetPolicy(tls=TlsPolicy(ca_pem=AUTHORITY.pem)),
        TargetPolicy(
            tls=TlsPolicy(
                ca_pem=AUTHORITY.pem, client_cert_pem=CLIENT.certificate, client_key_pem=CLIENT.key
            )
        ),
    ]
    async with refusing(context) as server:
        failed = await failure_of(client, built(server, policies[0]))
    async with SecureServer(context, answer(200, b"ok")) as server:
        response = await client.send(built(server.url(), policies[1]))

    assert (Outcome.UNREACHABLE, Stage.TLS) == (failed.outcome, failed.stage)
    assert failed.reason.startswith(f"TLS handshake failed: {alert}")
    assert "tls.clientCertPem of the target's policy" in failed.reason
    assert b"ok" == response.body


@asynccontextmanager
async def refusing(context: ssl.SSLContext):
    """A server that reads all that comes, so that its alert is not lost in a reset."""

    async def script(peer):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_side=True)
        try:
            while True:
                try:
                    session.do_handshake()
                except ssl.SSLWantReadError:
                    await peer.say(outgoing.read())
                    await peer.receive()
                    incoming.write(peer.unread)
                    peer.unread = b""
        except ssl.SSLError:
            await peer.say(outgoing.read())
        await peer.until_gone()

    async with Hostile(script) as server:
        yield server.url().replace("http", "https", 1)
