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
    """Give a host name in lower case, IDNA-encoded, without the root's dot; ValueError if none."""
    if len(host) > MAX_HOST_CHARS + 1 or _AMBIGUOUS_SIGNS.intersection(host):
        raise ValueError("the URL's host is not a valid name")
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("the URL's host is not a valid name") from None
    name = name.lower().removesuffix(".")
    if len(name) > MAX_HOST_CHARS or not _HOST.fullmatch(name):
        raise ValueError("the URL's host is not a valid name")
    return name


_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{0,9}))?")
_NEVER_IN_A_URL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_A_TARGET = re.compile(r"[^\x21-\x7e]")


def parse_endpoint(url: str) -> Endpoint:
    """Parse a URL that can be called; raise ValueError with a sentence that repeats no part of it."""
    if len(url) > MAX_URL_CHARS:
        raise ValueError(f"the URL is longer than {MAX_URL_CHARS} characters")
    if _NEVER_IN_A_URL.search(url):
        raise ValueError("the URL contains a space or a control character")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError("the URL is not absolute: it needs http:// or https://")
    scheme, authority, path, query, fragment = parts.groups()
    if scheme.lower() not in DEFAULT_PORTS:
        raise ValueError("the URL's scheme is neither http nor https")
    if fragment is not None:
        raise ValueError("the URL contains a fragment")
    host, port, rooted = _parse_authority(authority or "")
    target = _NOT_IN_A_TARGET.sub(_percent_encoded, (path or "/") + (query or ""))
    scheme = scheme.lower()
    return Endpoint(scheme, host, port or DEFAULT_PORTS[scheme], target, rooted)


def parse_written_endpoint(url: str) -> Endpoint:
    """As `parse_endpoint`, for a URL that a person writes: white space in it is a slip.

    A Location header may hold a space, which is encoded before it is followed.
    """
    if any(sign.isspace() for sign in url):
        raise ValueError("the URL contains a space or a control character")
    return parse_endpoint(url)


def _parse_authority(authority: str) -> tuple[str, int | None, bool]:
    if not authority:
        raise ValueError("the URL has no host")
    if "@" in authority:
        raise ValueError("the URL contains user information")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError("the URL's host or port cannot be read")
    host, digits = parts.groups()
    port = int(digits) if digits else None
    if port is not None and not 0 < port <= MAX_PORT:
        raise ValueError("the URL's port is not between 1 and 65535")
    if host.startswith("["):
        return _parse_ipv6(host), port, False
    return _parse_host(host), port, host.endswith(".")


def _parse_ipv6(host: str) -> str:
    literal = None if "%" in host else literal_address(host)
    if literal is None:
        raise ValueError("the URL's host is not a valid IPv6 address")
    return str(literal)


def _parse_host(host: str) -> str:
    if not host:
        raise ValueError("the URL has no host")
    name = canonical_host(host)
    literal = literal_address(name)
    if literal is not None:
        return str(literal)
    if _ENDS_IN_NUMBER.fullmatch(name):
        # No top-level domain is a number; some resolvers read such names as addresses.
        raise ValueError("the URL's host is not a valid IPv4 address")
    return name


def _percent_encoded(sign: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in sign[0].encode())
