"""Parse hosts and URLs without any lookup.

The rules are RFC 3986 without the parts that no endpoint needs. `urllib` is not used, because it
drops control characters silently and differs between Python releases. The check at save time and
the call use the same parser, so they cannot disagree about the address of a URL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address

MAX_URL_CHARS = 8192  # a Location header may be longer than an endpoint, but not endless
MAX_HOST_CHARS = 253  # RFC 1035, 2.3.4, without the root's dot
MAX_PORT = 65535
DEFAULT_PORTS = {"http": 80, "https": 443}


class InvalidUrl(ValueError):
    """A URL or a host that cannot be called. Neither text repeats any part of it: it may hold secrets.

    `hint` says what to write instead.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A parsed URL. `host` is canonical: a lower-case IDNA name, or an address without brackets.

    `rooted` says that the name was written with the root's dot, which keeps a resolver from
    trying its search domains. `target` is the request target: path and query, ASCII only.
    """

    scheme: str
    host: str
    port: int
    target: str
    rooted: bool = False

    @property
    def authority(self) -> str:
        """The value of the Host header (RFC 9112, 3.2): the port only where it is unusual."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")


def literal_address(host: str) -> Address | None:
    """Read a host the way `getaddrinfo` would before it asks DNS; None: it is a name.

    Knows what `inet_aton` knows: `127.1`, `2130706433`, `0177.0.0.1` and `0x7f.1` are 127.0.0.1.
    """
    if len(host) > MAX_HOST_CHARS + 2:
        return None
    if ":" in host:
        bare = host[1:-1] if host[0] == "[" and host[-1] == "]" else host
        try:
            return ip_address(bare.partition("%")[0])
        except ValueError:
            return None
    parts = host.removesuffix(".").split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):  # noqa: PLR2004 - four octets
        return None
    return _from_numbers([_number(part) for part in parts])


def _number(part: str) -> int:
    if part[:2] in {"0x", "0X"}:
        return int(part, 16)
    return int(part, 8 if part.startswith("0") else 10)


def _from_numbers(numbers: list[int]) -> IPv4Address | None:
    *octets, rest = numbers
    width = 8 * (4 - len(octets))
    if any(octet > 0xFF for octet in octets) or rest >> width:  # noqa: PLR2004 - an octet's size
        return None
    return IPv4Address(int.from_bytes(bytes(octets)) << width | rest)


_HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
# Names that IDNA 2003 and IDNA 2008 read as different names. Sending to the wrong one of two
# owners is worse than asking for the xn-- form.
_AMBIGUOUS_SIGNS = frozenset("\u00df\u03c2\u200c\u200d")


def canonical_host(host: str) -> str:
    """Give a host name in lower case, IDNA-encoded, without the root's dot; `InvalidUrl` if none."""
    if len(host) > MAX_HOST_CHARS + 1 or _AMBIGUOUS_SIGNS.intersection(host):
        raise _invalid_host()
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise _invalid_host() from None
    name = name.lower().removesuffix(".")
    if len(name) > MAX_HOST_CHARS or not _HOST.fullmatch(name):
        raise _invalid_host()
    return name


def _invalid_host() -> InvalidUrl:
    return InvalidUrl(
        "the URL's host is not a valid name",
        "write letters, digits, - and _ divided by dots, other letters in their xn-- form",
    )


_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{0,9}))?")
_NEVER_IN_A_URL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_A_TARGET = re.compile(r"[^\x21-\x7e]")


def parse_endpoint(url: str) -> Endpoint:
    """Parse a URL that can be called; raise `InvalidUrl` for another."""
    if len(url) > MAX_URL_CHARS:
        raise InvalidUrl(
            f"the URL is longer than {MAX_URL_CHARS} characters",
            "send the long values as headers of the target's policy",
        )
    found = _NEVER_IN_A_URL.search(url)
    if found is not None:
        raise _blank_at(found.start())
    parts = _URL.fullmatch(url)
    if parts is None:
        raise InvalidUrl(
            "the URL is not absolute: it needs http:// or https://",
            "write the whole URL, such as https://hooks.example.com/path",
        )
    scheme, authority, path, query, fragment = parts.groups()
    if scheme.lower() not in DEFAULT_PORTS:
        raise InvalidUrl(
            "the URL's scheme is neither http nor https", "begin it with https:// or http://"
        )
    if fragment is not None:
        raise InvalidUrl(
            "the URL contains a fragment",
            "remove the # and what follows it: it is never sent; a # in the path or query is %23",
        )
    host, port, rooted = _parse_authority(authority or "")
    target = _NOT_IN_A_TARGET.sub(_percent_encoded, (path or "/") + (query or ""))
    scheme = scheme.lower()
    return Endpoint(scheme, host, port or DEFAULT_PORTS[scheme], target, rooted)


def parse_written_endpoint(url: str) -> Endpoint:
    """As `parse_endpoint`, for a URL that a person writes: white space in it is a slip.

    A Location header may hold a space, which is encoded before it is followed.
    """
    for position, sign in enumerate(url):
        if sign.isspace():
            raise _blank_at(position)
    return parse_endpoint(url)


def _blank_at(position: int) -> InvalidUrl:
    return InvalidUrl(
        f"the URL contains a space or a control character at position {position + 1}",
        "remove it, or write a space in the path or query as %20",
    )


def _parse_authority(authority: str) -> tuple[str, int | None, bool]:
    if not authority:
        raise _no_host()
    if "@" in authority:
        raise InvalidUrl(
            "the URL contains user information",
            "remove what is before the @, and send it as the header Authorization of the target's"
            " policy: `outrider target policy set ID --file policy.json`",
        )
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise InvalidUrl(
            "the URL's host or port cannot be read",
            "write host or host:port, IPv6 as [2001:db8::1]",
        )
    host, digits = parts.groups()
    port = int(digits) if digits else None
    if port is not None and not 0 < port <= MAX_PORT:
        raise InvalidUrl(
            "the URL's port is not between 1 and 65535",
            "write the port of the receiver, or none for 80 and 443",
        )
    if host.startswith("["):
        return _parse_ipv6(host), port, False
    return _parse_host(host), port, host.endswith(".")


def _parse_ipv6(host: str) -> str:
    literal = None if "%" in host else literal_address(host)
    if literal is None:
        raise InvalidUrl(
            "the URL's host is not a valid IPv6 address",
            "write it as [2001:db8::1], without a zone",
        )
    return str(literal)


def _parse_host(host: str) -> str:
    if not host:
        raise _no_host()
    name = canonical_host(host)
    literal = literal_address(name)
    if literal is not None:
        return str(literal)
    if _ENDS_IN_NUMBER.fullmatch(name):
        # No top-level domain is a number; some resolvers read such names as addresses.
        raise InvalidUrl(
            "the URL's host is not a valid IPv4 address",
            "write four numbers from 0 to 255 divided by dots, or a name",
        )
    return name


def _no_host() -> InvalidUrl:
    return InvalidUrl("the URL has no host", "write it as https://host/path")


def _percent_encoded(sign: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in sign[0].encode())
