"""One call to a receiver: as it was opened, and as it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field

from outrider_receiver._verify import VerifiedCall
from outrider_receiver.payloads import Payload


@dataclass(frozen=True)
class HttpAnswer:
    """The HTTP response to send."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    """Others than `Content-Type` and `Content-Length`."""


@dataclass(frozen=True)
class OpenedCall:
    """A call that is believed, and what it says."""

    verified: VerifiedCall
    payload: Payload
    body: bytes = field(repr=False)
    """The JSON, decrypted."""
    macs: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """What tells that the same signed bytes come again: see `verify_with_macs`."""
