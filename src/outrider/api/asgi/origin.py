"""The address under which a caller reached the server, as the caller wrote it."""

from __future__ import annotations

import re

from outrider.api.asgi.types import Scope, header

_HOST = re.compile(rb"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_SCHEMES = frozenset({b"http", b"https"})


def authority_of(scope: Scope) -> str:
    """The host name that the caller used, with its port if any; "" when there is none."""
    host = header(scope, b"host") or header(scope, b":authority") or b""
    return host.decode("latin-1")


def origin_of(scope: Scope, *, no_host: bytes = b"") -> bytes:
    """Scheme and host, such as `https://outrider.example:8080`; nothing in it needs escaping.

    `no_host` stands in for a host that is absent or malformed; when it is empty, so is the answer.
    A proxy before the server declares with `x-forwarded-proto` that its side is encrypted.
    """
    host = header(scope, b"host") or header(scope, b":authority") or b""
    if not _HOST.fullmatch(host):
        host = no_host
    forwarded = header(scope, b"x-forwarded-proto")
    scheme = forwarded if forwarded in _SCHEMES else scope.get("scheme", "http").encode()
    return scheme + b"://" + host if host else b""
