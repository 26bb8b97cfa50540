"""The one exception for everything a caller can get wrong."""

from __future__ import annotations

from enum import Enum


class Reason(str, Enum):
    """Why a call was refused. The values are stable: log them, count them."""

    MISSING = "missing"
    """No signature, or one of the three headers of Standard Webhooks is absent."""

    MALFORMED = "malformed"
    """A header is longer than, or not written as, any sender of this contract writes it."""

    CONFLICTING = "conflicting"
    """One thing is said twice, differently. Two readers could believe two things."""

    TOO_OLD = "too_old"
    """Signed longer ago than the tolerance: a replay, or the clocks disagree."""

    TOO_NEW = "too_new"
    """Signed further in the future than the tolerance: the clocks disagree."""

    NO_MATCH = "no_match"
    """No signature was made with a known signing key over these very bytes."""

    def __str__(self) -> str:
        """The bare value, on every version of Python."""
        return self.value


class InvalidSignature(Exception):
    """This call is not to be believed. Answer 400 and do nothing else with it.

    The text never contains what the caller sent, nor a signing key: it may be logged and sent.
    """

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason

    def __reduce__(self) -> tuple[type[InvalidSignature], tuple[Reason, str]]:
        """Two arguments instead of one text, so that it survives pickling between processes."""
        return type(self), (self.reason, str(self))
