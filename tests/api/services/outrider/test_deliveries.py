"""ListDeliveries and GetDelivery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from api.calls.matching import AN_ID, Bytes
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import (
    EVENT_TYPE,
    KNOWN,
    a_target,
    create,
    delete,
    of_type,
    on_event,
    publish,
    set_targets,
)
from api.calls.table import ALL_BUT_REST, Call, Caller, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERYTHING_OF_EVENT = {"eventId": "$unique"}
AN_EVENT = publish({"id": "$unique", "eventType": EVENT_TYPE})
FOUND = Call(
    "ListDeliveries",
    EVERYTHING_OF_EVENT,
    keep={"delivery": "deliveries.0.id", "published": "deliveries.0.createdAt"},
)
ONE_PENDING = [KNOWN, a_target(), set_targets(on_event()), AN_EVENT, FOUND]


def searched(**filters: Any) -> Call:
    """The call that a row is about."""
    return Call("ListDeliveries", filters)


def shown(target: str = "$target", **fields: Any) -> dict[str, Any]:
    """A delivery of the event that is due immediately, as it is listed."""
    return {
        "id": AN_ID,
        "eventId": "$unique",
        "eventType": EVENT_TYPE,
        "targetId": target,
        "execution": f"event/{EVENT_TYPE}",
        "state": "DELIVERY_STATE_PENDING",
        "createdAt": "$published",
        "nextAttemptAt": "$published",
        **fields,
    }


def waiting(target: str) -> dict[str, Any]:
    """A delivery that is due when another one was attempted."""
    return {name: value for name, value in shown(target).items() if name != "nextAttemptAt"}


def page(*deliveries: Mapping[str, Any]) -> dict[str, Any]:
    """The last page."""
    return {"deliveries": list(deliveries)} if deliveries else {}


def refused(text: str) -> ExpectedError:
    """An error of validation."""
    return ExpectedError("invalid_argument", f"invalid {text}")


NOT_FOUND = ExpectedError("not_found", "Delivery not found", "OUTRIDER-delivery")
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")
NO_TOKEN = refused("ListDeliveriesRequest.PageToken: value is not a token of a page")
VALIDATION = [
    Row(
        "a page size of 1001",
        searched(pageSize=1001),
        refused("ListDeliveriesRequest.PageSize: value must be less than or equal to 1000"),
    ),
    Row(
        "no state",
        searched(states=[0]),
        refused("ListDeliveriesRequest.States[0]: value must not be in list [0]"),
    ),
    Row(
        "an unknown state",
        searched(states=[1, 7]),
        refused("ListDeliveriesRequest.States[1]: value must be one of the defined enum values"),
    ),
    Row(
        "seven states",
        searched(states=[1] * 7),
        refused("ListDeliveriesRequest.States: value must contain no more than 6 item(s)"),
    ),
    Row(
        "a long target id",
        searched(targetId="1" * 201),
        refused("ListDeliveriesRequest.TargetId: value length must be at most 200 runes"),
    ),
    Row(
        "a long event type",
        searched(eventType="n" * 1001),
        refused("ListDeliveriesRequest.EventType: value length must be at most 1000 runes"),
    ),
    Row(
        "a long event id",
        searched(eventId="1" * 201),
        refused("ListDeliveriesRequest.EventId: value length must be at most 200 runes"),
    ),
    *(
        Row(f"the page token {token!r}", searched(pageToken=token), NO_TOKEN)
        for token in ("next", "-1", "1 ", "\u0661", "1" * 20)
    ),
    *(
        Row(
            f"{caller} may not read",
            Call("ListDeliveries", {"pageSize": 1001}, caller),
            NOT_ALLOWED,
        )
        for caller in (Caller.ORG_OWNER, Caller.PUBLISHER)
    ),
]

FILTERS = [
    Row("one event", searched(eventId="$unique"), page(shown(id="$delivery")), ONE_PENDING),
    Row("one target", searched(targetId="$target"), page(shown(id="$delivery")), ONE_PENDING),
    Row("one event type", searched(eventType=EVENT_TYPE), page(shown(id="$delivery")), ONE_PENDING),
    Row(
        "who may read",
        Call("ListDeliveries", EVERYTHING_OF_EVENT, Caller.VIEWER),
        page(shown()),
        ONE_PENDING,
    ),
    Row("an event that nobody published", searched(eventId="$unique"), page()),
    Row("a target without deliveries", searched(targetId="1"), page()),
    Row("an event type is no prefix", searched(eventType="$unique"), page(), ONE_PENDING),
    Row("an event id is no number", searched(eventId="'; DROP TABLE events"), page()),
    Row("the right state", searched(eventId="$unique", states=[1]), page(shown()), ONE_PENDING),
    Row(
        "any of the states",
        searched(eventId="$unique", states=[2, 1, 6]),
        page(shown()),
        ONE_PENDING,
    ),
    Row("another state", searched(eventId="$unique", states=[2, 3, 4, 5, 6]), page(), ONE_PENDING),
    Row(
        "the time it was made is since then",
        searched(eventId="$unique", createdSince="$published"),
        page(shown()),
        ONE_PENDING,
    ),
    Row(
        "the time it was made is not before then",
        searched(eventId="$unique", createdUntil="$published"),
        page(),
        ONE_PENDING,
    ),
    Row(
        "between the year 1 and the year 9999",
        searched(
            eventId="$unique",
            createdSince="0001-01-01T00:00:00Z",
            createdUntil="9999-12-31T23:59:59Z",
        ),
        page(shown()),
        ONE_PENDING,
    ),
    Row(
        "since tomorrow",
        searched(eventId="$unique", createdSince="2027-01-01T00:00:00Z"),
        page(),
        ONE_PENDING,
    ),
    Row(
        "filters must all hold",
        searched(eventId="$unique", targetId="$target", eventType="another.type"),
        page(),
        ONE_PENDING,
    ),
    Row(
        "what was deleted is still in the log",
        searched(targetId="$target", eventType=EVENT_TYPE),
        page(
            {
                **waiting("$target"),
                "state": "DELIVERY_STATE_CANCELLED",
                "finishedAt": "$deleted",
            }
        ),
        [*ONE_PENDING, delete()],
    ),
]

THREE_PENDING = [
    KNOWN,
    a_target("one"),
    create(of_type("restAsync", name="two $unique"), "two"),
    a_target("three"),
    set_targets(on_event(), ["$one", "$two", "$three"]),
    AN_EVENT,
    FOUND,
]
GROUP = {"event": {"group": "$unique"}}
EVERY_EVENT = {"event": {"all": True}}
EXECUTIONS = [
    Row(
        "the execution of a group",
        searched(eventId="$unique"),
        page(shown(execution="event/$unique.*")),
        [KNOWN, a_target(), set_targets(GROUP), AN_EVENT, FOUND],
    ),
    Row(
        "the execution of all events",
        searched(eventId="$unique"),
        page(shown(execution="event")),
        [KNOWN, a_target(), set_targets(EVERY_EVENT), AN_EVENT, FOUND],
        after=[set_targets(EVERY_EVENT, [])],
    ),
]

PAGE_OF_TWO = Call(
    "ListDeliveries",
    {"eventId": "$unique", "pageSize": 2},
    keep={"token": "nextPageToken"},
)
PAGES = [
    Row(
        "newest first; who waits has no time yet",
        searched(eventId="$unique"),
        page(waiting("$three"), waiting("$two"), shown("$one")),
        THREE_PENDING,
    ),
    Row(
        "a page with a next one",
        searched(eventId="$unique", pageSize=2),
        {**page(waiting("$three"), waiting("$two")), "nextPageToken": "$token"},
        [*THREE_PENDING, PAGE_OF_TWO],
    ),
    Row(
        "the next page is the last",
        searched(eventId="$unique", pageSize=2, pageToken="$token"),
        page(shown("$one")),
        [*THREE_PENDING, PAGE_OF_TWO],
    ),
    Row(
        "a page that is just full is the last",
        searched(eventId="$unique", pageSize=3),
        page(waiting("$three"), waiting("$two"), shown("$one")),
        THREE_PENDING,
    ),
    Row(
        "the greatest page",
        searched(eventId="$unique", pageSize=1000),
        page(waiting("$three"), waiting("$two"), shown("$one")),
        THREE_PENDING,
    ),
    Row(
        "nothing behind the oldest",
        searched(eventId="$unique", pageToken="1"),
        page(),
        THREE_PENDING,
    ),
    Row(
        "everything before the greatest number",
        searched(eventId="$unique", pageToken=str(2**63 - 1), pageSize=1),
        {**page(waiting("$three")), "nextPageToken": AN_ID},
        THREE_PENDING,
    ),
    Row(
        "a number that no id can have",
        searched(eventId="$unique", pageToken="9" * 19),
        page(),
        ONE_PENDING,
    ),
]


def got(delivery: str = "$delivery", caller: Caller = Caller.ADMIN) -> Call:
    """Read one delivery."""
    return Call("GetDelivery", {"id": delivery}, caller)


def body(title: str, event: Mapping[str, Any], text: str) -> Row:
    """A row about the bytes that a target gets for an event."""
    return Row(
        title,
        got(),
        {"delivery": shown(id="$delivery", payload=Bytes(text))},
        [
            KNOWN,
            a_target(),
            set_targets(on_event()),
            publish({"id": "$unique", "eventType": EVENT_TYPE, **event}),
            FOUND,
        ],
    )


ID_LENGTH = "GetDeliveryRequest.Id: value length must be between 1 and 200 runes, inclusive"
THEN = "2026-01-02T03:04:05"
HEAD = f'{{"instanceID":"$instance","event_type":"{EVENT_TYPE}","created_at":"{THEN}Z"'
AT = {"createdAt": f"{THEN}Z"}
GETS = [
    Row("an empty id", got(""), refused(ID_LENGTH), wires=ALL_BUT_REST),
    Row("an id of 201 digits", got("1" * 201), refused(ID_LENGTH)),
    *(
        Row(f"nobody has the id {id_:.20}", got(id_), NOT_FOUND)
        for id_ in ("1", "delivery", "-1", "1.0", "0x1", " 1", "\u0661", "9" * 19, "1" * 200)
    ),
    *(
        Row(f"{caller} may not read one", got("1", caller), NOT_ALLOWED)
        for caller in (Caller.ORG_OWNER, Caller.PUBLISHER)
    ),
    body("the least that targets get", AT, HEAD + "}"),
    body(
        "all that targets get, in its order and spelling",
        {
            "aggregateId": "1",
            "aggregateType": "user",
            "resourceOwner": "2",
            "version": "v2",
            "sequence": str(2**64 - 1),
            "createdAt": f"{THEN}.123456789+02:00",
            "userId": "3",
            "eventPayload": {"a": [None, True, 1, 2.5, 1e21, "<\u00fc&>"]},
        },
        '{"aggregateID":"1","aggregateType":"user","resourceOwner":"2","instanceID":"$instance",'
        '"version":"v2","sequence":18446744073709551615,"event_type":"$unique.happened",'
        '"created_at":"2026-01-02T01:04:05.123456789Z","userID":"3",'
        '"event_payload":{"a":[null,true,1,2.5,1e+21,"\\u003c\u00fc\\u0026\\u003e"]}}',
    ),
    body(
        "a payload as text keeps its numbers and its order",
        {**AT, "eventPayloadJson": '{ "b": 1.0, "a": 12345678901234567890, "c": "\\u00fc <" }'},
        HEAD + ',"event_payload":{"b":1.0,"a":12345678901234567890,"c":"\\u00fc \\u003c"}}',
    ),
    body("an empty payload is sent", {**AT, "eventPayload": {}}, HEAD + ',"event_payload":{}}'),
]

ROWS = [*VALIDATION, *FILTERS, *EXECUTIONS, *PAGES, *GETS]


@each_row(ROWS)
async def test_deliveries(service: Service, row: Row):
    """
    An operator who asks where an event was delivered gets the answer here.
    """
    await check(service, row)
