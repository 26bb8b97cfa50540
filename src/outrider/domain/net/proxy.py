"""An HTTP proxy that calls go through, as it is written in a policy."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from outrider.domain.net.endpoint import Endpoint, parse_written_endpoint

REDACTED = "***"
_USER = re.compile(r"(?P<scheme>[a-zA-Z]+://)(?P<user>[^/?#@:]*)(?::(?P<password>[^/?#@]*))?@")


@dataclass(frozen=True, slots=True)
class Proxy:
    """The address of a proxy, and our credentials for it. `user` None: no authentication."""

    endpoint: Endpoint
    user: str | None = None
    password: str = field(default="", repr=False)


def parse_proxy(url: str) -> Proxy:
    """Parse a proxy's URL.

    User and password are percent-decoded, as RFC 3986, section 2.1, has them encoded.

    Raises:
        ValueError: it is no proxy's URL. The text repeats no part of it.
    """
    found = _USER.match(url)
    endpoint = parse_written_endpoint(_without_user(url))
    if endpoint.target != "/":
        raise ValueError("the URL has a path or a query, and a proxy has none")
    if found is None:
        return Proxy(endpoint)
    user, password = unquote(found["user"]), unquote(found["password"] or "")
    if not (user + password).isprintable() or ":" in user:
        # RFC 7617, section 2: neither can be sent.
        raise ValueError("the URL's user information cannot be sent to a proxy")
    return Proxy(endpoint, user, password)


def redacted_proxy_url(url: str) -> str:
    """Give the URL with `***` in place of its password, if it has one."""
    found = _USER.match(url)
    if found is None or not found["password"]:
        return url
    return f"{found['scheme']}{found['user']}:{REDACTED}@{_after_user(url)}"


def is_redacted(url: str) -> bool:
    """Return whether `redacted_proxy_url` has replaced the password."""
    found = _USER.match(url)
    return found is not None and found["password"] == REDACTED


def _without_user(url: str) -> str:
    found = _USER.match(url)
    return url if found is None else found["scheme"] + _after_user(url)


def _after_user(url: str) -> str:
    found = _USER.match(url)
    return url if found is None else url[found.end() :]
