"""Texts that others wrote, cut to what headers, trailers and lines of a log can carry."""

from __future__ import annotations

_ELLIPSIS = "…"


def bounded(text: str, max_bytes: int) -> str:
    """Return the text in at most `max_bytes` of UTF-8; `…` at its end says that it was cut.

    No character is cut in two. What UTF-8 cannot carry, half a surrogate pair, becomes `?`.
    """
    if text.isascii() and len(text) <= max_bytes:
        return text
    # A sign has a byte at least: no more of a long text needs to be encoded.
    encoded = text[: max_bytes + 1].encode("utf-8", "replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    kept = encoded[: max_bytes - len(_ELLIPSIS.encode())]
    return kept.decode("utf-8", "ignore") + _ELLIPSIS
