"""`caPem` with less than a root: an intermediate, or the receiver's own certificate, is a pin."""

from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.http.certificates import (
    BIRTH,
    EXPIRED,
    FAR,
    Authority,
    alternative,
    context_of,
    pem_of,
)
from adapters.http.connect.test_policy_tls import exchange
from adapters.http.hostile import answer
from adapters.http.names import ALLOW_LOOPBACK, failure_of
from adapters.http.secure import SecureServer
from adapters.http.test_policies import built
from outrider.adapters.http.connect.tls import check_tls, client_context, policy_context
from outrider.domain.calls.request import Stage
from outrider.domain.targets.policy import TargetPolicy, TlsPolicy

HOST = "127.0.0.1"
ROOT = Authority("root")
INTERMEDIATE = Authority("intermediate", issuer=ROOT)
LEAF, LEAF_KEY = INTERMEDIATE.server_certificate(HOST)
OTHER_LEAF, OTHER_KEY = INTERMEDIATE.server_certificate(HOST)
NAMELESS, NAMELESS_KEY = ROOT.server_certificate("", name="hooks.example")


def self_signed(
    *, names: list[str], is_ca: bool | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """As `openssl req -x509` makes it, which is what most people pin."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, HOST)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(private_key.public_key()).serial_number(7)
    builder = builder.not_valid_before(BIRTH).not_valid_after(FAR)
    if names:
        alternatives = x509.SubjectAlternativeName(list(map(alternative, names)))
        builder = builder.add_extension(alternatives, critical=False)
    if is_ca is not None:
        constraints = x509.BasicConstraints(ca=is_ca, path_length=None)
        builder = builder.add_extension(constraints, critical=True)
    return builder.sign(private_key, hashes.SHA256()), private_key


SELF, SELF_KEY = self_signed(names=[HOST], is_ca=True)
BARE, BARE_KEY = self_signed(names=[HOST], is_ca=None)


@pytest.mark.parametrize(
    ("ca_pem", "server"),
    [
        pytest.param(pem_of(LEAF), (LEAF, LEAF_KEY), id="the leaf"),
        pytest.param(pem_of(LEAF), (LEAF, LEAF_KEY, INTERMEDIATE.root), id="the leaf of a chain"),
        pytest.param(INTERMEDIATE.pem, (LEAF, LEAF_KEY), id="the intermediate"),
        pytest.param(INTERMEDIATE.pem, (OTHER_LEAF, OTHER_KEY), id="another leaf of it"),
        pytest.param(ROOT.pem, (LEAF, LEAF_KEY, INTERMEDIATE.root), id="the root"),
        pytest.param(ROOT.pem + INTERMEDIATE.pem, (LEAF, LEAF_KEY), id="both"),
        pytest.param(pem_of(SELF), (SELF, SELF_KEY), id="one that signs itself"),
        pytest.param(pem_of(BARE), (BARE, BARE_KEY), id="one that signs itself, with few fields"),
    ],
)  # fmt: skip
async def test_what_is_listed_is_trusted(client, ca_pem, server):
    """
    It was accepted when it was saved, and then every call failed.
    """
    tls = TlsPolicy(ca_pem=ca_pem)
    check_tls(tls)
    async with SecureServer(context_of(*server), answer(200, b"ok")) as receiver:
        response = await client.send(built(receiver.url(), TargetPolicy(tls=tls)))

    assert b"ok" == response.body


@pytest.mark.parametrize(
    ("ca_pem", "server", "reason"),
    [
        (pem_of(LEAF), (OTHER_LEAF, OTHER_KEY), "unable to get local issuer certificate"),
        (pem_of(OTHER_LEAF), (LEAF, LEAF_KEY, INTERMEDIATE.root), "unable to get local issuer"),
        (pem_of(SELF), self_signed(names=[HOST], is_ca=True), "self-signed certificate"),
    ],
    ids=["another leaf", "another leaf of a chain", "another that signs itself"],
)
async def test_nothing_else_is(client, ca_pem, server, reason):
    """
    A pin that let others through would be none.
    """
    policy = TargetPolicy(tls=TlsPolicy(ca_pem=ca_pem))
    async with SecureServer(context_of(*server), answer()) as receiver:
        failed = await failure_of(client, built(receiver.url(), policy))

    assert Stage.TLS == failed.stage
    assert failed.reason.startswith(f"certificate verify failed: {reason}")
    assert failed.reason.endswith("tls.caPem of the target's policy")


async def test_a_pinned_certificate_ends_and_belongs_to_its_host(client):
    """
    A pin takes the place of an authority, and of nothing else.
    """
    expired = INTERMEDIATE.server_certificate(HOST, until=EXPIRED)
    elsewhere = INTERMEDIATE.server_certificate("other.example")
    reasons = []
    for certificate, private_key in (expired, elsewhere):
        policy = TargetPolicy(tls=TlsPolicy(ca_pem=pem_of(certificate)))
        async with SecureServer(context_of(certificate, private_key), answer()) as receiver:
            reasons.append((await failure_of(client, built(receiver.url(), policy))).reason)

    assert "certificate verify failed: certificate has expired" == reasons[0]
    assert reasons[1].startswith("certificate verify failed: IP address mismatch")


def test_a_name_counts_only_where_names_belong():
    """
    The common name was for that until 2000 (RFC 2818), and is free text.
    """
    server = context_of(NAMELESS, NAMELESS_KEY)
    contexts = [policy_context(TlsPolicy(ca_pem=ROOT.pem)), client_context()]
    contexts[1].load_verify_locations(cadata=ROOT.pem)

    for context in contexts:
        assert not context.hostname_checks_common_name
        with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'hooks.example'"):
            exchange(context, server, "hooks.example")


def test_a_pin_that_no_host_matches_is_refused_when_it_is_set():
    """
    Every call would fail, and say so one by one.
    """
    with pytest.raises(ValueError, match=r"^ca_pem holds a server's certificate without subject"):
        check_tls(TlsPolicy(ca_pem=ROOT.pem + pem_of(NAMELESS)))


def test_an_old_root_without_constraints_is_no_pin():
    """
    Private authorities of X.509 version 1 are still about, and sign what has names.
    """
    root, private_key = self_signed(names=[], is_ca=None)

    check_tls(TlsPolicy(ca_pem=pem_of(root)))
    assert private_key.key_size == 256


def test_lists_of_authorities_may_be_sloppy():
    """
    What newer Pythons ask of certificates by default would refuse roots that are in use.
    """
    context = policy_context(TlsPolicy(ca_pem=ROOT.pem))

    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


async def test_the_default_trust_pins_nothing(open_http_client):
    """
    The system's store is as its owner made it.
    """
    client = open_http_client(ALLOW_LOOPBACK)
    async with SecureServer(context_of(LEAF, LEAF_KEY), answer()) as receiver:
        failed = await failure_of(client, built(receiver.url(), TargetPolicy()))

    assert Stage.TLS == failed.stage
