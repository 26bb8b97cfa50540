"""Follow redirects, and keep or drop parts of the request (RFC 9110, 15.4)."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote, urljoin

from outrider.adapters.http.connect.errors import blocked
from outrider.domain.calls.request import OutboundRequest, Response
from outrider.domain.net.endpoint import DEFAULT_PORTS, MAX_URL_CHARS, Endpoint

# The ones that repeat the request as it was. 301, 302 and 303 turn a POST into a GET without its
# body, which delivers nothing.
FOLLOWED = frozenset({307, 308})
_CREDENTIALS = frozenset({"authorization", "cookie", "cookie2", "proxy-authorization"})
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def location_of(response: Response, url: str) -> str | None:
    """Give the absolute URL a response points to, without its fragment; None if it points nowhere."""
    locations = [value for name, value in response.headers if name == "location"]
    if len(locations) != 1 or not 0 < len(locations[0]) <= MAX_URL_CHARS:
        return None
    # Not only ASCII comes; the octets stand as they came.
    location = quote(locations[0].encode("latin-1"), safe=_PRINTABLE)
    if _ABSOLUTE.match(location):
        return location.partition("#")[0]  # `urljoin` would read "http:" as "here"
    try:
        return urljoin(url, location).partition("#")[0]
    except ValueError:
        return None


def check_downgrade(before: Endpoint, after: Endpoint) -> None:
    """Raise `RequestError`, BLOCKED, when what was sent encrypted would be sent in the clear."""
    if before.scheme == "https" and after.scheme == "http":
        raise blocked("the redirect leads from https to http")


def strip_credentials(request: OutboundRequest) -> OutboundRequest:
    """Give what is left of a request for another server than the one it was meant for.

    Credentials stay behind, and so do the headers of the target's owner and our certificate.
    Signatures are kept: they are bound to the body and not to the host. The trusted CAs
    stays as it is.
    """
    stripped = _CREDENTIALS | request.sensitive_headers
    headers = tuple(header for header in request.headers if header[0].lower() not in stripped)
    return replace(request, headers=headers, route=request.route.without_identity())


def is_same_server(before: Endpoint, after: Endpoint) -> bool:
    """Return whether both endpoints are the same server."""
    if before.host != after.host:
        return False
    # From http to https, each on its default port, is the same server, and a safer request.
    return before.port == after.port or all(
        endpoint.port == DEFAULT_PORTS[endpoint.scheme] for endpoint in (before, after)
    )
