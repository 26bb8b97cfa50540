"""Reverse tunnels: targets that a connected listener answers.

`http://<name>.<instance>.tunnel.outrider.internal/` is the endpoint of the tunnel of that name. The
top-level domain `internal` is reserved for private use, so the name never resolves elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from outrider.domain.ids import InstanceId
from outrider.domain.net.endpoint import parse_endpoint

TUNNEL_DOMAIN = "tunnel.outrider.internal"
TUNNEL_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")

_LABELS = 2


@dataclass(frozen=True, slots=True)
class ReverseTunnel:
    """The name under which a listener gets calls; it belongs to one instance."""

    instance: InstanceId
    name: str

    @property
    def endpoint(self) -> str:
        """What a target has as its endpoint to be answered through it."""
        return f"http://{self.name}.{self.instance}.{TUNNEL_DOMAIN}/"


def is_tunnel_url(url: str) -> bool:
    """Whether the URL leads into a tunnel or pretends to. Raise ValueError for what is no URL."""
    if _leads_elsewhere(url):
        return False
    return f".{parse_endpoint(url).host}".endswith(f".{TUNNEL_DOMAIN}")


def tunnel_of(url: str) -> ReverseTunnel | None:
    """The tunnel that the URL leads into; None: it leads into none, or is no URL."""
    if _leads_elsewhere(url):
        return None
    try:
        host = parse_endpoint(url).host
    except ValueError:
        return None
    labels = host.removesuffix(f".{TUNNEL_DOMAIN}").split(".")
    if not host.endswith(f".{TUNNEL_DOMAIN}") or len(labels) != _LABELS:
        return None
    name, instance = labels
    if TUNNEL_NAME.fullmatch(name) is None:
        return None
    return ReverseTunnel(InstanceId(instance), name)


def _leads_elsewhere(url: str) -> bool:
    # Fast, for every call. A URL that is not ASCII has to be parsed: IDNA makes ASCII letters of
    # full-width ones, and full stops of ideographic ones.
    return url.isascii() and TUNNEL_DOMAIN not in url.lower()
