"""The sentences of calls that brought no answer."""

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
    """A call that got as far as `stage` and brought no answer."""
    return RequestError(Outcome.UNREACHABLE, stage, reason)


def blocked(reason: str) -> RequestError:
    """A call that our own rules stopped before anything was sent to that place."""
    return RequestError(Outcome.BLOCKED, Stage.GUARD, reason)


def of_proxy(failed: RequestError) -> RequestError:
    """What failed on the way to a proxy: the same end, in PROXY."""
    return RequestError(failed.outcome, Stage.PROXY, f"proxy: {failed.reason}")


def timed_out(stage: Stage, seconds: float) -> RequestError:
    """A call whose `seconds` were over in `stage`."""
    return unreachable(stage, f"time-out after {seconds:.3g} s {_WHILE[stage]}")
