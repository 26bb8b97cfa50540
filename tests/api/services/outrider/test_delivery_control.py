"""ReplayDeliveries, CancelDelivery and GetDeliveryStats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from api.calls.matching import NOW
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import (
    EVENT_TYPE,
    KNOWN,
    a_target,
    delete,
    on_event,
    publish,
    set_targets,
)
from api.calls.table import ALL_BUT_REST, Call, Caller, ExpectedError, Row
from api.services.outrider.test_deliveries import FOUND, ONE_PENDING, THREE_PENDING, shown

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANCEL = Call("CancelDelivery", {"id": "$delivery"}, keep={"finished": "delivery.finishedAt"})
CANCELLED = [*ONE_PENDING, CANCEL]
NO_DELIVERY = ExpectedError("not_found", "Delivery not found", "OUTRIDER-delivery")
BACKWARDS = "CreatedUntil: value is before CreatedSince, so that nothing is found"
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")


def replaying(caller: Caller = Caller.ADMIN, **fields: Any) -> Call:
    """The call that a row is about."""
    return Call("ReplayDeliveries", fields, caller)


def counting(caller: Caller = Caller.ADMIN, **fields: Any) -> Call:
    """The call that a row is about."""
    return Call("GetDeliveryStats", fields, caller)


def refused(text: str) -> ExpectedError:
    """An error of validation."""
    return ExpectedError("invalid_argument", f"invalid {text}")


def state(name: str, count: int) -> dict[str, str]:
    """One count."""
    return {"state": f"DELIVERY_STATE_{name}", "count": str(count)}


def skips(reason: str, count: int = 1, **fields: Any) -> dict[str, Any]:
    """An answer that did nothing, for one reason."""
    counted = {"reason": f"SKIP_REASON_{reason}", "count": count}
    return {"skipped": count, "skips": [counted], **fields}


def again(**fields: Any) -> Call:
    """A replay that a row is not about."""
    return Call("ReplayDeliveries", fields)


CANCELS = [
    Row(
        "a delivery that is due",
        CANCEL,
        {
            "delivery": {
                name: value
                for name, value in shown(
                    id="$delivery", state="DELIVERY_STATE_CANCELLED", finishedAt=NOW
                ).items()
                if name != "nextAttemptAt"
            }
        },
        ONE_PENDING,
    ),
    Row(
        "a cancelled delivery is cancelled since then",
        Call("CancelDelivery", {"id": "$delivery"}),
        {
            "delivery": {
                name: value
                for name, value in shown(
                    id="$delivery", state="DELIVERY_STATE_CANCELLED", finishedAt="$finished"
                ).items()
                if name != "nextAttemptAt"
            }
        },
        CANCELLED,
    ),
    Row(
        "the next of the execution becomes due",
        Call("ListDeliveries", {"eventId": "$unique", "targetId": "$three"}),
        {"deliveries": [shown("$three", nextAttemptAt="$finished", createdAt="$made")]},
        [
            *THREE_PENDING,
            Call(
                "ListDeliveries",
                {"eventId": "$unique"},
                keep={
                    "made": "deliveries.0.createdAt",
                    "two": "deliveries.1.id",
                    "one": "deliveries.2.id",
                },
            ),
            Call("CancelDelivery", {"id": "$two"}),
            Call("CancelDelivery", {"id": "$one"}, keep={"finished": "delivery.finishedAt"}),
        ],
    ),
    Row("nobody's delivery", Call("CancelDelivery", {"id": "1"}), NO_DELIVERY),
    Row("no number", Call("CancelDelivery", {"id": "first"}), NO_DELIVERY),
    Row(
        "no id",
        Call("CancelDelivery"),
        refused(
            "CancelDeliveryRequest.Id: value length must be between 1 and 200 runes, inclusive"
        ),
        wires=ALL_BUT_REST,
    ),
    Row(
        "a long id",
        Call("CancelDelivery", {"id": "1" * 201}),
        refused(
            "CancelDeliveryRequest.Id: value length must be between 1 and 200 runes, inclusive"
        ),
    ),
    *(
        Row(f"{caller} may not cancel", Call("CancelDelivery", {"id": "1"}, caller), NOT_ALLOWED)
        for caller in (Caller.VIEWER, Caller.PUBLISHER, Caller.ORG_OWNER)
    ),
]

REPLAYED_ONCE = [
    *CANCELLED,
    again(targetId="$target", states=[6]),
    Call(
        "ListDeliveries",
        {"eventId": "$unique", "states": [1]},
        keep={"second": "deliveries.0.id", "replayed": "deliveries.0.createdAt"},
    ),
]
REPLAYED: Mapping[str, Any] = {"deliveries": 1, "reachedAt": "$published"}
REPLAYS = [
    Row("one that is named", replaying(ids=["$delivery"]), {"deliveries": 1}, CANCELLED),
    Row(
        "one that is not finished is skipped",
        replaying(ids=["$delivery"]),
        skips("OPEN"),
        ONE_PENDING,
    ),
    Row(
        "one whose target is deleted is skipped",
        replaying(ids=["$delivery"]),
        skips("TARGET_DELETED"),
        [*CANCELLED, delete()],
    ),
    Row(
        "one that is not there, and nothing is made",
        Call("ListDeliveries", {"eventId": "$unique", "pageSize": 1, "states": [1, 2, 3]}),
        {},
        [*CANCELLED, Call("ReplayDeliveries", {"ids": ["$delivery", "1"]}, fails=True)],
    ),
    Row("nobody's", replaying(ids=["1"]), NO_DELIVERY),
    Row("no number", replaying(ids=["first"]), NO_DELIVERY),
    Row("those of an event", replaying(eventId="$unique"), REPLAYED, CANCELLED),
    Row("those of a type", replaying(eventType=EVENT_TYPE), REPLAYED, CANCELLED),
    Row("those to a target", replaying(targetId="$target"), REPLAYED, CANCELLED),
    Row("cancelled ones", replaying(targetId="$target", states=[6]), REPLAYED, CANCELLED),
    Row("dead ones", replaying(targetId="$target", states=[5]), {}, CANCELLED),
    Row(
        "a target without deliveries",
        replaying(targetId="$target", createdSince="0001-01-01T00:00:00Z"),
        {},
        [a_target()],
    ),
    Row(
        "open ones are found, and skipped",
        replaying(targetId="$target"),
        skips("OPEN", reachedAt="$published"),
        ONE_PENDING,
    ),
    Row(
        "by filters a second time: the first replay is open",
        replaying(targetId="$target", states=[6]),
        skips("REPLAYED", reachedAt="$replayed"),
        REPLAYED_ONCE,
    ),
    Row(
        "a second time all the same",
        replaying(targetId="$target", states=[6], includeReplayed=True),
        {"deliveries": 1, "reachedAt": "$replayed"},
        REPLAYED_ONCE,
    ),
    Row(
        "by its id a second time",
        replaying(ids=["$delivery"], includeReplayed=True),
        {"deliveries": 1},
        [*REPLAYED_ONCE, again(ids=["$delivery"])],
    ),
    Row(
        "after the first replay was cancelled",
        replaying(eventId="$unique", createdUntil="2100-01-01T00:00:00Z"),
        {"deliveries": 1, **skips("REPLAYED", reachedAt="$replayed")},
        [
            *REPLAYED_ONCE,
            Call("CancelDelivery", {"id": "$second"}),
        ],
    ),
    *(
        Row(
            f"{name} ones",
            replaying(states=[5, state_]),
            refused(
                f"ReplayDeliveriesRequest.States[1]: {name} deliveries are open, and open deliveries"
                " are not replayed: use RetryDeliveries (`outrider delivery retry`) to make them due"
                " now"
            ),
        )
        for state_, name in ((1, "PENDING"), (2, "DELIVERING"), (3, "RETRYING"))
    ),
    Row(
        "between two times of which the second is before the first",
        replaying(createdSince="2030-01-02T00:00:00Z", createdUntil="2030-01-01T00:00:00Z"),
        refused(f"ReplayDeliveriesRequest.{BACKWARDS}"),
    ),
    Row(
        "the next page goes on",
        replaying(eventId="$unique", pageSize=2, pageToken="$token"),
        skips("OPEN", reachedAt="$made"),
        [
            *THREE_PENDING,
            Call("ListDeliveries", {"eventId": "$unique"}, keep={"made": "deliveries.0.createdAt"}),
            Call(
                "ReplayDeliveries",
                {"eventId": "$unique", "pageSize": 2},
                keep={"token": "nextPageToken"},
            ),
        ],
    ),
    Row(
        "the log tells what a replay repeats",
        Call("ListDeliveries", {"eventId": "$unique", "states": [1]}),
        {
            "deliveries": [
                shown(replayOf="$delivery", createdAt="$replayed", nextAttemptAt="$replayed")
            ]
        },
        [
            *CANCELLED,
            again(ids=["$delivery"]),
            Call(
                "ListDeliveries",
                {"eventId": "$unique", "states": [1]},
                keep={"replayed": "deliveries.0.createdAt"},
            ),
        ],
    ),
    Row(
        "ids and filters",
        replaying(ids=["1"], targetId="1"),
        refused("ReplayDeliveriesRequest: give either ids or filters, not both"),
    ),
    Row(
        "ids and a page",
        replaying(ids=["1"], pageToken="1-2"),
        refused("ReplayDeliveriesRequest: give either ids or filters, not both"),
    ),
    Row(
        "everything",
        replaying(pageSize=1),
        refused("ReplayDeliveriesRequest: give ids or at least one filter"),
    ),
    *(
        Row(
            f"the page token {token!r}",
            replaying(targetId="1", pageToken=token),
            refused("ReplayDeliveriesRequest.PageToken: value is not a token of a page"),
        )
        for token in ("next", "1", "1-", "-1", "1-2-3", f"{'1' * 20}-1")
    ),
    Row(
        "the same id twice",
        replaying(ids=["1", "1"]),
        refused("ReplayDeliveriesRequest.Ids[1]: repeated value must contain unique items"),
    ),
    Row(
        "an empty id",
        replaying(ids=[""]),
        refused(
            "ReplayDeliveriesRequest.Ids[0]:"
            " value length must be between 1 and 200 runes, inclusive"
        ),
    ),
    Row(
        "more ids than a call takes",
        replaying(ids=[str(number) for number in range(1001)]),
        refused("ReplayDeliveriesRequest.Ids: value must contain no more than 1000 item(s)"),
    ),
    Row(
        "an unknown state",
        replaying(states=[7]),
        refused("ReplayDeliveriesRequest.States[0]: value must be one of the defined enum values"),
    ),
    Row(
        "too much at once",
        replaying(targetId="1", pageSize=10_001),
        refused("ReplayDeliveriesRequest.PageSize: value must be less than or equal to 10000"),
    ),
    *(
        Row(f"{caller} may not replay", replaying(caller, ids=["1"]), NOT_ALLOWED)
        for caller in (Caller.VIEWER, Caller.PUBLISHER, Caller.ORG_OWNER)
    ),
]

# No worker runs here, and no rollup: nothing was settled.
RATES = {"rates": [{"window": "60s"}, {"window": "300s"}, {"window": "3600s"}]}
STATS = [
    Row("a target without deliveries", counting(targetId="$target"), RATES, [a_target()]),
    Row("a target that is not there", counting(targetId="1"), RATES),
    Row(
        "pending and cancelled deliveries of a target",
        counting(targetId="$target"),
        {
            "counts": [state("PENDING", 1), state("CANCELLED", 1)],
            "oldestOpenAt": "$second",
            "targets": [
                {
                    "targetId": "$target",
                    "targetName": "target $unique",
                    "counts": [state("PENDING", 1), state("CANCELLED", 1)],
                    "oldestOpenAt": "$second",
                }
            ],
            **RATES,
        },
        [
            *CANCELLED,
            publish({"id": "$unique 2", "eventType": EVENT_TYPE}),
            Call(
                "ListDeliveries",
                {"eventId": "$unique 2"},
                keep={"second": "deliveries.0.createdAt"},
            ),
        ],
    ),
    Row(
        "an event type has counts and no rates",
        counting(Caller.VIEWER, eventType=EVENT_TYPE, createdSince="$published"),
        {
            "counts": [state("PENDING", 1)],
            "oldestOpenAt": "$published",
            "targets": [
                {
                    "targetId": "$target",
                    "targetName": "target $unique",
                    "counts": [state("PENDING", 1)],
                    "oldestOpenAt": "$published",
                }
            ],
        },
        ONE_PENDING,
    ),
    Row(
        "the targets in trouble come first",
        counting(eventType=EVENT_TYPE, maxTargets=1),
        {
            "counts": [state("PENDING", 1), state("CANCELLED", 1)],
            "oldestOpenAt": "$published",
            "targets": [
                {
                    "targetId": "$two",
                    "targetName": "two $unique",
                    "counts": [state("PENDING", 1)],
                    "oldestOpenAt": "$published",
                }
            ],
        },
        [
            KNOWN,
            a_target("one"),
            a_target("two"),
            set_targets(on_event(), ["$two", "$one"]),
            publish({"id": "$unique", "eventType": EVENT_TYPE}),
            FOUND,
            Call("CancelDelivery", {"id": "$delivery"}),
        ],
    ),
    Row(
        "a paused target, with its pending deliveries and among the suspended targets",
        counting(targetId="$target"),
        {
            "counts": [state("PENDING", 1)],
            "oldestOpenAt": "$published",
            "targets": [
                {
                    "targetId": "$target",
                    "targetName": "target $unique",
                    "counts": [state("PENDING", 1)],
                    "oldestOpenAt": "$published",
                    "pausedAt": "$paused",
                }
            ],
            "suspendedTargets": [
                {"targetId": "$target", "targetName": "target $unique", "pausedAt": "$paused"}
            ],
            **RATES,
        },
        [*ONE_PENDING, Call("PauseTarget", {"targetId": "$target"}, keep={"paused": "changeDate"})],
    ),
    Row(
        "too many suspended targets",
        counting(maxSuspendedTargets=1001),
        refused(
            "GetDeliveryStatsRequest.MaxSuspendedTargets: value must be less than or equal to 1000"
        ),
    ),
    Row(
        "made before it began",
        counting(eventType=EVENT_TYPE, createdUntil="$published"),
        {},
        ONE_PENDING,
    ),
    Row(
        "a long target id",
        counting(targetId="1" * 201),
        refused("GetDeliveryStatsRequest.TargetId: value length must be at most 200 runes"),
    ),
    Row(
        "a long event type",
        counting(eventType="n" * 1001),
        refused("GetDeliveryStatsRequest.EventType: value length must be at most 1000 runes"),
    ),
    Row(
        "too many targets",
        counting(maxTargets=101),
        refused("GetDeliveryStatsRequest.MaxTargets: value must be less than or equal to 100"),
    ),
    *(
        Row(f"{caller} may not read", counting(caller), NOT_ALLOWED)
        for caller in (Caller.PUBLISHER, Caller.ORG_OWNER)
    ),
]

ROWS = [*CANCELS, *REPLAYS, *STATS]


@each_row(ROWS)
async def test_delivery_control(service: Service, row: Row):
    """
    An operator who repairs a receiver gets the missed deliveries, and sees that they arrive.
    """
    await check(service, row)
