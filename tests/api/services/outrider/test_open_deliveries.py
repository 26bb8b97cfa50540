"""RetryDeliveries and CancelDeliveries, and what every call about many deliveries refuses."""

from __future__ import annotations

from typing import Any

import pytest

from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import EVENT_TYPE
from api.calls.table import Call, Caller, Row
from api.services.outrider.test_deliveries import ONE_PENDING, THREE_PENDING
from api.services.outrider.test_delivery_control import (
    BACKWARDS,
    CANCELLED,
    NO_DELIVERY,
    NOT_ALLOWED,
    refused,
    skips,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

TWO_FILTERS = "give either ids or filters, not both"
DUE = {"deliveries": 1, "reachedAt": "$published"}


def retrying(caller: Caller = Caller.ADMIN, **fields: Any) -> Call:
    """The call that a row is about."""
    return Call("RetryDeliveries", fields, caller)


def cancelling(caller: Caller = Caller.ADMIN, **fields: Any) -> Call:
    """The call that a row is about."""
    return Call("CancelDeliveries", fields, caller)


# No worker runs here: nothing is due later than it was made, so that nothing becomes due now.
# What does is in tests/usecases/delivery/test_open_deliveries.py.
RETRIES = [
    Row("one that is due", retrying(ids=["$delivery"]), skips("DUE"), ONE_PENDING),
    Row(
        "one whose target is paused",
        retrying(ids=["$delivery"]),
        skips("DUE"),
        [*ONE_PENDING, Call("PauseTarget", {"targetId": "$target"})],
    ),
    Row("one that is finished", retrying(ids=["$delivery"]), skips("FINISHED"), CANCELLED),
    Row(
        "filters find what is open",
        retrying(eventId="$unique"),
        {
            "skipped": 3,
            "skips": [
                {"reason": "SKIP_REASON_WAITING", "count": 2},
                {"reason": "SKIP_REASON_DUE", "count": 1},
            ],
            "reachedAt": "$made",
        },
        [
            *THREE_PENDING,
            Call("ListDeliveries", {"eventId": "$unique"}, keep={"made": "deliveries.0.createdAt"}),
        ],
    ),
    Row("filters find nothing that is finished", retrying(targetId="$target"), {}, CANCELLED),
    Row(
        "none in that state",
        retrying(targetId="$target", states=[3]),
        {"reachedAt": "$published"},
        ONE_PENDING,
    ),
    Row(
        "by a type and a time",
        retrying(targetId="$target", eventType=EVENT_TYPE, createdSince="$published"),
        skips("DUE", reachedAt="$published"),
        ONE_PENDING,
    ),
]
CANCELS_OF_MANY = [
    Row("those that are named", cancelling(ids=["$delivery"]), {"deliveries": 1}, ONE_PENDING),
    Row("one that is cancelled", cancelling(ids=["$delivery"]), skips("FINISHED"), CANCELLED),
    Row(
        "those of an event, and nothing moves up",
        cancelling(eventId="$unique"),
        {"deliveries": 3, "reachedAt": "$made"},
        [
            *THREE_PENDING,
            Call("ListDeliveries", {"eventId": "$unique"}, keep={"made": "deliveries.0.createdAt"}),
        ],
    ),
    Row(
        "they are cancelled then",
        Call("ListDeliveries", {"eventId": "$unique", "states": [1, 2, 3]}),
        {},
        [*THREE_PENDING, Call("CancelDeliveries", {"eventId": "$unique"})],
    ),
    Row("those of a type", cancelling(targetId="$target", eventType=EVENT_TYPE), DUE, ONE_PENDING),
    Row("those to a target", cancelling(targetId="$target", states=[1]), DUE, ONE_PENDING),
    Row(
        "none in that state",
        cancelling(targetId="$target", states=[3]),
        {"reachedAt": "$published"},
        ONE_PENDING,
    ),
    Row("filters find nothing that is finished", cancelling(targetId="$target"), {}, CANCELLED),
    Row(
        "the next page goes on, from the newest to the oldest",
        cancelling(eventId="$unique", pageSize=2, pageToken="$token"),
        {"deliveries": 1, "reachedAt": "$made"},
        [
            *THREE_PENDING,
            Call("ListDeliveries", {"eventId": "$unique"}, keep={"made": "deliveries.2.createdAt"}),
            Call(
                "CancelDeliveries",
                {"eventId": "$unique", "pageSize": 2},
                keep={"token": "nextPageToken"},
            ),
        ],
    ),
    Row(
        "one that is not there, and none is cancelled",
        Call("ListDeliveries", {"eventId": "$unique", "states": [6]}),
        {},
        [*ONE_PENDING, Call("CancelDeliveries", {"ids": ["$delivery", "1"]}, fails=True)],
    ),
]


def of_many(name: str, called: Any) -> list[Row]:
    """What both refuse."""
    return [
        Row(f"{name}: nobody's", called(ids=["1"]), NO_DELIVERY),
        Row(f"{name}: no number", called(ids=["first"]), NO_DELIVERY),
        Row(
            f"{name}: ids and filters",
            called(ids=["1"], states=[1]),
            refused(f"{name}: {TWO_FILTERS}"),
        ),
        Row(
            f"{name}: ids and a page",
            called(ids=["1"], pageToken="1-2"),
            refused(f"{name}: {TWO_FILTERS}"),
        ),
        Row(
            f"{name}: everything",
            called(pageSize=1),
            refused(f"{name}: give ids or at least one filter"),
        ),
        Row(
            f"{name}: no token of a page",
            called(targetId="1", pageToken="next"),
            refused(f"{name}.PageToken: value is not a token of a page"),
        ),
        Row(
            f"{name}: more ids than a call takes",
            called(ids=[str(number) for number in range(1001)]),
            refused(f"{name}.Ids: value must contain no more than 1000 item(s)"),
        ),
        Row(
            f"{name}: too much at once",
            called(targetId="1", pageSize=10_001),
            refused(f"{name}.PageSize: value must be less than or equal to 10000"),
        ),
        Row(
            f"{name}: times in the wrong order",
            called(createdSince="2030-01-02T00:00:00Z", createdUntil="2030-01-01T00:00:00Z"),
            refused(f"{name}.{BACKWARDS}"),
        ),
        *(
            Row(f"{name}: {caller} may not", called(caller, ids=["1"]), NOT_ALLOWED)
            for caller in (Caller.VIEWER, Caller.PUBLISHER, Caller.ORG_OWNER)
        ),
    ]


REFUSED_STATES = [
    *(
        Row(
            f"RetryDeliveries of {name} ones",
            retrying(states=[1, number]),
            refused(
                f"RetryDeliveriesRequest.States[1]: {name} deliveries are finished and not attempted"
                " again: use ReplayDeliveries (`outrider delivery replay`) to make them again"
            ),
        )
        for number, name in ((4, "DELIVERED"), (5, "DEAD"), (6, "CANCELLED"))
    ),
    Row(
        "RetryDeliveries of those that are attempted",
        retrying(states=[2]),
        refused(
            "RetryDeliveriesRequest.States[0]: an attempt of DELIVERING deliveries is in flight:"
            " only PENDING and RETRYING ones can be due sooner"
        ),
    ),
    *(
        Row(
            f"CancelDeliveries of {name} ones",
            cancelling(states=[number]),
            refused(
                f"CancelDeliveriesRequest.States[0]: {name} deliveries are finished, and nothing of"
                " them is left to cancel"
            ),
        )
        for number, name in ((4, "DELIVERED"), (5, "DEAD"), (6, "CANCELLED"))
    ),
    *(
        Row(
            f"{method} between two times in the wrong order",
            Call(
                method,
                {"createdSince": "2030-01-02T00:00:00Z", "createdUntil": "2030-01-01T00:00:00Z"},
            ),
            refused(f"{method}Request.{BACKWARDS}"),
        )
        for method in ("ListDeliveries", "GetDeliveryStats")
    ),
    Row(
        "ListDeliveries between a time and itself",
        Call(
            "ListDeliveries",
            {"createdSince": "2030-01-01T00:00:00Z", "createdUntil": "2030-01-01T00:00:00Z"},
        ),
        {},
    ),
]

ROWS = [
    *RETRIES,
    *CANCELS_OF_MANY,
    *of_many("RetryDeliveriesRequest", retrying),
    *of_many("CancelDeliveriesRequest", cancelling),
    *REFUSED_STATES,
]


@each_row(ROWS)
async def test_open_deliveries(service: Service, row: Row):
    """
    An operator whose receiver is back has its deliveries attempted now, or stops them.
    """
    await check(service, row)
