"""Decide after a target's call whether the interception continues, and which error rejects it.

The rules are ZITADEL's (docs/contract.md#answers-of-targets), with two differences: outrider treats
an unreachable target differently from one that refused, and no text about a receiver reaches the
caller (docs/contract.md#interceptions).
"""

from __future__ import annotations

from collections.abc import Sequence

from outrider.domain.calls.classify import ForwardedError
from outrider.domain.formats.bounded_text import bounded
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import TargetPolicy
from outrider.domain.targets.target import Target, TargetType
from outrider.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    OutriderError,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    UnknownFailure,
)

MAX_FORWARDED_BYTES = 1024
"""Of a forwarded message, in UTF-8: what is longer would reach no caller of gRPC."""

_NO_RESPONSE = frozenset({Outcome.UNREACHABLE, Outcome.BLOCKED})
_REFUSALS = (Outcome.REFUSED, Outcome.UNREACHABLE)
_FORWARDED_ID = "EXEC-reUaUZCzCp"
_SEE_LOG = "find the interception_id of this error in the server's log"
_FORWARDED: dict[int, type[OutriderError]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: PermissionDenied,
    404: NotFound,
    409: AlreadyExists,
    429: ResourceExhausted,
}


def interrupts(target: Target, policy: TargetPolicy, outcome: Outcome) -> bool:
    """Whether a target whose call had this outcome, and did not accept, stops the interception.

    `on_unreachable` of its policy decides when no response came; without a choice, and when the
    target responded, its `interrupt_on_error` does. An asynchronous target stops nothing.
    """
    if target.type is TargetType.REST_ASYNC:
        return False
    if outcome in _NO_RESPONSE:
        return policy.may_interrupt(target.interrupt_on_error)
    return target.interrupt_on_error


def may_interrupt(target: Target, policy: TargetPolicy) -> bool:
    """Whether some outcome of a call of this target stops the interception."""
    return any(interrupts(target, policy, outcome) for outcome in _REFUSALS)


def execution_failed() -> OutriderError:
    """The target refused without words for the caller, or did not respond."""
    return FailedPrecondition(
        "Execution failed",
        "EXEC-dra6yamk98",
        reason="a target that may stop the call refused it, failed or did not respond",
        hint=_SEE_LOG,
    )


def not_json() -> OutriderError:
    """The response to a function is not JSON."""
    return FailedPrecondition(
        "Response is not valid JSON",
        "ACTION-4m9s2",
        reason="a target answered the function with something else than JSON",
        hint=_SEE_LOG,
    )


def forwarded_failure(forwarded: ForwardedError) -> OutriderError:
    """The error that a target forwards to the caller, in the target's words.

    They are cut at `MAX_FORWARDED_BYTES`: callers of gRPC take no longer headers.
    """
    status, message = forwarded.status_code, bounded(forwarded.message, MAX_FORWARDED_BYTES)
    known = _FORWARDED.get(status)
    if known is not None:
        return known(message, _FORWARDED_ID)
    if 400 < status < 500:  # noqa: PLR2004 - the class of statuses
        return UnknownFailure(message, _FORWARDED_ID)
    return FailedPrecondition(message, "EXEC-bmhNhpcqpF")


def time_slice(remaining: float, timeouts: Sequence[float]) -> float:
    """Return how many seconds the first of the targets still to be called may take.

    `timeouts` are their own, in order. When there is time for all of them each has its own. When
    there is not, the rest is shared in their proportion: the sum never exceeds `remaining`, and a
    target at the end of the list is not starved by one before it. The caller asks again before
    every call, so what one target leaves unused is there for the next. Never below 0.
    """
    total = sum(timeouts)
    if total <= remaining:
        return timeouts[0]
    return max(0.0, remaining) * timeouts[0] / total
