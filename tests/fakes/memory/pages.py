"""Pages of lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from outrider.domain.page import Listing, Page

T = TypeVar("T")


def page_of(rows: Iterable[T], sorted_by: Callable[[T], Any], page: Page) -> Listing[T]:
    """Sort all rows, cut the page out. `total` is 0 when the page starts after them."""
    ordered = sorted(rows, key=sorted_by, reverse=not page.ascending)
    cut = ordered[page.offset : page.offset + page.limit]
    return Listing(cut, len(ordered) if cut else 0)
