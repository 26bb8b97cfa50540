"""The one exception for everything a caller can get wrong, and one for what is not his fault."""

from __future__ import annotations

from enum import Enum


class Reason(str, Enum):
    """The reason why a call was refused. The values are stable: log them, count them."""

    MISSING = "missing"
    """No signature, or one of the three headers of Standard Webhooks is absent."""

    MALFORMED = "malformed"
    """A header, token or payload is longer than, or not written as, any sender writes it."""

    CONFLICTING = "conflicting"
    """One thing is said twice, differently. Two readers could believe two things."""

    TOO_OLD = "too_old"
    """Signed longer ago than the tolerance: a replay, or the clocks disagree."""

    TOO_NEW = "too_new"
    """Signed further in the future than the tolerance: the clocks disagree."""

    NO_MATCH = "no_match"
    """No signature was made with a known key over exactly these bytes."""

    NOT_ALLOWED = "not_allowed"
    """A payload type or an algorithm that this receiver does not accept."""

    UNKNOWN_KEY = "unknown_key"
    """A token names no key, or one that is not known here: neither public nor private."""

    UNREADABLE = "unreadable"
    """A token that does not decrypt with the key it names."""

    def __str__(self) -> str:
        """The bare value, on every version of Python."""
        return self.value


class InvalidCall(Exception):
    """This call is not to be believed. Answer 400 and do nothing else with it.

    The text never contains what the caller sent, nor a signing key: it may be logged and sent.
    """

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[type[InvalidCall], tuple[Reason, str]]:
        """Two arguments instead of one text, so that it survives pickling between processes."""
        return type(self), (self.reason, str(self))


InvalidSignature = InvalidCall
"""The same exception, under a name for programs that only verify signatures."""


class KeysUnavailable(Exception):
    """The issuer's keys are unavailable. The input is not at fault: answer 503, and the call is repeated."""
