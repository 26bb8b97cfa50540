"""Instances: tenants of one server. The host name of a request leads to one of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.ids import InstanceId

_MAX_NAME = 253
# RFC 1123, section 2.1. Underscores are no part of a host name, and in use all the same.
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A tenant. `hosts` are normalised; without any, no request reaches it unless it is the default."""

    id: InstanceId
    name: str
    hosts: tuple[str, ...] = ()
    created_at: datetime


def normal_host(text: str) -> str:
    """Return a DNS name or an IP address in its one spelling: lower case, no dot at its end.

    An IPv6 address may stand in brackets, and stands without them in what is returned. Names of
    other scripts come in their ASCII form (RFC 5890). Raise `ValueError` for everything else, such
    as a port.
    """
    if not text.isascii():
        raise ValueError("not ASCII")
    if text.startswith("[") and text.endswith("]"):
        return str(_plain_ipv6(text[1:-1]))
    if ":" in text:
        return str(_plain_ipv6(text))
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if labels[-1].isdecimal():
        # What ends like an address is one, or nothing (WHATWG URL, section 3.5).
        return str(ipaddress.IPv4Address(name))
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("neither a DNS name nor an IP address")
    return name


def normal_hosts(texts: Iterable[str]) -> tuple[str, ...]:
    """Return every host once, in order. Raise `ValueError` as `normal_host` does."""
    return tuple(dict.fromkeys(map(normal_host, texts)))


def host_of(authority: str) -> str:
    """Return the host of `host:port` (RFC 9110, section 7.2), normalised; "" when there is none."""
    host, colon, port = authority.rpartition(":")
    is_port = colon and (not port or (port.isascii() and port.isdecimal()))
    is_bare = ":" not in host or host.endswith("]")
    try:
        return normal_host(host if is_port and is_bare else authority)
    except ValueError:
        return ""


def _plain_ipv6(text: str) -> ipaddress.IPv6Address:
    address = ipaddress.IPv6Address(text)
    if address.scope_id is not None:
        raise ValueError("a zone means nothing to others")
    return address
