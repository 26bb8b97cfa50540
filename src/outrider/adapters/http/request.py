"""Writing HTTP/1.1 requests (RFC 9112). What repeats from call to call is made once and kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

from outrider.adapters.http.connect.errors import unreachable
from outrider.adapters.http.connect.transports import Destination, Transport
from outrider.domain.calls.request import Stage
from outrider.domain.net.endpoint import parse_endpoint

Headers = Sequence[tuple[str, str]]

MAX_KEPT = 4096  # URLs of a transport, and sets of header names, in the cache
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
# The client writes these. A second one would change where the request ends, or its destination.
_RESERVED_HEADERS = frozenset(
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


class RequestWriter:
    """Makes the bytes of requests. Remembers sets of names, a bounded number of them."""

    def __init__(self, user_agent: str, *, method: str = "POST") -> None:
        self._method = f"{method} ".encode("ascii")
        self._has_content = method == "POST"
        self._defaults = (("user-agent", f"User-Agent: {user_agent}"), ("accept", "Accept: */*"))
        self._defaults_beside: dict[tuple[str, ...], str] = {}

    def request(self, destination: Destination, headers: Headers, body: bytes) -> bytes:
        """Give the whole request, so that it leaves in one write. Raise as `fields`."""
        fields = self.fields(headers)
        if not self._has_content:  # then it announces none (RFC 9110, 8.6)
            return b"".join((self._method, destination.head, fields, b"\r\n"))
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        return b"".join((self._method, destination.head, fields, length, body))

    def fields(self, headers: Headers) -> bytes:
        """Give the header fields, ours and the given ones, each with its line end.

        A given User-Agent or Accept replaces ours. Raise `RequestError` in BUILD for a name that
        is none or that the client writes itself, and for a value with a line end or NUL.
        """
        names = tuple([name for name, _ in headers])
        defaults = self._defaults_beside.get(names)
        if defaults is None:
            defaults = self._learn(names)
        given = "".join([f"{name}: {value}\r\n" for name, value in headers])
        lines = len(names)
        if given.count("\n") != lines or given.count("\r") != lines or "\0" in given:
            raise unreachable(Stage.BUILD, "a header value contains a line end or NUL")
        try:
            return (defaults + given).encode()
        except UnicodeEncodeError:
            raise unreachable(Stage.BUILD, "a header value is not valid text") from None

    def _learn(self, names: tuple[str, ...]) -> str:
        for name in names:
            if not _TOKEN.fullmatch(name):
                raise unreachable(Stage.BUILD, "a header name contains a character it may not")
            if name.lower() in _RESERVED_HEADERS:
                raise unreachable(Stage.BUILD, f"the header {name} cannot be given")
        given = {name.lower() for name in names}
        defaults = "".join(f"{line}\r\n" for name, line in self._defaults if name not in given)
        if len(self._defaults_beside) >= MAX_KEPT:
            self._defaults_beside.clear()
        self._defaults_beside[names] = defaults
        return defaults


def destination_of(url: str, transport: Transport) -> Destination:
    """Raise `RequestError` in BUILD for a URL that cannot be called. A transport remembers its URLs."""
    destination = transport.destinations.get(url)
    if destination is None:
        try:
            destination = parse_destination(url, transport)
        except ValueError as invalid:
            raise unreachable(Stage.BUILD, str(invalid)) from None
        if len(transport.destinations) >= MAX_KEPT:
            transport.destinations.clear()
        transport.destinations[url] = destination
    return destination


def parse_destination(url: str, transport: Transport) -> Destination:
    """As `destination_of`, but raise ValueError, and remember nothing."""
    endpoint = parse_endpoint(url)
    head = f"{endpoint.target} HTTP/1.1\r\nHost: {endpoint.authority}\r\n"
    origin = transport.origin(endpoint)
    return Destination(url, endpoint, transport, origin, head.encode("ascii"))
