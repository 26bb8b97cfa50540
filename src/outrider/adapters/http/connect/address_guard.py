"""Resolve a host, check its addresses, and pin the address of a connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from outrider.adapters.http.connect.errors import blocked, unreachable
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.net.egress_policy import (
    EgressPolicy,
    check_address,
    check_host,
    literal_address,
)
from outrider.domain.net.endpoint import Address, Endpoint

MAX_NAMES = 1024  # resolved names remembered at once
MAX_RESOLVED = 64  # addresses checked, however many DNS gives


class Resolver(Protocol):
    """Turns a host name into addresses."""

    async def resolve(self, host: str) -> Sequence[Address]:
        """Give the addresses in the order to try them. Raise OSError when there is none.

        `host` is an IDNA name in lower case; a final dot says that it is not to be completed.
        """
        ...


class SystemResolver:
    """Asks the operating system, in a thread of the loop's."""

    async def resolve(self, host: str) -> Sequence[Address]:
        """See `Resolver`. The order is the system's (RFC 6724)."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        # An IPv6 address may come with a zone, which means nothing to the ranges.
        return [ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]


class AddressGuard:
    """Gives the addresses a connection may go to, and no other.

    Addresses are checked for every connection. Lookups are shared: calls that need the same name
    at the same time wait for one lookup, so a name server that hangs holds one thread and not
    all, and its addresses serve for `limits.resolved` seconds.
    """

    def __init__(self, policy: EgressPolicy, resolver: Resolver, limits: ClientLimits) -> None:
        self._policy = policy
        self._resolver = resolver
        self._limits = limits
        self._lookups: dict[str, asyncio.Task[tuple[Address, ...]]] = {}
        self._resolved: dict[str, tuple[float, tuple[Address, ...]]] = {}

    async def addresses(
        self, endpoint: Endpoint, *, is_trusted: bool = False
    ) -> tuple[Address, ...]:
        """Give at least one allowed address, in the order to try.

        With `is_trusted` every address is allowed: the operator named the endpoint. Raise
        `RequestError`: UNREACHABLE in RESOLVE when there is no address at all, BLOCKED in GUARD
        when none of them is allowed.
        """
        literal = literal_address(endpoint.host)
        found = (literal,) if literal is not None else await self._resolve(endpoint)
        if is_trusted or (literal is None and check_host(self._policy, endpoint.host)):
            return found[: self._limits.max_addresses]
        decisions = [check_address(self._policy, address) for address in found]
        allowed = [
            address for address, decision in zip(found, decisions, strict=True) if decision.allowed
        ]
        if not allowed:
            raise blocked(decisions[0].reason or "")
        return tuple(allowed[: self._limits.max_addresses])

    async def check_beyond_proxy(self, endpoint: Endpoint) -> None:
        """Raise `RequestError`, BLOCKED, when any address of the endpoint is not allowed.

        Which one the proxy would take is not ours to say. A name that we cannot resolve passes:
        where only the proxy knows the names of the internet, the proxy has to check it.
        """
        literal = literal_address(endpoint.host)
        if literal is None and check_host(self._policy, endpoint.host):
            return
        found = (literal,) if literal is not None else await self._resolve_briefly(endpoint)
        for address in found:
            decision = check_address(self._policy, address)
            if not decision.allowed:
                raise blocked(decision.reason or "")

    async def aclose(self) -> None:
        """Cancel the lookups that are under way; the calls that wait for them fail."""
        lookups = tuple(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    async def _resolve_briefly(self, endpoint: Endpoint) -> tuple[Address, ...]:
        try:
            async with asyncio.timeout(self._limits.beyond_proxy):
                return await self._resolve(endpoint)
        except (RequestError, TimeoutError):
            return ()

    async def _resolve(self, endpoint: Endpoint) -> tuple[Address, ...]:
        name = f"{endpoint.host}." if endpoint.rooted else endpoint.host
        until, found = self._resolved.get(name, (0.0, ()))
        if until <= asyncio.get_running_loop().time():
            found = await self._share_lookup(name)
        if not found:
            raise unreachable(Stage.RESOLVE, f"cannot resolve {endpoint.host}")
        return found

    async def _share_lookup(self, name: str) -> tuple[Address, ...]:
        lookup = self._lookups.get(name)
        if lookup is None:
            lookup = asyncio.get_running_loop().create_task(self._look_up(name))
            self._lookups[name] = lookup
            lookup.add_done_callback(lambda _: self._lookups.pop(name, None))
        try:
            # Others may wait too: a call that gives up must not end the lookup for them.
            return await asyncio.shield(lookup)
        except asyncio.CancelledError:
            if lookup.cancelled():
                raise unreachable(Stage.RESOLVE, "the client was closed") from None
            raise

    async def _look_up(self, name: str) -> tuple[Address, ...]:
        try:
            resolved = await self._resolver.resolve(name)
        except (OSError, UnicodeError):
            return ()
        found = tuple(dict.fromkeys(_unmapped(address) for address in resolved[:MAX_RESOLVED]))
        if len(self._resolved) >= MAX_NAMES:
            self._resolved.clear()
        until = asyncio.get_running_loop().time() + self._limits.resolved
        self._resolved[name] = (until, found)
        return found


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
