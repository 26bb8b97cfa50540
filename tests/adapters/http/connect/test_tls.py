"""TLS: the trusted authorities, and the error for each certificate that is not trusted."""

from __future__ import annotations

import ssl
import subprocess
import sys
from importlib.util import find_spec

import pytest

from adapters.http.certificates import EXPIRED, Authority
from adapters.http.hostile import Hostile, answer, closes_before_reading
from adapters.http.names import Names, a_call, failure_of
from adapters.http.secure import SecureServer
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.adapters.http.connect.tls import client_context
from outrider.domain.calls.request import Stage
from outrider.domain.outcome import Outcome

STRANGER = Authority("another authority")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def test_a_trusted_receiver_is_called_by_its_name(open_http_client, authority):
    """
    The connection goes to an address, the certificate and SNI speak of a name.
    """
    client = open_http_client(
        ssl_context=authority.client_context(), resolver=Names(**{"hooks.example.": "127.0.0.1"})
    )
    async with SecureServer(
        authority.server_context("hooks.example"), answer(200, b"ok")
    ) as server:
        result = await client.send(a_call(server.url(host="Hooks.Example.")))

        assert repr(client) == "<EgressClient strict [busy 0 | idle 1]>"

    assert result.body == b"ok"
    assert server.sent_names == ["hooks.example"]
    assert server.protocols[0] in {"TLSv1.2", "TLSv1.3"}


async def test_a_kept_tls_connection_is_used_again(open_http_client, authority):
    """
    A handshake costs more than the whole rest of a call.
    """
    client = open_http_client(ssl_context=authority.client_context())
    async with SecureServer(authority.server_context("127.0.0.1"), answer(200, b"ok")) as server:
        for _ in range(3):
            await client.send(a_call(server.url(), body=bytes(100_000)))

    assert server.connections == 1


@pytest.mark.parametrize(
    ("certificate", "trusted", "reason"),
    [
        pytest.param(
            {"host": "127.0.0.1"},
            STRANGER,
            "certificate verify failed: unable to get local issuer certificate; trust its authority, or"
            " the certificate itself: tls.caPem of the target's policy",
            id="unknown authority",
        ),
        pytest.param(
            {"host": "other.example"},
            None,
            "certificate verify failed: IP address mismatch, certificate is not valid for "
            "'127.0.0.1'; the host must be among the certificate's subject alternative names",
            id="another host",
        ),
        pytest.param(
            {"host": "127.0.0.1", "until": EXPIRED},
            None,
            "certificate verify failed: certificate has expired",
            id="expired",
        ),
    ],
)
async def test_a_certificate_we_cannot_trust_ends_the_call(
    open_http_client, authority, certificate, trusted, reason
):
    """
    Signed payloads carry personal data: no doubt about the receiver is small enough.
    """
    client = open_http_client(ssl_context=(trusted or authority).client_context())
    async with SecureServer(authority.server_context(**certificate), answer()) as server:
        failed = await failure_of(client, a_call(server.url()))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.TLS)
    assert reason == failed.reason


async def test_the_default_context_trusts_only_the_system(open_http_client, authority):
    """
    Without its own context a client must verify, too.
    """
    client = open_http_client()
    async with SecureServer(authority.server_context("127.0.0.1"), answer()) as server:
        failed = await failure_of(client, a_call(server.url()))

    assert failed.stage == Stage.TLS
    assert failed.reason.startswith("certificate verify failed: ")


def test_the_default_context_is_strict():
    """
    What a library's default does next year must not decide this.
    """
    context = client_context()

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_where_the_system_has_no_authorities_certifi_is_used():
    """
    Slim images come without certificates, and then every https target would fail.
    """
    code = (
        "from outrider.adapters.http.connect.tls import client_context;"
        "print(client_context().cert_store_stats()['x509_ca'])"
    )
    nowhere = {"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent"}
    trusted = subprocess.run(
        [sys.executable, "-c", code], env=nowhere, capture_output=True, check=True, text=True
    ).stdout

    assert (find_spec("certifi") is not None) == (int(trusted) > 0)


async def test_a_receiver_without_tls_is_told_apart(client):
    """
    https on a port that speaks http is the most usual mistake in an endpoint.
    """
    async with Hostile(talks_before_it_is_asked) as server:
        failed = await failure_of(client, a_call(server.url().replace("http:", "https:")))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.TLS)
    assert failed.reason == (
        "TLS handshake failed: wrong version number; the port does not speak TLS: begin the endpoint"
        " with http if it is meant to, else check the port"
    )


async def talks_before_it_is_asked(peer):
    await peer.receive()
    await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await peer.until_gone()


async def test_a_receiver_that_closes_in_the_handshake_is_told_apart(client):
    """
    Some receivers close instead of sending an alert.
    """
    async with Hostile(closes_before_reading) as server:
        failed = await failure_of(client, a_call(server.url().replace("http:", "https:")))

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.TLS)
    assert failed.reason == "TLS handshake failed: connection closed by the peer"


async def test_a_handshake_counts_against_the_call(client):
    """
    There is one deadline for everything.
    """
    async with Hostile(swallows) as server:
        call = a_call(server.url().replace("http:", "https:"), timeout=0.3)
        failed = await failure_of(client, call)
        await server.gone.wait()

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.TLS)
    assert failed.reason == "time-out after 0.3 s during the TLS handshake"


async def test_a_handshake_has_its_own_limit(open_http_client):
    """
    A target may wait 270 s for its answer, but not for a handshake.
    """
    client = open_http_client(limits=ClientLimits(handshake=0.1))
    async with Hostile(swallows) as server:
        failed = await failure_of(client, a_call(server.url().replace("http:", "https:")))
        await server.gone.wait()

    assert (failed.outcome, failed.stage) == (Outcome.UNREACHABLE, Stage.TLS)
    assert failed.reason == "no TLS handshake within 0.1 s"


async def swallows(peer):
    await peer.until_gone()
