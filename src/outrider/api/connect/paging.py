"""Pages of ZITADEL's lists, from and to protobuf."""

from __future__ import annotations

from outrider.domain.page import Page, checked_page
from outrider_api.zitadel.filter.v2.filter_pb import PaginationRequest, PaginationResponse

# SQLite's and PostgreSQL's largest: no list is that long.
_MAX_OFFSET = 2**63 - 1


def page_from_proto(request: PaginationRequest | None) -> Page:
    """The page asked for; absent: the first, newest first. Raise `InvalidRequest` over 1000."""
    if request is None:
        return Page()
    return checked_page(min(request.offset, _MAX_OFFSET), request.limit, ascending=request.asc)


def page_to_proto(page: Page, total: int) -> PaginationResponse:
    """What the answer says about the page."""
    return PaginationResponse(total_result=total, applied_limit=page.limit)
