"""DeleteTarget, and what becomes of deliveries."""

from __future__ import annotations

import pytest

from api.calls.matching import AN_ID, NOW
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

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = ExpectedError(
    "invalid_argument",
    "invalid DeleteTargetRequest.Id: value length must be between 1 and 200 runes, inclusive",
)
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")
DELETE = Call("DeleteTarget", {"id": "$target"})
EXECUTION = Call(
    "ListExecutions",
    {"filters": [{"inConditionsFilter": {"conditions": [on_event()]}}]},
)
NONE_FOUND = {"pagination": {"appliedLimit": "100"}}
AN_EVENT = publish({"id": "$unique", "eventType": EVENT_TYPE})

ANSWERS = [
    Row("an empty id", Call("DeleteTarget"), ID, wires=ALL_BUT_REST),
    Row("an id of 201 letters", Call("DeleteTarget", {"id": "1" * 201}), ID),
    Row("a target that nobody created", Call("DeleteTarget", {"id": "1"}), {}),
    Row("an id that is no number", Call("DeleteTarget", {"id": "hook"}), {}),
    Row("a target", DELETE, {"deletionDate": NOW}, [a_target()]),
    Row(
        "a target that was deleted before",
        DELETE,
        {"deletionDate": "$deleted"},
        [a_target(), delete()],
    ),
    Row(
        "a target that was deleted before, after its name went to another",
        DELETE,
        {"deletionDate": "$deleted"},
        [a_target(), delete(), a_target("other", name="target $unique")],
    ),
    *(
        Row(f"{caller} may not delete", Call("DeleteTarget", {"id": "1"}, caller), NOT_ALLOWED)
        for caller in (Caller.ORG_OWNER, Caller.VIEWER)
    ),
]

READS = [
    Row(
        "a deleted target is not found",
        Call("GetTarget", {"id": "$target"}),
        ExpectedError("not_found", "Target not found", "QUERY-hj5oaniyrz"),
        [a_target(), delete()],
    ),
    Row(
        "a deleted target is in no list",
        Call("ListTargets", {"filters": [{"inTargetIdsFilter": {"targetIds": ["$target"]}}]}),
        NONE_FOUND,
        [a_target(), delete()],
    ),
]

EXECUTIONS = [
    Row(
        "an execution does without it",
        EXECUTION,
        {
            "pagination": {"totalResult": "1", "appliedLimit": "100"},
            "executions": [
                {
                    "condition": on_event(),
                    "targets": ["$first", "$last"],
                    "creationDate": "$set",
                    "changeDate": "$set",
                }
            ],
        },
        [
            KNOWN,
            a_target("first"),
            a_target(),
            a_target("last"),
            set_targets(on_event(), ["$first", "$target", "$last"]),
            delete(),
        ],
    ),
    Row(
        "an execution of it alone disappears",
        EXECUTION,
        NONE_FOUND,
        [KNOWN, a_target(), set_targets(on_event()), delete()],
    ),
    Row(
        "an execution cannot be found by it",
        Call("ListExecutions", {"filters": [{"targetFilter": {"targetId": "$target"}}]}),
        NONE_FOUND,
        [
            KNOWN,
            a_target(),
            a_target("other"),
            set_targets(on_event(), ["$target", "$other"]),
            delete(),
        ],
    ),
    Row(
        "events create no more deliveries for it",
        Call("PublishEvents", {"events": [{"id": "$unique", "eventType": EVENT_TYPE}]}),
        {"results": [{"id": "$unique", "deliveries": 1}]},
        [
            KNOWN,
            a_target(),
            a_target("other"),
            set_targets(on_event(), ["$target", "$other"]),
            delete(),
        ],
    ),
]

DELIVERIES = [
    Row(
        "its pending deliveries are cancelled",
        Call("ListDeliveries", {"eventId": "$unique"}),
        {
            "deliveries": [
                {
                    "id": AN_ID,
                    "eventId": "$unique",
                    "eventType": EVENT_TYPE,
                    "targetId": "$target",
                    "execution": f"event/{EVENT_TYPE}",
                    "state": "DELIVERY_STATE_CANCELLED",
                    "createdAt": "$published",
                    "finishedAt": "$deleted",
                }
            ]
        },
        [
            KNOWN,
            a_target(),
            set_targets(on_event()),
            AN_EVENT,
            Call(
                "ListDeliveries",
                {"eventId": "$unique"},
                keep={"published": "deliveries.0.createdAt"},
            ),
            delete(),
        ],
    ),
    Row(
        "those of other targets are not, and its dependents are due",
        Call("ListDeliveries", {"eventId": "$unique", "states": ["DELIVERY_STATE_PENDING"]}),
        {
            "deliveries": [
                {
                    "id": AN_ID,
                    "eventId": "$unique",
                    "eventType": EVENT_TYPE,
                    "targetId": "$other",
                    "execution": f"event/{EVENT_TYPE}",
                    "state": "DELIVERY_STATE_PENDING",
                    "createdAt": "$published",
                    "nextAttemptAt": "$deleted",
                }
            ]
        },
        [
            KNOWN,
            a_target(),
            a_target("other"),
            set_targets(on_event(), ["$target", "$other"]),
            AN_EVENT,
            Call(
                "ListDeliveries",
                {"eventId": "$unique"},
                keep={"published": "deliveries.0.createdAt"},
            ),
            delete(),
        ],
    ),
]

ROWS = [*ANSWERS, *READS, *EXECUTIONS, *DELIVERIES]


@each_row(ROWS)
async def test_delete_target(service: Service, row: Row):
    """
    Deleting is done by clean-up scripts, twice and in any order; no delivery may be pending afterwards.
    """
    await check(service, row)
