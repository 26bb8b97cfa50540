"""Errors of calls that brought no response: each is a sentence for the attempt log."""

from __future__ import annotations

from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.outcome import Outcome

_WHILE = {
    Stage.RESOLVE: "while resolving the host name",
    Stage.PROXY: "while reaching the target through the proxy",
    Stage.CONNECT: "while connecting",
    Stage.TLS: "during the TLS handshake",
    Stage.SEND: "while sending the request",
    Stage.ANSWER: "while waiting for the answer",
}


def unreachable(stage: Stage, reason: str) -> RequestError:
    """A call that got as far as `stage` and brought no response."""
    return RequestError(Outcome.UNREACHABLE, stage, reason)


def blocked(reason: str) -> RequestError:
    """A call that our own rules stopped before anything was sent to that address."""
    return RequestError(Outcome.BLOCKED, Stage.GUARD, reason)


def proxy_error(reason: str) -> RequestError:
    """A call that a proxy brought to an end: no fault of the target."""
    return unreachable(Stage.PROXY, f"proxy: {reason}")


def as_proxy_error(error: RequestError) -> RequestError:
    """What failed on the way to a proxy: the same outcome, in PROXY."""
    return RequestError(error.outcome, Stage.PROXY, f"proxy: {error.reason}")


def timed_out(stage: Stage, seconds: float) -> RequestError:
    """A call whose `seconds` were over in `stage`."""
    return unreachable(stage, f"time-out after {seconds:.3g} s {_WHILE[stage]}")
