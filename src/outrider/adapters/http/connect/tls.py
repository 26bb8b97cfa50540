"""TLS to targets: trusted authorities, client certificate, and messages of failed handshakes.

`client_context` is the default: the system's authorities, and no client certificate. A target's
policy may name other authorities and a client certificate: `policy_context`. Both verify chains
and host names, with TLS 1.2 or newer.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from outrider.adapters.http.connect.errors import ONLY_HTTP2
from outrider.domain.targets.policy import TlsPolicy

MAX_RSA_BITS = 4096
"""Of a client's key: with 8192 bits, a signature keeps the worker busy for 50 ms."""

_PRIVATE = "PRIVATE KEY-----"
_OPENSSL_TEXT = re.compile(r"\[SSL\] ([a-z0-9 ]+) \(")

_NOT_TLS = "the port does not speak TLS: begin the endpoint with http if it is meant to, else check the port"
_NO_CERTIFICATE = "give it a client certificate: tls.clientCertPem of the target's policy"
_REFUSED_CERTIFICATE = (
    "the receiver refuses our client certificate, or asks for one: see tls.clientCertPem of the"
    " target's policy"
)
_CERTIFICATE_ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _NO_CERTIFICATE,
    "SSLV3_ALERT_BAD_CERTIFICATE": _REFUSED_CERTIFICATE,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _REFUSED_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _REFUSED_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _REFUSED_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _REFUSED_CERTIFICATE,
    "TLSV1_ALERT_UNKNOWN_CA": _REFUSED_CERTIFICATE,
    "TLSV1_ALERT_ACCESS_DENIED": _REFUSED_CERTIFICATE,
}
_OLD_TLS = "the receiver needs TLS 1.2 or newer"
_HINTS = {
    **_CERTIFICATE_ALERTS,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "the receiver may ask for a client certificate (tls.clientCertPem of the target's policy),"
        " or has no cipher of ours"
    ),
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": ONLY_HTTP2,
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    "UNSUPPORTED_PROTOCOL": _OLD_TLS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD_TLS,
    "TLSV1_UNRECOGNIZED_NAME": "the receiver has no host of this name",
}
_UNKNOWN_AUTHORITY = (
    "trust its authority, or the certificate itself: tls.caPem of the target's policy"
)
_OTHER_NAME = "the host must be among the certificate's subject alternative names"
_VERIFY_HINTS = {  # OpenSSL's X509_V_ERR_…
    18: _UNKNOWN_AUTHORITY,  # the certificate signs itself
    19: _UNKNOWN_AUTHORITY,  # its root does, and is not trusted
    20: _UNKNOWN_AUTHORITY,  # its issuer is not there
    21: _UNKNOWN_AUTHORITY,  # nothing above it is
    62: _OTHER_NAME,
    64: _OTHER_NAME,  # an address
}


def client_context() -> ssl.SSLContext:
    """Give the context for calls whose policy says nothing about TLS.

    Trust is the system's; `certifi`'s, if it happens to be installed, where the system has none.
    """
    context = _require_modern(ssl.create_default_context())
    if not _has_system_trust(context) and find_spec("certifi") is not None:
        import certifi  # noqa: PLC0415 - not one of our dependencies

        context.load_verify_locations(cafile=certifi.where())
    return context


def policy_context(tls: TlsPolicy) -> ssl.SSLContext:
    """Give the context for calls to a target; `client_context` with what the policy says otherwise.

    Raise `ValueError` with a sentence that repeats nothing of the PEM: when something is no
    certificate or no key, when the key is encrypted, or is not the certificate's.
    """
    context = _private_trust(tls.ca_pem) if tls.ca_pem else client_context()
    if tls.client_cert_pem:
        _check_pair(tls)
        with _as_file(tls.client_cert_pem + "\n" + tls.client_key_pem) as path:
            try:
                context.load_cert_chain(path)
            except ssl.SSLError:
                raise ValueError("the client certificate cannot be used for TLS") from None
    return context


def check_tls(tls: TlsPolicy) -> None:
    """Raise `ValueError`, as `policy_context` does, when no context can be made."""
    policy_context(tls)


def handshake_failure(failure: Exception) -> str:
    """Give the sentence for the attempt log."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {failure.verify_message.rstrip('.')}"
    if isinstance(failure, ssl.SSLError) and (reason := _reason(failure)):
        return f"TLS handshake failed: {reason.lower().replace('_', ' ')}"
    return "TLS handshake failed: connection closed by the peer"


def target_handshake_failure(failure: Exception) -> str:
    """Give the sentence of `handshake_failure`, and what to do about it where that is known."""
    hint = ""
    if isinstance(failure, ssl.SSLCertVerificationError):
        hint = _VERIFY_HINTS.get(failure.verify_code, "")
    elif isinstance(failure, ssl.SSLError):
        hint = _HINTS.get(_reason(failure), "")
    return f"{handshake_failure(failure)}{hint and '; '}{hint}"


def may_lack_http1(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the peer did not choose HTTP/1.1 in a handshake that offered it (ALPN).

    Servers that speak HTTP/1.1 and know nothing of ALPN do not either.
    """
    session = None if transport is None else transport.get_extra_info("ssl_object")
    return isinstance(session, ssl.SSLObject) and session.selected_alpn_protocol() is None


def is_refusal(failure: ssl.SSLError) -> bool:
    """Whether the peer refused the handshake, and so has read nothing of what was sent in it."""
    return _reason(failure) in _CERTIFICATE_ALERTS


def was_closed_by_peer(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the end that was just read is the peer's own, and nobody between can have made it.

    Over TLS the peer says so (close_notify). Without TLS nothing proves it, and it is believed.
    """
    session = None if transport is None else transport.get_extra_info("ssl_object")
    if not isinstance(session, ssl.SSLObject):
        return True
    try:
        return not session.read(1)
    except ssl.SSLError:
        return False


def _reason(failure: ssl.SSLError) -> str:
    """OpenSSL's name of a failure; "" when it has none."""
    if failure.reason:
        return failure.reason
    # Python has no names for newer ones, but OpenSSL's text.
    text = _OPENSSL_TEXT.search(str(failure))
    return "" if text is None else text[1].upper().replace(" ", "_")


def _require_modern(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A name counts only where certificates are checked for the names that they may have (RFC 9525).
    context.hostname_checks_common_name = False
    # A server that could choose HTTP/2 must know that it may not.
    context.set_alpn_protocols(["http/1.1"])
    return context


def _has_system_trust(context: ssl.SSLContext) -> bool:
    if context.cert_store_stats()["x509_ca"]:
        return True
    # A directory of certificates is read only when one is needed, so the store does not count it.
    directory = ssl.get_default_verify_paths().capath
    return directory is not None and any(Path(directory).iterdir())


def _private_trust(ca_pem: str) -> ssl.SSLContext:
    for certificate in _read_certificates(ca_pem, "ca_pem"):
        _check_pin(certificate)
    context = _require_modern(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    # What is listed is trusted as it is: a root, an intermediate, or the receiver's own certificate.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Private authorities often lack what RFC 5280 asks for, and their operator knows them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(cadata=ca_pem)
    except (ssl.SSLError, ValueError):
        raise ValueError("ca_pem cannot be used for TLS") from None
    return context


def _check_pin(certificate: x509.Certificate) -> None:
    """Raise `ValueError` for a certificate of a server, and of no authority, that has no name."""
    extensions = certificate.extensions
    try:
        if extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return
        extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound as absent:
        if absent.oid == x509.SubjectAlternativeName.oid:
            raise ValueError(
                "ca_pem holds a server's certificate without subject alternative names, which no"
                " host matches: issue it with one"
            ) from None


def _check_pair(tls: TlsPolicy) -> None:
    leaf, *_ = _read_certificates(tls.client_cert_pem, "client_cert_pem")
    try:
        # Whether an RSA key's factors are primes is its owner's concern, and takes seconds to see.
        private_key = load_pem_private_key(
            tls.client_key_pem.encode(), password=None, unsafe_skip_rsa_key_validation=True
        )
        certified = _spki(leaf.public_key())
    except TypeError:
        raise ValueError("client_key_pem is encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("client_key_pem is not a private key in PEM") from None
    if isinstance(private_key, rsa.RSAPrivateKey) and private_key.key_size > MAX_RSA_BITS:
        raise ValueError(
            f"client_key_pem has {private_key.key_size} bits, more than {MAX_RSA_BITS}: every"
            " handshake would take too long"
        )
    ours = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if ours != certified:
        raise ValueError("client_key_pem is not the key of the first certificate")


def _read_certificates(pem: str, name: str) -> list[x509.Certificate]:
    if _PRIVATE in pem:
        # Readers of the policy are given its certificates.
        raise ValueError(f"{name} holds a private key")
    try:
        return x509.load_pem_x509_certificates(pem.encode("ascii"))
    except ValueError:
        raise ValueError(f"{name} is not a certificate in PEM") from None


def _spki(public_key: CertificatePublicKeyTypes) -> bytes:
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A path under which OpenSSL finds the text; on Linux nothing of it reaches a disk."""
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("client"), "wb") as file:
            file.write(text.encode())
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        yield file.name
