"""TLS towards targets: whom we trust, and how a failed handshake reads."""

from __future__ import annotations

import ssl
from importlib.util import find_spec
from pathlib import Path


def client_context() -> ssl.SSLContext:
    """Give a context that verifies chains and host names, with TLS 1.2 or newer.

    Trust is the system's; `certifi`'s, if it happens to be installed, where the system has none.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A server that could choose HTTP/2 must know that it may not.
    context.set_alpn_protocols(["http/1.1"])
    if not _has_system_trust(context) and find_spec("certifi") is not None:
        import certifi  # noqa: PLC0415 - not one of our dependencies

        context.load_verify_locations(cafile=certifi.where())
    return context


def _has_system_trust(context: ssl.SSLContext) -> bool:
    if context.cert_store_stats()["x509_ca"]:
        return True
    # A directory of certificates is read only when one is needed, so the store does not count it.
    directory = ssl.get_default_verify_paths().capath
    return directory is not None and any(Path(directory).iterdir())


def handshake_failure(failure: Exception) -> str:
    """Give the sentence for the attempt log."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {failure.verify_message.rstrip('.')}"
    if isinstance(failure, ssl.SSLError) and failure.reason:
        return f"TLS handshake failed: {failure.reason.lower().replace('_', ' ')}"
    return "TLS handshake failed: connection closed by the peer"
