"""TLS with a policy: another authority, and a client certificate."""

from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.http.certificates import FAR, Authority
from outrider.adapters.http.connect.tls import check_tls, policy_context
from outrider.domain.targets.policy import TlsPolicy

ENCODING = serialization.Encoding.PEM
PLAIN = serialization.NoEncryption()


def pem_of_key(private_key, encryption=PLAIN) -> str:
    pkcs8 = serialization.PrivateFormat.PKCS8
    return private_key.private_bytes(ENCODING, pkcs8, encryption).decode()


class Pair:
    """A certificate of a client, with its key."""

    def __init__(self, authority: Authority) -> None:
        self.private_key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "outrider")])
        builder = authority.certificate(name, self.private_key.public_key(), FAR)
        signed = builder.sign(authority.private_key, hashes.SHA256())
        self.certificate = signed.public_bytes(ENCODING).decode()
        self.key = pem_of_key(self.private_key)


AUTHORITY = Authority()
CA = AUTHORITY.root.public_bytes(ENCODING).decode()
PAIR, OTHER = Pair(AUTHORITY), Pair(AUTHORITY)
ENCRYPTED = pem_of_key(PAIR.private_key, serialization.BestAvailableEncryption(b"secret"))


def exchange(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> dict:
    """Shake hands in memory; what the server knows of the client's certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    ended = set()
    for side in (ours, theirs, ours, theirs, ours):
        try:
            side.do_handshake()
            ended.add(side)
        except ssl.SSLWantReadError:
            pass
    assert {ours, theirs} == ended
    return theirs.getpeercert() or {}


def test_the_given_authority_is_trusted_and_we_show_our_certificate():
    """
    That is what a zero-trust network asks for.
    """
    server = AUTHORITY.server_context("receiver.example")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=CA)
    tls = TlsPolicy(ca_pem=CA, client_cert_pem=PAIR.certificate, client_key_pem=PAIR.key)

    shown = exchange(policy_context(tls), server, "receiver.example")

    assert ((("commonName", "outrider"),),) == shown["subject"]


def test_no_other_authority_is_trusted():
    """
    The given authorities take the place of the system's, and host names count.
    """
    context = policy_context(TlsPolicy(ca_pem=CA))

    assert 1 == context.cert_store_stats()["x509_ca"]
    assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version
    with pytest.raises(ssl.SSLCertVerificationError):
        exchange(
            context, Authority("another").server_context("receiver.example"), "receiver.example"
        )
    with pytest.raises(ssl.SSLCertVerificationError):
        exchange(context, AUTHORITY.server_context("other.example"), "receiver.example")


def test_a_certificate_of_ours_leaves_the_systems_trust_as_it_is():
    """
    Our certificate does not tell which authorities we trust.
    """
    tls = TlsPolicy(client_cert_pem=PAIR.certificate + CA, client_key_pem=PAIR.key)
    context = policy_context(tls)

    with pytest.raises(ssl.SSLCertVerificationError):
        exchange(context, AUTHORITY.server_context("receiver.example"), "receiver.example")


def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """A key of this size whose factors are no primes: to find some takes a minute."""
    p, q = (1 << (bits // 2 - 1)) * 3 // 2 + 1, (1 << (bits // 2 - 1)) * 5 // 4 + 7
    public = rsa.RSAPublicNumbers(65537, p * q)
    inverse = rsa.rsa_recover_private_exponent(65537, p, q)
    numbers = rsa.RSAPrivateNumbers(
        p,
        q,
        inverse,
        rsa.rsa_crt_dmp1(inverse, p),
        rsa.rsa_crt_dmq1(inverse, q),
        rsa.rsa_crt_iqmp(p, q),
        public,
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def test_a_key_whose_signatures_take_long_is_refused():
    """
    A handshake needs one, and is made by a worker that others wait for.
    """
    tls = TlsPolicy(client_cert_pem=PAIR.certificate, client_key_pem=pem_of_key(rsa_key(8192)))
    with pytest.raises(ValueError, match="client_key_pem has 8191 bits, more than 4096"):
        check_tls(tls)


@pytest.mark.parametrize(
    ("tls", "reason"),
    [
        (TlsPolicy(ca_pem="no PEM"), "ca_pem is not a certificate in PEM"),
        (TlsPolicy(ca_pem="\u00fc" + CA), "ca_pem is not a certificate in PEM"),
        (TlsPolicy(ca_pem=CA.replace("M", "N", 20)), "ca_pem is not a certificate in PEM"),
        (TlsPolicy(ca_pem=CA + PAIR.key), "ca_pem holds a private key"),
        (
            TlsPolicy(client_cert_pem="no PEM", client_key_pem=PAIR.key),
            "client_cert_pem is not a certificate in PEM",
        ),
        (
            TlsPolicy(client_cert_pem=PAIR.certificate + PAIR.key, client_key_pem=PAIR.key),
            "client_cert_pem holds a private key",
        ),
        (
            TlsPolicy(client_cert_pem=PAIR.certificate, client_key_pem="no PEM"),
            "client_key_pem is not a private key in PEM",
        ),
        (
            TlsPolicy(client_cert_pem=PAIR.certificate, client_key_pem=PAIR.certificate),
            "client_key_pem is not a private key in PEM",
        ),
        (
            TlsPolicy(client_cert_pem=PAIR.certificate, client_key_pem=ENCRYPTED),
            "client_key_pem is encrypted",
        ),
        (
            TlsPolicy(client_cert_pem=PAIR.certificate, client_key_pem=OTHER.key),
            "client_key_pem is not the key of the first certificate",
        ),
        (
            TlsPolicy(client_cert_pem=CA + PAIR.certificate, client_key_pem=PAIR.key),
            "client_key_pem is not the key of the first certificate",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_used_is_refused(tls, reason):
    """
    When it is set, and in words; not by every call afterwards.
    """
    with pytest.raises(ValueError, match=reason) as refused:
        check_tls(tls)
    assert reason == str(refused.value)
