"""The sentences of calls that brought no answer."""

from __future__ import annotations

from outrider.domain.calls.request import CallFailed, Stage
from outrider.domain.outcome import Outcome

_WHILE = {
    Stage.RESOLVE: "while resolving the host name",
    Stage.PROXY: "while reaching the target through the proxy",
    Stage.CONNECT: "while connecting",
    Stage.TLS: "during the TLS handshake",
    Stage.SEND: "while sending the request",
    Stage.ANSWER: "while waiting for the answer",
}


def unreachable(stage: Stage, reason: str) -> CallFailed:
    """A call that got as far as `stage` and brought no answer."""
    return CallFailed(Outcome.UNREACHABLE, stage, reason)


def blocked(reason: str) -> CallFailed:
    """A call that our own rules stopped before anything was sent to that place."""
    return CallFailed(Outcome.BLOCKED, Stage.GUARD, reason)


def of_proxy(failed: CallFailed) -> CallFailed:
    """What failed on the way to a proxy: the same end, in PROXY."""
    return CallFailed(failed.outcome, Stage.PROXY, f"proxy: {failed.reason}")


def timed_out(stage: Stage, seconds: float) -> CallFailed:
    """A call whose `seconds` were over in `stage`."""
    return unreachable(stage, f"time-out after {seconds:.3g} s {_WHILE[stage]}")
