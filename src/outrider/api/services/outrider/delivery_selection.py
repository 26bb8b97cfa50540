"""Read the deliveries that a call selects, by ids or by filters, and report skipped ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from outrider.api.services.messages.times import optional_time, to_optional_timestamp
from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import LogRange, PagedResult
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.delivery.selection import StateRules, narrowed
from outrider.domain.ids import DeliveryId, EventId, TargetId
from outrider.errors import InvalidRequest
from outrider.usecases.delivery.log_pages import MAX_FOUND
from outrider_api.outrider.v1 import delivery_service_pb as pb

Change: TypeAlias = (
    pb.ReplayDeliveriesRequest | pb.RetryDeliveriesRequest | pb.CancelDeliveriesRequest
)
Filtered: TypeAlias = pb.ListDeliveriesRequest | Change

_MAX_ID_DIGITS = 19


class Page(NamedTuple):
    """The arguments of a use case that looks through the log."""

    search: DeliverySearch
    rest: LogRange | None
    limit: int


def selected(request: Change, rules: StateRules) -> list[DeliveryId] | Page:
    """The ids, or what the filters say. Raise `InvalidRequest` for both, for neither, for odd states."""
    name = type(request).__name__
    if request.ids:
        _check_only_ids(request, name)
        return [DeliveryId(delivery_id) for delivery_id in request.ids]
    search = search_of(request)
    return Page(
        narrowed(search, rules, name),
        _log_range(request.page_token, name),
        request.page_size or MAX_FOUND,
    )


def search_of(request: Filtered) -> DeliverySearch:
    """The filters of a request."""
    since, until = span(request)
    return DeliverySearch(
        states=tuple(DeliveryState(int(state)) for state in request.states),
        target_id=TargetId(request.target_id) if request.target_id else None,
        event_type=request.event_type or None,
        event_id=EventId(request.event_id) if request.event_id else None,
        created_since=since,
        created_until=until,
    )


def span(
    request: Filtered | pb.GetDeliveryStatsRequest,
) -> tuple[datetime | None, datetime | None]:
    """The times between which deliveries were made. Raise `InvalidRequest` when nothing can be."""
    name = type(request).__name__
    since = optional_time(request.created_since, f"{name}.CreatedSince")
    until = optional_time(request.created_until, f"{name}.CreatedUntil")
    if since is not None and until is not None and until < since:
        raise InvalidRequest(
            f"invalid {name}.CreatedUntil: value is before CreatedSince, so that nothing is found"
        )
    return since, until


def is_id(text: str) -> bool:
    """Return whether a text may be the id of a delivery."""
    return text.isascii() and text.isdigit() and len(text) <= _MAX_ID_DIGITS


def page_fields(result: PagedResult) -> dict[str, Any]:
    """Return the fields that the responses about many deliveries share.

    The token with which the next call continues is opaque to callers.
    """
    rest = result.rest
    return {
        "deliveries": result.made,
        "next_page_token": "" if rest is None else f"{rest.after}-{rest.until}",
        "skipped": result.skipped,
        "reached_at": to_optional_timestamp(result.reached_at),
        "skips": _skip_counts(result),
    }


def _skip_counts(result: PagedResult) -> list[pb.SkipCount]:
    return [
        pb.SkipCount(reason=pb.SkipReason(reason.value), count=count)
        for reason, count in sorted(result.counts.skips.items())
        if count
    ]


def _check_only_ids(request: Change, name: str) -> None:
    alone = type(request)(ids=request.ids)
    if isinstance(alone, pb.ReplayDeliveriesRequest) and isinstance(
        request, pb.ReplayDeliveriesRequest
    ):
        alone.include_replayed = request.include_replayed
    if request != alone:
        raise InvalidRequest(f"invalid {name}: give either ids or filters, not both")


def _log_range(token: str, name: str) -> LogRange | None:
    # Opaque to callers; here it is what is left of the range that the first call began with.
    if not token:
        return None
    after, dash, until = token.partition("-")
    if not (dash and is_id(after) and is_id(until)):
        raise InvalidRequest(f"invalid {name}.PageToken: value is not a token of a page")
    return LogRange(DeliveryId(after), DeliveryId(until))
