"""A test certificate authority: certificates that are right, and wrong in one way each."""

from __future__ import annotations

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BIRTH = datetime(2024, 1, 1, tzinfo=UTC)
FAR = datetime(2124, 1, 1, tzinfo=UTC)
EXPIRED = BIRTH + timedelta(days=1)


class Authority:
    """Signs certificates for servers; `client_context` trusts only it.

    `root` is its own certificate, by `issuer` or by itself.
    """

    def __init__(
        self, name: str = "outrider test authority", *, issuer: Authority | None = None
    ) -> None:
        self.private_key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (issuer or self).certificate(self.name, self.private_key.public_key(), FAR)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        self.root = builder.sign((issuer or self).private_key, hashes.SHA256())
        self.pem = pem_of(self.root)

    def certificate(self, name, public_key, until: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(BIRTH)
            .not_valid_after(until)
        )

    def server_context(self, host: str, *, until: datetime = FAR) -> ssl.SSLContext:
        return context_of(*self.server_certificate(host, until=until))

    def server_certificate(
        self, host: str, *, until: datetime = FAR, name: str = "outrider test server"
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """A certificate for this host, or with no name but `name` when the host is empty."""
        private_key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self.certificate(subject, private_key.public_key(), until)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        if host:
            names = x509.SubjectAlternativeName([alternative(host)])
            builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.private_key.public_key()),
            critical=False,
        )
        return builder.sign(self.private_key, hashes.SHA256()), private_key

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.pem)


def pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def context_of(
    certificate: x509.Certificate, private_key: ec.EllipticCurvePrivateKey, *chain: x509.Certificate
) -> ssl.SSLContext:
    """A server's context that shows this certificate, and those between it and its root."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.NamedTemporaryFile() as file:
        file.write(
            private_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        file.write("".join(map(pem_of, [certificate, *chain])).encode())
        file.flush()
        context.load_cert_chain(file.name)
    return context


def alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
