"""An HTTP request to a target, its response, and its failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from outrider.domain.outcome import Outcome
from outrider.domain.records import fast_dataclass
from outrider.domain.targets.policy import TlsPolicy
from outrider.errors import OutriderError

# What ZITADEL reads at most.
MAX_RESPONSE_BYTES = 20 * 1024 * 1024
BODY_PREFIX_BYTES = 2048
"""How much of a response's body the delivery log keeps."""
MAX_APPLIED_BYTES = 4 * 1024 * 1024
"""What replaces a message is no larger than the call that a message comes in."""


class Stage(StrEnum):
    """How far a request got."""

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
    """How a request gets to its target: the trusted CAs, our certificate, the proxy.

    `proxy_url` empty: through the server's proxy, if it has one. Equal routes share connections,
    different ones never do: a connection carries the identity of its TLS handshake.
    """

    tls: TlsPolicy = field(default=TlsPolicy(), repr=False)
    proxy_url: str = field(default="", repr=False)

    def without_identity(self) -> Route:
        """Return the route without our certificate; CAs and proxy stay as they are."""
        if not self.tls.client_cert_pem:
            return self
        return Route(TlsPolicy(ca_pem=self.tls.ca_pem), self.proxy_url)


DIRECT = Route()


@fast_dataclass()
class OutboundRequest:
    """A POST that is ready to be sent. `timeout` is in seconds, for the whole exchange.

    `sensitive_headers` are the names, in lower case, of headers that the target's owner chose: they
    may be credentials, so a redirect to another server does not take them along. `body_limit` is
    how many bytes of the response's body are of use; the client reads the bytes after them and may
    drop them.
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

    The body ends early where the request had no use for all of it (`OutboundRequest.body_limit`).
    `is_whole` is False where the rest may be missing for another reason: only the end of the
    connection ended the body, and that may be the network's doing.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    is_whole: bool = True

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of statuses


class RequestError(Exception):
    """No usable response. `reason` is a sentence for the attempt log, without secrets.

    `error` is what the caller of an interception gets when the target interrupts it; None: the
    general error (docs/contract.md#answers-of-targets). `partial` is what came of a response that was cut, for the log
    alone: nothing is decided by it.
    """

    error: OutriderError | None = None

    def __init__(
        self, outcome: Outcome, stage: Stage, reason: str, partial: Response | None = None
    ) -> None:
        super().__init__(outcome, stage, reason)
        self.outcome = outcome
        self.stage = stage
        self.reason = reason
        self.partial = partial

    def __str__(self) -> str:
        return self.reason
