"""What a target's policy does to its calls, from the policy to the wire."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

import pytest

from adapters.http.certificates import Authority
from adapters.http.connect.test_policy_tls import CA as OTHER_CA
from adapters.http.connect.test_policy_tls import ENCODING, Pair
from adapters.http.hostile import Hostile, answer, redirect, sends, sends_in_turn
from adapters.http.names import a_call, failure_of
from adapters.http.proxies import Proxy
from adapters.http.secure import SecureServer
from outrider.adapters.http.connect.transports import MAX_TRANSPORTS
from outrider.bootstrap.http_client import REQUEST_BUILDER, open_http_client
from outrider.config.loading import Settings
from outrider.domain.calls.request import DIRECT, OutboundRequest, Route, Stage
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.net.egress_policy import EgressProfile
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import TargetPolicy, TlsPolicy
from support.builders import a_target
from support.runtime import NOW

AUTHORITY = Authority()
CA = AUTHORITY.root.public_bytes(ENCODING).decode()
MINE, YOURS = Pair(AUTHORITY), Pair(AUTHORITY)
OWN = (("Authorization", "Bearer hunter2"), ("X-Api-Key", "hunter2"), ("user-agent", "mine/1"))


def identity(pair: Pair) -> TlsPolicy:
    return TlsPolicy(ca_pem=CA, client_cert_pem=pair.certificate, client_key_pem=pair.key)


def built(endpoint: str, policy: TargetPolicy) -> OutboundRequest:
    resolved_target = ResolvedTarget(a_target(endpoint=endpoint), policy=policy)
    return REQUEST_BUILDER.build(resolved_target, b"{}", message_id="31", now=NOW, attempt_number=1)


class CertificateServer(SecureServer):
    """A receiver that asks for a certificate. `shown` are the serial numbers of what came."""

    def __init__(self, data: bytes = answer()) -> None:
        super().__init__(AUTHORITY.server_context("127.0.0.1"), data)
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.context.load_verify_locations(cadata=CA)
        self.shown: list[str | None] = []

    async def serve(self, reader, writer) -> None:
        shown = writer.get_extra_info("ssl_object").getpeercert() or {}
        self.shown.append(shown.get("serialNumber"))
        await super().serve(reader, writer)


async def test_a_target_is_called_with_its_own_certificate_only(client):
    """
    A connection made under one target's name must never carry another target's call.
    """
    policies = [
        TargetPolicy(tls=identity(MINE)),
        TargetPolicy(tls=identity(YOURS)),
        TargetPolicy(tls=TlsPolicy(ca_pem=CA)),
    ]
    async with CertificateServer() as server:
        calls = [built(server.url(), policy) for policy in policies]
        for call in calls * 2:
            await client.send(call)

        assert repr(client) == "<EgressClient strict [busy 0 | idle 3]>"

    mine, yours, none = server.shown
    assert None not in {mine, yours}
    assert mine != yours
    assert none is None


async def test_equal_policies_share_their_connections(client):
    """
    Ten targets behind one certificate are one receiver; a policy that was read again is no other policy.
    """
    async with CertificateServer() as server:
        for _ in range(3):
            fresh = replace(identity(MINE), ca_pem=(CA + " ")[:-1])
            await client.send(built(server.url("/a"), TargetPolicy(tls=fresh)))

    assert len(server.shown) == 1


async def test_a_changed_certificate_counts_for_the_next_call(client):
    """
    When an operator replaces a leaked key, kept connections must not be used any more.
    """
    async with CertificateServer() as server:
        await client.send(built(server.url(), TargetPolicy(tls=identity(MINE))))
        await client.send(built(server.url(), TargetPolicy(tls=identity(YOURS))))

    assert len(set(server.shown)) == 2


async def test_the_authority_of_one_target_is_not_trusted_for_another(client):
    """
    A connection that a private authority vouched for is no good for who does not know it.
    """
    async with CertificateServer() as server:
        await client.send(built(server.url(), TargetPolicy(tls=TlsPolicy(ca_pem=CA))))
        default = await failure_of(client, built(server.url(), TargetPolicy()))
        other = TargetPolicy(tls=TlsPolicy(ca_pem=OTHER_CA))
        another = await failure_of(client, built(server.url(), other))

    assert [Stage.TLS, Stage.TLS] == [default.stage, another.stage]


async def test_calls_at_the_same_time_make_one_context(client):
    """
    Reading certificates sixty-four times for sixty-four calls would stop every call for seconds.
    """
    route = Route(identity(MINE))
    transport = client._transports.get(route)
    contexts = await asyncio.gather(*[transport.tls_context() for _ in range(10)])

    assert {id(contexts[0])} == {id(context) for context in contexts}
    assert transport is client._transports.get(Route(identity(MINE)))


def test_what_is_forgotten_is_made_again(client):
    """
    Contexts are heavy, so their number is bounded; forgetting one must not mix up two.
    """
    first = client._transports.get(Route(identity(MINE)))
    for number in range(MAX_TRANSPORTS):
        client._transports.get(Route(proxy_url=f"http://proxy-{number}.example"))
    again = client._transports.get(Route(identity(MINE)))

    assert again is not first
    assert again is client._transports.get(Route(identity(MINE)))


async def test_certificates_that_no_longer_work_fail_before_anything_else(client):
    """
    What an older release accepted must not end in a stack trace.
    """
    broken = Route(TlsPolicy(ca_pem="-----BEGIN CERTIFICATE-----\nhunter2"))
    failed = await failure_of(client, a_call("https://8.8.8.8/", route=broken))

    assert (Outcome.UNREACHABLE, Stage.BUILD) == (failed.outcome, failed.stage)
    expected = "no TLS with the policy's certificates: ca_pem is not a certificate in PEM"
    assert expected == failed.reason


async def test_a_targets_own_headers_arrive(client):
    """
    They are how most receivers know who calls.
    """
    async with Hostile(sends(answer())) as server:
        await client.send(built(server.url(), TargetPolicy(headers=OWN)))

    (request,) = server.requests
    assert request.header("Authorization") == "Bearer hunter2"
    assert request.all("User-Agent") == ["mine/1"]
    assert request.all("webhook-id") == ["31"]


async def test_sensitive_headers_stay_with_their_server(client):
    """
    Whatever they are called, they may be credentials; signatures are not.
    """
    async with Hostile(sends(answer())) as there, Hostile(sends(redirect(there.url()))) as here:
        await client.send(built(here.url(), TargetPolicy(headers=OWN)))

    (request,) = there.requests
    assert request.all("Authorization") + request.all("X-Api-Key") == []
    assert request.all("User-Agent") == ["outrider/test"]
    for name in ("ZITADEL-Signature", "X-ZITADEL-Signature", "webhook-signature", "webhook-id"):
        assert request.header(name) == here.requests[0].header(name)
    assert "hunter2" not in repr(request)


async def test_sensitive_headers_go_along_on_the_same_server(client):
    """
    A slash at the end is the most usual redirect of all.
    """
    async with Hostile(sends_in_turn(redirect("/hook/"), answer())) as server:
        await client.send(built(server.url(), TargetPolicy(headers=OWN)))

    assert [["hunter2"]] * 2 == [request.all("X-Api-Key") for request in server.requests]


async def test_sensitive_headers_do_not_come_back_on_a_later_hop(client):
    """
    Once another server steered the request, coming home does not make it ours again.
    """
    async with Hostile() as here, Hostile(sends(redirect(here.url("/back")))) as there:
        here.scripts = (sends_in_turn(redirect(there.url()), answer()),)
        await client.send(built(here.url(), TargetPolicy(headers=OWN)))

    assert [["hunter2"], []] == [request.all("X-Api-Key") for request in here.requests]


async def test_our_certificate_stays_with_its_server(client):
    """
    The server a target redirects to does not get our certificate, and no further authority is trusted on the way.
    """
    async with CertificateServer() as there, CertificateServer(redirect(there.url())) as here:
        await client.send(built(here.url(), TargetPolicy(tls=identity(MINE))))

    assert here.shown[0] is not None
    assert [None] == there.shown


async def test_a_redirect_does_not_leave_the_trusted_authorities(client):
    """
    The target's owner named the authorities to trust, and not also every server that one of them names.
    """
    stranger = SecureServer(Authority("another").server_context("127.0.0.1"), answer())
    async with stranger, CertificateServer(redirect(stranger.url())) as here:
        call = built(here.url(), TargetPolicy(tls=identity(MINE)))
        failed = await failure_of(client, call)

    assert Stage.TLS == failed.stage
    assert not stranger.heard.is_set()


async def test_redirects_keep_to_the_proxy(client):
    """
    A direct hop would be seen where only the proxy should be seen.
    """
    async with Proxy() as proxy, Hostile(sends(answer())) as there, Hostile() as here:
        here.scripts = (sends(redirect(there.url())),)
        policy = TargetPolicy(tls=identity(MINE), proxy_url=proxy.url())
        await client.send(built(here.url(), policy))

    ports = [line.split(" ")[1] for line in proxy.asked]
    assert [f"127.0.0.1:{here.port}", f"127.0.0.1:{there.port}"] == ports


@pytest.mark.parametrize("is_proxy_secure", [False, True], ids=["http proxy", "https proxy"])
async def test_our_certificate_goes_to_the_target_and_not_to_the_proxy(
    open_http_client, is_proxy_secure
):
    """
    The identity is the target's business; the proxy has its own password.
    """
    client = open_http_client(ssl_context=AUTHORITY.client_context())
    context = CertificateServer().context if is_proxy_secure else None
    async with Proxy(context) as proxy, CertificateServer() as server:
        policy = TargetPolicy(tls=identity(MINE), proxy_url=proxy.url())
        await client.send(built(server.url(), policy))
        (to_proxy, *_) = proxy.writers
        secured = to_proxy.get_extra_info("ssl_object")

        assert is_proxy_secure == (secured is not None)
        assert not is_proxy_secure or not secured.getpeercert()
    assert server.shown[0] is not None


async def test_the_servers_proxy_is_a_setting():
    """
    Where every call leaves through a proxy, no operator wants to write it into every target.
    """
    async with Proxy() as proxy, Hostile(sends(answer())) as target:
        settings = Settings(egress_profile=EgressProfile.DEV, egress_proxy=proxy.url("a:b@"))
        async with open_http_client(settings, 1) as client:
            await client.send(built(target.url(), TargetPolicy()))

    assert [f"CONNECT 127.0.0.1:{target.port} HTTP/1.1"] == proxy.asked


def test_a_call_without_a_policy_takes_the_default_route():
    """
    Looking up a transport for every call of every target would cost those that need none.
    """
    assert built("http://a.example/", TargetPolicy()).route == DIRECT
    default = ResolvedTarget(a_target())
    call = REQUEST_BUILDER.build(default, b"", message_id="1", now=NOW)
    assert call.route is DIRECT


def test_nothing_secret_of_a_policy_shows():
    """
    Calls are printed into logs.
    """
    policy = TargetPolicy(tls=identity(MINE), headers=OWN, proxy_url="http://a:hunter2@b")
    call = built("https://hooks.example/", policy)

    shown = repr([call, call.route, policy, call.route.without_identity()])
    assert "hunter2" not in shown
    assert "PRIVATE" not in shown
