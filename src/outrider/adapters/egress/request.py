"""Writing HTTP/1.1 requests (RFC 9112). What repeats from call to call is made once and kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from outrider.adapters.egress.connection import Origin
from outrider.adapters.egress.failures import unreachable
from outrider.adapters.egress.pool import Pool
from outrider.domain.call import Stage
from outrider.domain.endpoint import Endpoint, parse_endpoint

Headers = Sequence[tuple[str, str]]

MAX_KEPT = 4096  # URLs, and sets of header names, remembered at once
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
# Written by the caller itself. A second one would change where the request ends, or whom it is for.
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a URL leads, and the part of the request that is always the same there."""

    url: str
    endpoint: Endpoint
    origin: Origin
    head: bytes
    """Request line and Host, each with its line end."""
    has_content: bool = True
    """Whether a request there has a body, be it an empty one."""


class RequestWriter:
    """Makes the bytes of requests. Remembers URLs and sets of names, a bounded number of each."""

    def __init__(self, pool: Pool, user_agent: str, *, method: str = "POST") -> None:
        self._pool = pool
        self._method = method
        self._usual = (("user-agent", f"User-Agent: {user_agent}"), ("accept", "Accept: */*"))
        self._destinations: dict[str, Destination] = {}
        self._usual_beside: dict[tuple[str, ...], str] = {}

    def destination(self, url: str) -> Destination:
        """Raise `CallFailed` in BUILD for a URL that cannot be called."""
        destination = self._destinations.get(url)
        if destination is None:
            try:
                destination = self.parsed(url)
            except ValueError as invalid:
                raise unreachable(Stage.BUILD, str(invalid)) from None
            if len(self._destinations) >= MAX_KEPT:
                self._destinations.clear()
            self._destinations[url] = destination
        return destination

    def parsed(self, url: str) -> Destination:
        """As `destination`, but raise ValueError, and remember nothing."""
        endpoint = parse_endpoint(url)
        head = f"{self._method} {endpoint.target} HTTP/1.1\r\nHost: {endpoint.authority}\r\n"
        origin, has_content = self._pool.origin(endpoint), self._method == "POST"
        return Destination(url, endpoint, origin, head.encode("ascii"), has_content)

    def fields(self, headers: Headers) -> bytes:
        """Give the header fields, ours and the given ones, each with its line end.

        A given User-Agent or Accept takes the place of ours. Raise `CallFailed` in BUILD for a
        name that is none or is not the caller's to give, and for a value with a line end or NUL.
        """
        names = tuple([name for name, _ in headers])
        usual = self._usual_beside.get(names)
        if usual is None:
            usual = self._learn(names)
        given = "".join([f"{name}: {value}\r\n" for name, value in headers])
        lines = len(names)
        if given.count("\n") != lines or given.count("\r") != lines or "\0" in given:
            raise unreachable(Stage.BUILD, "a header value contains a line end or NUL")
        try:
            return (usual + given).encode()
        except UnicodeEncodeError:
            raise unreachable(Stage.BUILD, "a header value is not valid text") from None

    def _learn(self, names: tuple[str, ...]) -> str:
        for name in names:
            if not _TOKEN.fullmatch(name):
                raise unreachable(Stage.BUILD, "a header name contains a character it may not")
            if name.lower() in _OWN_HEADERS:
                raise unreachable(Stage.BUILD, f"the header {name} cannot be given")
        given = {name.lower() for name in names}
        usual = "".join(f"{line}\r\n" for name, line in self._usual if name not in given)
        if len(self._usual_beside) >= MAX_KEPT:
            self._usual_beside.clear()
        self._usual_beside[names] = usual
        return usual


def request_bytes(destination: Destination, fields: bytes, body: bytes) -> bytes:
    """Give the whole request, so that it leaves in one write."""
    if not destination.has_content:  # then it announces none (RFC 9110, 8.6)
        return b"".join((destination.head, fields, b"\r\n"))
    return b"".join((destination.head, fields, b"Content-Length: %d\r\n\r\n" % len(body), body))
