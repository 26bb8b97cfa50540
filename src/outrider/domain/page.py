"""Pages of lists: by offset for ZITADEL's lists, by key for ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from outrider.errors import InvalidRequest

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a list that a caller asks for, and its sort direction."""

    offset: int = 0
    limit: int = DEFAULT_LIMIT
    ascending: bool = False


def checked_page(offset: int, limit: int, *, ascending: bool) -> Page:
    """Return the page. A limit of 0 is the default.

    Raises:
        InvalidRequest: the limit is over `MAX_LIMIT`.
    """
    if limit > MAX_LIMIT:
        raise InvalidRequest(
            "Limit exceeded",
            "QUERY-4M0fs",
            reason=f"the limit of the page is {limit}",
            hint=f"ask for at most {MAX_LIMIT} rows, and for the next ones with the offset",
        )
    return Page(offset, limit or DEFAULT_LIMIT, ascending)


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page of a list. `total` counts all matching rows; 0 when the page starts behind them."""

    rows: Sequence[T]
    total: int
