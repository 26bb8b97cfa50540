"""PublishEvents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from protobuf import Oneof
from protobuf.wkt import Struct, Value

from api.calls.matching import AN_ID
from api.calls.runner import check, each_row
from api.calls.service import Service, rpc_named
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
from api.calls.table import EVERY_WIRE, Call, Caller, ExpectedError, Row
from api.wires import Wire
from outrider_api.outrider.v1.event_service_pb import (
    Event,
    PublishEventsRequest,
    PublishEventsResponse,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

KIB = 1024


def publishing(*events: Mapping[str, Any], caller: Caller = Caller.ADMIN) -> Call:
    """The call that a row is about."""
    return Call("PublishEvents", {"events": events}, caller)


def event(id_: str = "$unique", **fields: Any) -> dict[str, Any]:
    """An event of this run."""
    return {"id": id_, "eventType": EVENT_TYPE, **fields}


def result(id_: Any = "$unique", deliveries: int = 0, *, duplicate: bool = False) -> dict[str, Any]:
    """What became of one event; what is nothing is left out."""
    counted = {"deliveries": deliveries} if deliveries else {}
    return {"id": id_, **counted, **({"duplicate": True} if duplicate else {})}


def results(*published: dict[str, Any]) -> dict[str, Any]:
    """A whole answer."""
    return {"results": list(published)}


def refused(text: str) -> ExpectedError:
    """An error of ours: there is no id for it."""
    return ExpectedError("invalid_argument", f"invalid {text}")


def in_event(position: int, text: str) -> ExpectedError:
    """The error of validation about one of the events."""
    return refused(
        f"PublishEventsRequest.Events[{position}]: embedded message failed validation"
        f" | caused by: invalid Event.{text}"
    )


def taken(position: int) -> ExpectedError:
    """The error about an id that belongs to another event."""
    return ExpectedError(
        "already_exists",
        f'Events[{position}]: the id "$unique" belongs to an event with another type, aggregate or'
        " payload: give each event its own id, or send this one again as it was; nothing of"
        " this call was stored",
    )


COUNT = refused(
    "PublishEventsRequest.Events: value must contain between 1 and 1000 items, inclusive"
)
SHORT = "value length must be at most 200 runes"
OUR_TYPE = refused(
    "PublishEventsRequest.Events[0].EventType: value must not begin with outrider.:"
    " these are our own"
)
TYPE_LENGTH = in_event(0, "EventType: value length must be between 1 and 1000 runes, inclusive")
TYPE_PATTERN = in_event(
    0, "EventType: value must be segments of letters, digits, _ and -, divided by dots"
)
BAD_TYPES = [
    "user..added",
    ".user",
    "user.",
    "user.human.*",
    "user added",
    "user/added",
    "b\u00fccher.added",
    "user.added\n",
]
VALIDATION = [
    Row("no events", publishing(), COUNT),
    Row("1001 events", publishing(*[{"eventType": "a"}] * 1001), COUNT),
    Row("no event type", publishing({}), TYPE_LENGTH),
    Row("an event of our own", publishing(event(eventType="outrider.target.paused")), OUR_TYPE),
    Row("an event type of 1001 letters", publishing({"eventType": "n" * 1001}), TYPE_LENGTH),
    *(
        Row(f"the event type {event_type!r}", publishing({"eventType": event_type}), TYPE_PATTERN)
        for event_type in BAD_TYPES
    ),
    Row("a long id", publishing(event("i" * 201)), in_event(0, f"Id: {SHORT}")),
    *(
        Row(
            f"a long {name} in the second event",
            publishing(event(), event("other $unique", **{name: "n" * 201})),
            in_event(1, f"{name[0].upper()}{name[1:]}: {SHORT}"),
        )
        for name in ("aggregateId", "aggregateType", "resourceOwner", "version", "userId")
    ),
    Row(
        "a caller without the permission learns only that, whatever is wrong",
        publishing(caller=Caller.VIEWER),
        ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2"),
    ),
]


def payload(reason: str, position: int = 0) -> ExpectedError:
    """What is wrong with the payload of one of the events."""
    return refused(f"PublishEventsRequest.Events[{position}].EventPayload: {reason}")


def text_of(length: int) -> str:
    """A JSON object of this length in bytes."""
    return '{"a":"' + "x" * (length - 8) + '"}'


def object_of(length: int) -> dict[str, str]:
    """An object whose JSON has this length in bytes."""
    return {"a": "x" * (length - 8)}


TOO_LONG = "value length must be at most 524288 bytes"
LIMIT = 512 * KIB
NOT_AN_OBJECT = "value must be one JSON object: "
SIZES = [
    Row(
        "a payload of 512 KiB as text",
        publishing(event(eventPayloadJson=text_of(LIMIT))),
        results(result()),
    ),
    Row(
        "a payload of 512 KiB", publishing(event(eventPayload=object_of(LIMIT))), results(result())
    ),
    Row(
        "a byte more as text, in the fourth event",
        publishing(event(), event(), event(), event(eventPayloadJson=text_of(LIMIT + 1))),
        payload(TOO_LONG, 3),
    ),
    Row(
        "a byte more, in the fourth event",
        publishing(event(), event(), event(), event(eventPayload=object_of(LIMIT + 1))),
        payload(TOO_LONG, 3),
    ),
    Row(
        "bytes are counted, not letters",
        publishing(event(eventPayloadJson='{"a":"' + "\u00fc" * (LIMIT // 2) + '"}')),
        payload(TOO_LONG),
    ),
    Row(
        "nearly 4 MiB in one call",
        publishing(*(event(f"{n} $unique", eventPayloadJson=text_of(500 * KIB)) for n in range(8))),
        results(*(result(f"{n} $unique") for n in range(8))),
    ),
    Row(
        "more than 4 MiB in one call",
        publishing(*(event(eventPayloadJson=text_of(500 * KIB)) for _ in range(9))),
        ExpectedError("invalid_argument", "request is larger than 4194304 bytes"),
    ),
    Row(
        "1000 events",
        publishing(*(event(f"{n} $unique") for n in range(1000))),
        results(*(result(f"{n} $unique") for n in range(1000))),
    ),
]
BAD_PAYLOADS = {
    "": "Expecting value: line 1 column 1 (char 0)",
    "{": "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    "1": "must be a JSON object",
    "[{}]": "must be a JSON object",
    "null": "must be a JSON object",
    '"text"': "must be a JSON object",
    '{"a": NaN}': "NaN is not JSON",
    '{"a": -Infinity}': "-Infinity is not JSON",
    '{"a": 1} {}': "Extra data: line 1 column 10 (char 9)",
    '{"a": ' + "[" * 10_000 + "]" * 10_000 + "}": "nested too deep",
}
PAYLOADS = [
    *(
        Row(
            f"the payload {text:.20}",
            publishing(event(eventPayloadJson=text)),
            payload(NOT_AN_OBJECT + reason),
        )
        for text, reason in BAD_PAYLOADS.items()
    ),
    *(
        Row(
            f"the good payload {text:.20}",
            publishing(event(eventPayloadJson=text)),
            results(result()),
        )
        for text in ("{}", ' { "a" : [ 1e400, 1.0 ] } ', '{"a":1,"a":2}', '{"a":"\\ud800"}')
    ),
    Row("an empty payload", publishing(event(eventPayload={})), results(result())),
]

ONE = [KNOWN, a_target(), set_targets(on_event())]
TWO = [KNOWN, a_target("one"), a_target("two"), set_targets(on_event(), ["$one", "$two"])]
ANSWERS = [
    Row(
        "an event type that nobody published before",
        publishing(event()),
        results(result()),
    ),
    Row("who may publish", publishing(event(), caller=Caller.PUBLISHER), results(result())),
    Row("an id that is chosen by the server", publishing(event("")), results(result(AN_ID))),
    Row(
        "results are in the order of the events",
        publishing(event("b $unique"), event(""), event("a $unique")),
        results(result("b $unique"), result(AN_ID), result("a $unique")),
    ),
    Row(
        "an id of 200 signs",
        publishing(event(f"{'$unique':\U0001f511<200}")),
        results(result(f"{'$unique':\U0001f511<200}")),
    ),
    Row(
        "every field",
        publishing(
            event(
                aggregateId="1",
                aggregateType="user",
                resourceOwner="2",
                version="v2",
                sequence=str(2**64 - 1),
                createdAt="0001-01-01T00:00:00Z",
                userId="3",
                eventPayload={"a": [None, True, 1.5, "b", {}]},
            )
        ),
        results(result()),
    ),
    Row("an event that one target is for", publishing(event()), results(result(deliveries=1)), ONE),
    Row(
        "an event that two targets are for", publishing(event()), results(result(deliveries=2)), TWO
    ),
    Row(
        "an event that an async is for",
        publishing(event()),
        results(result(deliveries=1)),
        [KNOWN, create(of_type("restAsync")), set_targets(on_event())],
    ),
    Row(
        "events of several types in a call",
        publishing(event("a $unique"), {"id": "b $unique", "eventType": "$unique.other"}),
        results(result("a $unique", 1), result("b $unique")),
        ONE,
    ),
    Row(
        "an event from before its execution was set creates no delivery",
        publishing(event()),
        results(result(duplicate=True)),
        [publish(event()), a_target(), set_targets(on_event())],
    ),
    Row(
        "an event from after its execution was cleared creates no delivery",
        publishing(event()),
        results(result()),
        [*ONE, set_targets(on_event(), [])],
    ),
    Row(
        "an event whose only target was deleted creates no delivery",
        publishing(event()),
        results(result()),
        [*ONE, delete()],
    ),
]

GROUP = {"event": {"group": "$unique"}}
EVERY_EVENT = {"event": {"all": True}}
MATCHING = [
    Row(
        "the execution of its group",
        publishing(event()),
        results(result(deliveries=1)),
        [KNOWN, a_target(), set_targets(GROUP)],
    ),
    Row(
        "the execution of all events",
        publishing(event()),
        results(result(deliveries=1)),
        [KNOWN, a_target(), set_targets(EVERY_EVENT)],
        after=[set_targets(EVERY_EVENT, [])],
    ),
    Row(
        "its own execution before that of its group and that of all",
        publishing(event()),
        results(result(deliveries=1)),
        [*TWO, set_targets(GROUP, ["$one", "$two"]), set_targets(on_event(), ["$one"])],
    ),
]

TWICE = [
    Row(
        "an id again makes no second delivery",
        publishing(event()),
        results(result(deliveries=2, duplicate=True)),
        [*TWO, publish(event())],
    ),
    Row(
        "an id again with another time and owner",
        publishing(event(resourceOwner="2", createdAt="2026-01-01T00:00:00Z", sequence="9")),
        results(result(deliveries=1, duplicate=True)),
        [*ONE, publish(event())],
    ),
    Row(
        "an id again with another type",
        publishing(event("new $unique"), event(eventType="$unique.other")),
        taken(1),
        [*ONE, publish(event())],
    ),
    Row(
        "an id again with another aggregate",
        publishing(event(aggregateId="1")),
        taken(0),
        [*ONE, publish(event())],
    ),
    Row(
        "an id again with another payload",
        publishing(event(eventPayload={"a": 1})),
        taken(0),
        [*ONE, publish(event())],
    ),
    Row(
        "an id twice in a call with another payload",
        publishing(event(), event("other $unique"), event(eventPayload={})),
        taken(2),
        ONE,
    ),
    Row(
        "a payload as an object, and then as text with white space",
        publishing(event(eventPayloadJson='{ "a" : [1, {"b": "c d"}] }')),
        results(result(deliveries=1, duplicate=True)),
        [*ONE, publish(event(eventPayload={"a": [1, {"b": "c d"}]}))],
    ),
    Row(
        "nothing of a call with an id that is taken is stored",
        publishing(event("new $unique")),
        results(result("new $unique", 1)),
        [
            *ONE,
            publish(event()),
            Call(
                "PublishEvents",
                {"events": [event("new $unique"), event(aggregateId="1")]},
                fails=True,
            ),
        ],
    ),
    Row(
        "an id twice in a call",
        publishing(event(), event("other $unique"), event(userId="1")),
        results(
            result(deliveries=1), result("other $unique", 1), result(deliveries=1, duplicate=True)
        ),
        ONE,
    ),
    Row(
        "an id again among new ones",
        publishing(event("a $unique"), event(), event("b $unique")),
        results(
            result("a $unique", 1), result(deliveries=1, duplicate=True), result("b $unique", 1)
        ),
        [*ONE, publish(event())],
    ),
    Row(
        "an id in other letters is another id",
        publishing(event("$unique A")),
        results(result("$unique A", 1)),
        [*ONE, publish(event("$unique a"))],
    ),
    Row(
        "an id again after the target was deleted",
        publishing(event()),
        results(result(deliveries=1, duplicate=True)),
        [*ONE, publish(event()), delete()],
    ),
    Row(
        "no id twice is two events",
        publishing(event(""), event("")),
        results(result(AN_ID, 1), result(AN_ID, 1)),
        ONE,
    ),
    Row(
        "nothing of a call that was refused is stored",
        publishing(event()),
        results(result(deliveries=1)),
        [
            *ONE,
            Call(
                "PublishEvents", {"events": [event(), event("", eventPayloadJson="1")]}, fails=True
            ),
        ],
    ),
]

SIX = [f"$t{number}" for number in range(6)]
FAN_OUT = [
    KNOWN,
    *(a_target(target.removeprefix("$")) for target in SIX),
    set_targets(on_event(), SIX),
]
SIXFOLD = [event(), *[{"eventType": EVENT_TYPE}] * 833]
MANY = [
    Row(
        "834 events to 6 targets are more deliveries than one transaction holds",
        publishing(*SIXFOLD),
        refused(
            "PublishEventsRequest.Events: 834 events would become 5004 deliveries, one call stores"
            " at most 5000, to at most 1000 different targets: send the first 833 of them alone,"
            " and the others after it"
        ),
        FAN_OUT,
    ),
    Row(
        "nothing of them is stored",
        publishing(event()),
        results(result(deliveries=6)),
        [*FAN_OUT, Call("PublishEvents", {"events": SIXFOLD}, fails=True)],
    ),
]
ROWS = [*VALIDATION, *SIZES, *PAYLOADS, *ANSWERS, *MATCHING, *TWICE, *MANY]


@each_row(ROWS)
async def test_publish_events(service: Service, row: Row):
    """
    Publishers send again what was not answered; what was refused must not have happened.
    """
    await check(service, row)


BINARY = [wire for wire in EVERY_WIRE if wire not in {Wire.CONNECT_JSON, Wire.REST}]


@pytest.mark.parametrize("wire", BINARY, ids=str)
async def test_a_struct_is_the_same_in_any_order(service: Service, wire: Wire):
    """
    The map of a Struct is sent in another order each time by some clients, such as those in Go.
    """
    inner = [
        ("z", Value(kind=Oneof("number_value", 1.0))),
        ("a", Value(kind=Oneof("bool_value", True))),
    ]
    members = [
        ("b", Value(kind=Oneof("struct_value", Struct(fields=dict(inner))))),
        ("a", Value(kind=Oneof("number_value", 0.5))),
    ]
    again = [("b", Value(kind=Oneof("struct_value", Struct(fields=dict(inner[::-1])))))]
    structs = [dict(members), {"a": members[1][1], **dict(again)}]
    method = rpc_named("PublishEvents")
    duplicates = []
    for fields in structs:
        payload: Any = Oneof("event_payload", Struct(fields=fields))
        event = Event(id=f"struct over {wire}", event_type="a", payload=payload)
        result = await service.client.call(
            wire,
            method.parent,
            method.name,
            PublishEventsRequest(events=[event]),
            PublishEventsResponse,
            service.headers[Caller.ADMIN],
        )
        duplicates.append(result.message.results[0].duplicate)
    text = {
        "id": f"struct over {wire}",
        "eventType": "a",
        "eventPayload": {"a": 0.5, "b": {"a": True, "z": 1}},
    }
    (published,) = (await service.ask("PublishEvents", {"events": [text]}))["results"]

    assert ([False, True], True) == (duplicates, published["duplicate"])


NOT_JSON = {
    "value cannot be NaN or Infinity": Value(kind=Oneof("number_value", float("nan"))),
    "value must have exactly one field set": Value(),
}


@pytest.mark.parametrize("wire", BINARY, ids=str)
@pytest.mark.parametrize("reason", NOT_JSON)
async def test_a_payload_that_json_has_no_words_for(service: Service, reason: str, wire: Wire):
    """
    Binary protobuf can say it, and no target could read it.
    """
    payload: Any = Oneof("event_payload", Struct(fields={"a": NOT_JSON[reason]}))
    request = PublishEventsRequest(events=[Event(event_type="a", payload=payload)])
    method = rpc_named("PublishEvents")
    result = await service.client.call(
        wire,
        method.parent,
        method.name,
        request,
        PublishEventsResponse,
        service.headers[Caller.ADMIN],
    )

    text = "invalid PublishEventsRequest.Events[0].EventPayload: value must be JSON: "
    assert ("invalid_argument", text + reason) == (result.code, result.text)
