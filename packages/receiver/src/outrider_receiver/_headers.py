"""Find the few headers that matter among all that came, whatever the framework calls them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from outrider_receiver._refusal import InvalidCall, Reason

ZITADEL_SIGNATURE = "zitadel-signature"
WEBHOOK_ID = "webhook-id"
WEBHOOK_TIMESTAMP = "webhook-timestamp"
WEBHOOK_SIGNATURE = "webhook-signature"
ATTEMPT = "outrider-attempt"
EVENT = "outrider-event"
REPLAY_OF = "outrider-replay-of"
HOPS = "outrider-hops"

# Any client that reaches the URL writes the headers. Bound each before reading it. A timestamp and 31
# signatures, more than any sender has keys, take 2 100 characters.
MAX_HEADER_CHARS = 4096

# ZITADEL's API reference puts an X- before the name, its server does not, outrider sends both.
_MEANINGS = {
    ZITADEL_SIGNATURE: ZITADEL_SIGNATURE,
    "x-zitadel-signature": ZITADEL_SIGNATURE,
    WEBHOOK_ID: WEBHOOK_ID,
    WEBHOOK_TIMESTAMP: WEBHOOK_TIMESTAMP,
    WEBHOOK_SIGNATURE: WEBHOOK_SIGNATURE,
    ATTEMPT: ATTEMPT,
    EVENT: EVENT,
    REPLAY_OF: REPLAY_OF,
    HOPS: HOPS,
}
# Spelt as servers of three kinds hand them over: the quick way to the same.
_SPELLINGS = {
    spelling: meaning
    for name, meaning in _MEANINGS.items()
    for spelling in (name, name.title(), name.replace("zitadel", "ZITADEL"))
}
_LONGEST_NAME = max(map(len, _MEANINGS))


class HasItems(Protocol):
    """A mapping, or what `http.server` and the frameworks have instead."""

    def items(self) -> Iterable[tuple[str, str | None]]:
        """The headers as pairs of name and value."""


Headers = HasItems | Iterable[tuple[str, str | None]]
"""Pairs of name and value; the value None stands for a header that did not come."""


def read_headers(headers: Headers) -> dict[str, str]:
    """The values of the headers that matter, by the constants above. Names match in any case.

    A header that came twice, or under both of its names, counts once if the values are equal.

    Raises:
        InvalidCall: a value is too long or not ASCII, or one header has two values.
        TypeError: names and values are not text.
    """
    found: dict[str, str] = {}
    for name, value in headers.items() if hasattr(headers, "items") else headers:
        meaning = _SPELLINGS.get(name) or _meaning(name)
        if meaning is None or value is None:
            continue
        if not isinstance(value, str):
            raise TypeError(f"a header's value is str, not {type(value).__name__}: decode it")
        if len(value) > MAX_HEADER_CHARS or not value.isascii():
            raise InvalidCall(Reason.MALFORMED, f"{meaning} is too long or not ASCII")
        if found.setdefault(meaning, value) != value:
            raise InvalidCall(Reason.CONFLICTING, f"{meaning} came with two values")
    return found


def _meaning(name: str) -> str | None:
    if not isinstance(name, str):
        raise TypeError(f"a header's name is str, not {type(name).__name__}: decode it")
    # Not ASCII is not HTTP, and lower() would turn the Kelvin sign into a plain k.
    if len(name) > _LONGEST_NAME or not name.isascii():
        return None
    return _MEANINGS.get(name.lower())
