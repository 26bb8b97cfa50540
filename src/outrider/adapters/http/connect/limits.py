"""Every bound of outgoing calls, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from outrider.domain.calls.request import MAX_RESPONSE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """The limits of a client and its receivers. Durations are in seconds."""

    dial: float = 5.0
    """TCP connect, all addresses together; a host that is up answers in far less."""

    handshake: float = 10.0
    """TLS, from hello to finished."""

    tunnel: float = 10.0
    """From CONNECT to the proxy's response: it connects to the target meanwhile."""

    beyond_proxy: float = 1.0
    """How long we look up a name that a proxy will look up anyway."""

    next_address: float = 0.25
    """How long one address may keep the next one waiting (RFC 8305, 5)."""

    max_addresses: int = 8
    """Addresses tried for one connection, however many DNS gives."""

    resolved: float = 2.0
    """How long resolved addresses serve further connections. They are checked each time."""

    idle: float = 4.0
    """How long an unused connection is kept whose receiver does not say how long it keeps it.

    A request that is written just when the receiver closes fails, so we have to close first. Node,
    uvicorn and Apache close after 5 s, everything else that is usual later.
    """

    longest_idle: float = 50.0
    """How long an unused connection is kept at most, whatever its receiver says: balancers on the
    way close after 60 s."""

    max_idle_per_origin: int = 128
    max_idle: int = 1024
    """Unused connections kept, in all; the one unused for longest goes first."""

    max_redirects: int = 5
    max_head_bytes: int = 64 * 1024
    """Status line and fields of a response, the interim responses before it included."""

    max_fields: int = 200
    max_interim_responses: int = 20
    """1xx responses before the final one; a receiver has no use for more than one or two."""

    max_body_bytes: int = MAX_RESPONSE_BYTES

    max_small_chunks: int = 10_000
    """Chunks in addition to one for every 64 bytes of a body: each costs more time than its bytes."""
