"""Pages and filters of ZITADEL's lists, from and to protobuf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from outrider.domain.page import Page, checked_page
from outrider.errors import InvalidRequest
from outrider_api.zitadel.filter.v2.filter_pb import PaginationRequest, PaginationResponse

# SQLite's and PostgreSQL's largest: no list is that long.
_MAX_OFFSET = 2**63 - 1
HOW_TO_PAGE = "give nextPageToken of the page before, or none for the first page"
"""The rule for a page token, as an advice in errors."""

# Each filter is a condition of SQL, and SQLite takes less than a thousand. No caller needs that number:
# filters are ANDed, and one filter takes any number of ids.
_MAX_FILTERS = 100

F = TypeVar("F")


def page_from_proto(request: PaginationRequest | None) -> Page:
    """The page asked for; absent: the first, newest first. Raise `InvalidRequest` over 1000."""
    if request is None:
        return Page()
    return checked_page(min(request.offset, _MAX_OFFSET), request.limit, ascending=request.asc)


def page_to_proto(page: Page, total: int) -> PaginationResponse:
    """The part of a response that describes the page."""
    return PaginationResponse(total_result=total, applied_limit=page.limit)


def checked_filters(filters: Sequence[F], request_name: str) -> Sequence[F]:
    """The filters. Raise `InvalidRequest` in the words of validation when there are too many."""
    if len(filters) > _MAX_FILTERS:
        raise InvalidRequest(
            f"invalid {request_name}.Filters: value must contain no more than {_MAX_FILTERS} item(s)"
        )
    return filters
