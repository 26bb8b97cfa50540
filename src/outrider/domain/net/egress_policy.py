"""Decide which addresses outrider may call, without any lookup.

- `check_endpoint`: can this URL ever be called? Asked when a target is saved.
- `check_address`: may a connection use this address? Asked before every connection.

The ranges are written out from the IANA special-purpose registries (RFC 6890 and its updates).
`ipaddress.is_global` is not used, because its answer differs between Python releases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)

from outrider.domain.net.endpoint import (
    Address,
    canonical_host,
    literal_address,
    parse_written_endpoint,
)

__all__ = [
    "Address",
    "AllowEntry",
    "EgressDecision",
    "EgressPolicy",
    "EgressProfile",
    "check_address",
    "check_endpoint",
    "check_host",
    "literal_address",
    "parse_allow",
]

AllowEntry = IPv4Network | IPv6Network | str
"""An allowed network, or an allowed host name in its canonical form."""


class EgressProfile(StrEnum):
    """How far calls may reach; each profile allows what the one before it allows."""

    STRICT = "strict"
    """Globally routable addresses only."""

    CLUSTER = "cluster"
    """Also private networks: RFC 1918 and unique local (RFC 4193)."""

    DEV = "dev"
    """Also loopback."""


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """A profile, and what is allowed whatever the profile says."""

    profile: EgressProfile = EgressProfile.STRICT
    allow: tuple[AllowEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class EgressDecision:
    """`reason` is None when allowed, otherwise a sentence for the attempt log."""

    reason: str | None = None

    @property
    def allowed(self) -> bool:
        """Whether a connection may go there."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class _Range:
    network: IPv4Network | IPv6Network
    kind: str
    profile: EgressProfile | None = None
    """The narrowest profile that allows it; None: no profile does."""


def _ranges(kind: str, *networks: str, profile: EgressProfile | None = None) -> tuple[_Range, ...]:
    return tuple(_Range(ip_network(network), kind, profile) for network in networks)


# The first range that contains an address decides, so the narrow ones stand before the wide ones.
_SPECIAL = (
    *_ranges(
        "a cloud metadata address",
        "169.254.169.254/32",  # nearly every cloud
        "169.254.170.0/24",  # credentials of AWS containers
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure; the one inside a public network
        "192.0.0.192/32",  # Oracle, older images
        "fd00:ec2::/32",  # AWS, inside unique local
        "fd20:ce::254/128",  # Google, inside unique local
        "fd00:42::42/128",  # Scaleway, inside unique local
        "fe80::a9fe:a9fe/128",  # OpenStack
    ),
    *_ranges(
        "private",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
        profile=EgressProfile.CLUSTER,
    ),
    *_ranges("loopback", "127.0.0.0/8", "::1/128", profile=EgressProfile.DEV),
    *_ranges("unspecified", "0.0.0.0/32", "::/128"),
    *_ranges("link-local", "169.254.0.0/16", "fe80::/10"),
    *_ranges("shared address space of a carrier", "100.64.0.0/10"),
    *_ranges("the broadcast address", "255.255.255.255/32"),
    *_ranges("multicast", "224.0.0.0/4", "ff00::/8"),
    *_ranges("for benchmarks only", "198.18.0.0/15", "2001:2::/48"),
    *_ranges(
        "for documentation only",
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001:db8::/32",
        "3fff::/20",
    ),
    *_ranges("reserved", "0.0.0.0/8", "192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4"),
)
# What is special about IPv6 is what is global: one block (RFC 4291), less the protocols' part of it.
# Forms that carry an IPv4 address are checked by that address and pass here.
_CARRIED_FORMS = (
    IPv6Network("64:ff9b::/96"),  # NAT64
    IPv6Network("2001::/32"),  # Teredo
    IPv6Network("2002::/16"),  # 6to4
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_GLOBAL_PROTOCOLS_V6 = (
    IPv6Network("2001:3::/32"),
    IPv6Network("2001:4:112::/48"),
    IPv6Network("2001:20::/28"),
    IPv6Network("2001:30::/28"),
)
_PROTOCOLS_V6 = IPv6Network("2001::/23")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")
_ZEROS = IPv4Network("0.0.0.0/8")
_WIDTH = {profile: width for width, profile in enumerate(EgressProfile)}


def check_address(policy: EgressPolicy, address: Address) -> EgressDecision:
    """Decide about the address a connection would go to.

    An IPv4-mapped address is the IPv4 address. Other forms that carry IPv4 addresses (NAT64,
    6to4, Teredo, IPv4-compatible) are allowed when the form and every carried address are.
    """
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    reason = _denial(policy, address)
    if reason is not None:
        return EgressDecision(f"{address} is {reason}")
    for carried in _carried(address):
        reason = _denial(policy, carried)
        if reason is not None:
            return EgressDecision(f"{address} leads to {carried}, which is {reason}")
    return EgressDecision()


def check_host(policy: EgressPolicy, host: str) -> bool:
    """Whether this host name is explicitly allowed, wherever it leads. Never raises."""
    try:
        return canonical_host(host) in policy.allow
    except ValueError:
        return False


def check_endpoint(policy: EgressPolicy, url: str) -> str | None:
    """Give the reason why a URL can never be called, or None.

    Names are not resolved: what they lead to is checked when a connection is made.
    """
    try:
        endpoint = parse_written_endpoint(url)
    except ValueError as invalid:
        return str(invalid)
    literal = literal_address(endpoint.host)
    return None if literal is None else check_address(policy, literal).reason


def parse_allow(text: str) -> tuple[AllowEntry, ...]:
    """Read `10.0.0.0/8, hooks.internal, 127.0.0.1`: networks, addresses and host names.

    Raise ValueError naming the entry that is none of these. Empty text allows nothing.
    """
    entries = (entry.strip() for entry in text.split(","))
    return tuple(_allow_entry(entry) for entry in entries if entry)


def _allow_entry(entry: str) -> AllowEntry:
    try:
        network = ip_network(entry)
    except ValueError:
        return _allow_host(entry)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{entry!r}: write the IPv4 network instead of its mapped form")
    return network


def _allow_host(entry: str) -> str:
    try:
        host = canonical_host(entry)
    except ValueError:
        raise ValueError(f"{entry!r} is not an address, a network or a host name") from None
    literal = literal_address(host)
    if literal is not None:
        raise ValueError(f"{entry!r} is another form of {literal}: write that")
    return host


def _denial(policy: EgressPolicy, address: Address) -> str | None:
    if any(not isinstance(entry, str) and address in entry for entry in policy.allow):
        return None
    found = _special_range(address)
    if found is None:
        return None
    if found.profile is None:
        return f"{found.kind}; allow it with OUTRIDER_EGRESS_ALLOW"
    if _WIDTH[found.profile] <= _WIDTH[policy.profile]:
        return None
    return f"{found.kind}; allow it with OUTRIDER_EGRESS_ALLOW or the profile {found.profile}"


def _special_range(address: Address) -> _Range | None:
    for special in _SPECIAL:
        if address in special.network:
            return special
    if isinstance(address, IPv4Address) or any(address in form for form in _CARRIED_FORMS):
        return None
    is_protocol = address in _PROTOCOLS_V6
    is_global_protocol = any(address in network for network in _GLOBAL_PROTOCOLS_V6)
    if address in _GLOBAL_V6 and (is_global_protocol or not is_protocol):
        return None
    return _Range(_GLOBAL_V6, "reserved")


def _carried(address: Address) -> Iterator[IPv4Address]:
    if isinstance(address, IPv4Address):
        return
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo  # the relay's server, and the client
    if address in _CARRIED_FORMS[0] or (address in _COMPATIBLE and int(address) > 1):
        yield IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _LOCAL_NAT64:
        yield from _carried_by_local_nat64(int(address))


def _carried_by_local_nat64(bits: int) -> Iterator[IPv4Address]:
    """Give what each layout of RFC 6052, 2.2 finds: which one is in use only the network knows.

    Zeros are what the layouts not in use find, so they say nothing.
    """
    # Bits 64 to 71 are never part of the embedded address.
    without_u = bits >> 64 << 56 | bits & (1 << 56) - 1
    for layout in (without_u >> 40, without_u >> 32, without_u >> 24, bits):
        carried = IPv4Address(layout & 0xFFFF_FFFF)
        if carried not in _ZEROS:
            yield carried
