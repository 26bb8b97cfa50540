"""One HTTP call to a target, and how it can end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from outrider.domain.outcome import Outcome
from outrider.domain.records import fast_dataclass
from outrider.domain.targets.policy import TlsPolicy

# What ZITADEL reads at most (sheet, section 3.10).
MAX_RESPONSE_BYTES = 20 * 1024 * 1024


class Stage(StrEnum):
    """How far a call got."""

    BUILD = "build"
    RESOLVE = "resolve"
    GUARD = "guard"
    PROXY = "proxy"
    CONNECT = "connect"
    TLS = "tls"
    SEND = "send"
    ANSWER = "answer"

    @property
    def concerns_target(self) -> bool:
        """Whether what failed here may be the target's fault. A proxy's faults are not."""
        return self is not Stage.PROXY


@dataclass(frozen=True, slots=True)
class Route:
    """How a call gets to its target: whom it trusts, who we are, through which proxy.

    `proxy_url` empty: through the server's proxy, if it has one. Equal routes share connections,
    different ones never do: a connection speaks for whoever shook hands on it.
    """

    tls: TlsPolicy = field(default=TlsPolicy(), repr=False)
    proxy_url: str = field(default="", repr=False)

    def without_identity(self) -> Route:
        """Give it without our certificate: trust and proxy stay as they are."""
        if not self.tls.client_cert_pem:
            return self
        return Route(TlsPolicy(ca_pem=self.tls.ca_pem), self.proxy_url)


DIRECT = Route()


@fast_dataclass()
class OutboundRequest:
    """A POST that is ready to leave. `timeout` is in seconds, for the whole exchange.

    `sensitive_headers` are the names, in lower case, of headers that the target's owner chose: they may
    be credentials, so they stay with the target's server when it redirects to another one.
    `body_limit` is how many bytes of the answer's body are of use; what comes after them is read and
    may be dropped.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    timeout: float
    route: Route = field(default=DIRECT, repr=False)
    sensitive_headers: frozenset[str] = field(default=frozenset(), repr=False)
    body_limit: int = field(default=MAX_RESPONSE_BYTES, repr=False)


@fast_dataclass()
class Response:
    """What came back: header names in lower case, the body at most `MAX_RESPONSE_BYTES` long.

    The body ends early where the call had no use for all of it (`OutboundRequest.body_limit`).
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


class RequestError(Exception):
    """No usable answer. `reason` is a sentence for the attempt log, without secrets."""

    def __init__(self, outcome: Outcome, stage: Stage, reason: str) -> None:
        super().__init__(outcome, stage, reason)
        self.outcome = outcome
        self.stage = stage
        self.reason = reason
