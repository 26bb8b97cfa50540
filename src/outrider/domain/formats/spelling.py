"""Names that are meant by one that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# The time to compare texts grows with both lengths, and any caller may send long ones.
_MAX_CHARS = 100
_CUTOFF = 0.75


def alike(name: str, known: Iterable[str]) -> str | None:
    """The name that is spelled nearly like this one, its case aside; None: there is none."""
    if len(name) > _MAX_CHARS:
        return None
    folded = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(name.casefold(), folded, 1, _CUTOFF)
    return folded[found[0]] if found else None
