"""Which redirects are followed, and what a request keeps on its way (RFC 9110, 15.4)."""

from __future__ import annotations

import re
from urllib.parse import quote, urljoin

from outrider.adapters.egress.failures import blocked
from outrider.domain.call import Answer
from outrider.domain.endpoint import DEFAULT_PORTS, Endpoint

# The ones that repeat the request as it was. 301, 302 and 303 turn a POST into a GET without its
# body, which delivers nothing.
FOLLOWED = frozenset({307, 308})
_CREDENTIALS = frozenset({"authorization", "cookie", "cookie2", "proxy-authorization"})
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def location_of(answer: Answer, url: str) -> str | None:
    """Give the absolute URL an answer points to, without its fragment; None if it points nowhere."""
    locations = [value for name, value in answer.headers if name == "location"]
    if len(locations) != 1 or not locations[0]:
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
    """Raise `CallFailed`, BLOCKED, when what was sent encrypted would be sent in the clear."""
    if before.scheme == "https" and after.scheme == "http":
        raise blocked("the redirect leads from https to http")


def headers_towards(
    headers: tuple[tuple[str, str], ...], before: Endpoint, after: Endpoint
) -> tuple[tuple[str, str], ...]:
    """Give the headers for the next hop. Credentials stay with the server they were meant for.

    Signatures go along: they are bound to the body and say nothing about the host.
    """
    if _is_same_server(before, after):
        return headers
    return tuple((name, value) for name, value in headers if name.lower() not in _CREDENTIALS)


def _is_same_server(before: Endpoint, after: Endpoint) -> bool:
    if before.host != after.host:
        return False
    # From http to https, each on its usual port, is the same server with better manners.
    return before.port == after.port or all(
        endpoint.port == DEFAULT_PORTS[endpoint.scheme] for endpoint in (before, after)
    )
