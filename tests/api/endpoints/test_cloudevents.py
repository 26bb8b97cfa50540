"""CloudEvents over HTTP: the three modes, what becomes of an event, and what is refused."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from api.calls.service import Service, running
from api.calls.table import Caller
from api.wires import HttpRequest, HttpResponse

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
TYPE = "com.example.order-placed"
KIB = 1024
NUMBERS = count(1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One service whose target gets every event."""
    async with running(tmp_path_factory.mktemp("service")) as found:
        request = {"name": "all", "endpoint": "http://127.77.0.1:9/", "restAsync": {}}
        target = await found.ask("CreateTarget", {**request, "timeout": "1s"})
        condition = {"event": {"all": True}}
        await found.ask("SetExecution", {"condition": condition, "targets": [target["id"]]})
        yield found


def an_id() -> str:
    """Another one each time."""
    return f"event {next(NUMBERS)}"


def event(**attributes: Any) -> dict[str, Any]:
    """A good event in JSON, but for what a test changes; None takes an attribute out."""
    attributes = {
        "specversion": "1.0",
        "id": an_id(),
        "source": "/shop",
        "type": TYPE,
        **attributes,
    }
    return {name: value for name, value in attributes.items() if value is not None}


async def post(
    service: Service,
    headers: Mapping[str, str],
    body: bytes,
    caller: Caller = Caller.PUBLISHER,
    path: str = "/v1/events",
) -> HttpResponse:
    """What the path answers."""
    whole = {**service.headers[caller], **headers}
    return await service.client.exchange(HttpRequest("POST", path, whole, body))


async def sent(service: Service, message: HTTPMessage) -> HttpResponse:
    """What the path answers to what the SDK made."""
    return await post(service, message.headers, message.body)


async def structured(service: Service, given: object, content_type: str = STRUCTURED) -> Any:
    """What the path answers to this JSON."""
    body = given if isinstance(given, bytes) else json.dumps(given).encode()
    return await post(service, {"content-type": content_type}, body)


async def binary(service: Service, body: bytes = b"", **headers: str) -> HttpResponse:
    """What the path answers to a good event in binary mode, but for what a test changes."""
    good = {"ce-specversion": "1.0", "ce-id": an_id(), "ce-source": "/shop", "ce-type": TYPE}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    whole = {"content-type": "application/json", **good, **named}
    return await post(service, {k: v for k, v in whole.items() if v is not None}, body)


def accepted(response: HttpResponse) -> list[dict[str, Any]]:
    """The results of what must have been accepted."""
    assert (200, "application/json") == (response.status, response.headers["content-type"]), (
        response.body
    )
    return json.loads(response.body)["results"]


def refused(response: HttpResponse) -> str:
    """The text of an `invalid_argument`."""
    error = json.loads(response.body)
    assert (400, "invalid_argument") == (response.status, error["code"])
    return error["message"]


async def body_of(service: Service, event_id: str) -> str:
    """What the target gets."""
    found = await service.ask("ListDeliveries", {"eventId": event_id})
    (delivery,) = found["deliveries"]
    whole = await service.ask("GetDelivery", {"id": delivery["id"]})
    return b64decode(whole["delivery"]["payload"]).decode()


def by_the_sdk() -> CloudEvent:
    """An event as a publisher makes it who knows nothing of us."""
    return CloudEvent(
        {
            "id": an_id(),
            "type": TYPE,
            "source": "https://shop.example/orders?ä=1",
            "subject": 'order "7" 100% ü',
            "time": datetime(2026, 11, 23, 7, 0, 1, 500_000, tzinfo=UTC),
            "datacontenttype": "application/json",
            "aggregatetype": "order",
            "sequence": "7",
            "userid": "ada",
        },
        {"total": 12.5, "items": ["a", "ü"]},
    )


def expected_body(service: Service) -> dict[str, Any]:
    """What targets get of it."""
    return {
        "aggregateID": 'order "7" 100% ü',
        "aggregateType": "order",
        "resourceOwner": "https://shop.example/orders?ä=1",
        "instanceID": service.instance,
        "sequence": 7,
        "event_type": TYPE,
        "created_at": "2026-11-23T07:00:01.5Z",
        "userID": "ada",
        "event_payload": {"total": 12.5, "items": ["a", "ü"]},
    }


@pytest.mark.parametrize("mode", [to_structured_event, to_binary_event])
async def test_what_the_official_sdk_sends_arrives_whole(service, mode):
    """
    Publishers use the SDK of their language, and never read our documents.
    """
    made = by_the_sdk()
    results = accepted(await sent(service, mode(made)))

    assert [{"id": made.get_id(), "deliveries": 1}] == results
    assert expected_body(service) == json.loads(await body_of(service, made.get_id()))


async def test_a_batch_of_events_that_the_sdk_wrote(service):
    """
    The SDK has no batches; a batch is a JSON array of what it writes.
    """
    made = [by_the_sdk() for _ in range(3)]
    body = b"[" + b" , ".join(to_structured_event(event).body for event in made) + b"]"
    results = accepted(await post(service, {"content-type": BATCH}, body))

    assert [event.get_id() for event in made] == [result["id"] for result in results]
    for event in made:
        assert expected_body(service) == json.loads(await body_of(service, event.get_id()))


DATA = '{"b": 1.0, "a": 12345678901234567890, "c": 1e400, "b2": {"z": "\\u00e4 ", "y": [ ]}}'
SAME = '{"b":1.0,"a":12345678901234567890,"c":1e400,"b2":{"z":"\\u00e4 ","y":[]}}'


async def test_data_arrives_as_it_was_written_in_every_mode(service):
    """
    A reader that parses and writes again changes numbers that matter to some receivers.
    """
    ids = [an_id() for _ in range(4)]
    head = [json.dumps(event(id=event_id))[:-1] for event_id in ids]
    encoded = b64encode(DATA.encode()).decode()
    await structured(service, f'{head[0]}, "data" : {DATA} }}'.encode())
    await structured(service, f'[{head[1]},"data":{DATA}}}]'.encode(), BATCH)
    await binary(service, f" {DATA}\n".encode(), ce_id=ids[2])
    await structured(service, f'{head[3]}, "data_base64": "{encoded}"}}'.encode())

    for event_id in ids:
        assert (await body_of(service, event_id)).endswith(f',"event_payload":{SAME}}}')


@pytest.mark.parametrize("given", ["no data", "null", "empty body"])
async def test_an_event_without_data_has_none(service, given):
    """
    Targets tell an event without data from one with an empty object.
    """
    sending = event(data=None)
    if given == "empty body":
        accepted(await binary(service, ce_id=sending["id"]))
    elif given == "null":
        body = json.dumps({**sending, "data": None, "subject": None}).encode()
        accepted(await structured(service, body))
    else:
        accepted(await structured(service, sending))

    assert "event_payload" not in json.loads(await body_of(service, sending["id"]))


async def test_an_event_without_time_gets_the_time_of_its_arrival(service):
    """
    `time` is optional, and `created_at` is not.
    """
    before, sending = service.clock.now, event()
    accepted(await structured(service, sending))
    created_at = json.loads(await body_of(service, sending["id"]))["created_at"]

    assert before < datetime.fromisoformat(created_at) <= service.clock.now


async def test_the_same_id_again_is_a_duplicate_in_any_mode(service):
    """
    Publishers send again what was not answered, perhaps with another library.
    """
    sending = event(data={"n": 1})
    first = accepted(await structured(service, sending))
    second = accepted(await binary(service, b'{"n": 1}', ce_id=sending["id"]))
    third = accepted(await structured(service, [sending, event()], BATCH))

    assert [{"id": sending["id"], "deliveries": 1}] == first
    assert [{**first[0], "duplicate": True}] == second
    assert [True, None] == [result.get("duplicate") for result in third]


async def test_the_same_id_of_another_source_is_another_event(service):
    """
    Section "id": source and id together are unique. Each is found by the id in its answer.
    """
    sending = event(data={"n": 1})
    other = {**sending, "source": "/other", "data": {"n": 2}}
    first = accepted(await structured(service, [sending, other], BATCH))
    again = accepted(await binary(service, b'{"n": 2}', ce_id=sending["id"], ce_source="/other"))
    (of_our_own,) = (
        await service.ask(
            "PublishEvents",
            {"events": [{"id": sending["id"], "eventType": TYPE, "eventPayload": {"n": 1}}]},
        )
    )["results"]

    ids = [sending["id"], f"/other#{sending['id']}"]
    assert [{"id": known, "deliveries": 1} for known in ids] == first
    assert [{**first[1], "duplicate": True}] == again
    assert {**first[0], "duplicate": True} == of_our_own
    for event_id, number in zip(ids, (1, 2), strict=True):
        body = json.loads(await body_of(service, event_id))
        assert {"n": number} == body["event_payload"]


@pytest.mark.parametrize("mode", ["structured", "batch", "binary"])
async def test_the_same_id_with_other_data_is_refused(service, mode):
    """
    By index and id; nothing of a batch is stored.
    """
    known, new = event(data={"n": 1}), event()
    accepted(await structured(service, known))
    changed = {**known, "data": {"n": 2}}
    if mode == "binary":
        response = await binary(service, b'{"n": 2}', ce_id=known["id"])
    elif mode == "batch":
        response = await structured(service, [new, changed], BATCH)
    else:
        response = await structured(service, changed)
    error = json.loads(response.body)

    assert (409, "already_exists") == (response.status, error["code"])
    at = f"Events[{int(mode == 'batch')}]: the id {json.dumps(known['id'])} belongs to an event"
    assert error["message"].startswith(at)
    assert "duplicate" not in accepted(await structured(service, new))[0]


async def test_a_batch_with_one_bad_event_stores_none(service):
    """
    A publisher that sends the batch again must not have to know where it broke.
    """
    good, bad = event(), event(type="not a type")
    text = refused(await structured(service, [good, bad], BATCH))

    assert text.startswith("invalid CloudEvents[1].type: ")
    assert {} == await service.ask("ListDeliveries", {"eventId": good["id"]})


TOO_LONG = "value length must be at most {} characters"
REFUSED = {
    "specversion": [(None, "value is required"), ("0.3", "value must be 1.0"), ("", "at least 1")],
    "id": [(None, "value is required"), ("", "at least 1"), ("x" * 201, TOO_LONG.format(200))],
    "source": [
        (None, "value is required"),
        (7, "value must be a text"),
        ("x" * 201, "at most 200"),
    ],
    "type": [
        (None, "value is required"),
        ("a b", "value must be dot-separated segments"),
        ("a..b", "value must be dot-separated segments"),
        ("outrider.target.paused", "value must not begin with outrider.: these are our own"),
        ("x" * 1001, TOO_LONG.format(1000)),
    ],
    "subject": [("x" * 201, "at most 200"), ("a\nb", "control characters"), (True, "a text")],
    "time": [("yesterday", "RFC 3339"), ("2026-02-30T00:00:00Z", "RFC 3339"), (1, "a text")],
    "sequence": [("-1", "0 to"), ("1.5", "0 to"), (str(2**64), "0 to"), ("9" * 5000, "0 to")],
    "aggregatetype": [("x" * 201, "at most 200"), ({}, "a text, a number or a boolean")],
    "userid": [("\ud800", "control characters"), (["ada"], "a text, a number or a boolean")],
    "myExtension": [("x", "names of attributes have")],
    "": [("x", "names of attributes have")],
    "ext": [("", "at least 1"), ({"a": 1}, "a text, a number or a boolean")],
    "data": [([], "one JSON object"), ("text", "one JSON object"), (7, "one JSON object")],
    "data_base64": [("?", "Base64"), (7, "a text"), ("W10=", "one JSON object"), ("/w==", "UTF-8")],
}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [(name, value, reason) for name, rows in REFUSED.items() for value, reason in rows],
    ids=lambda given: repr(given)[:20],
)
async def test_a_bad_attribute_is_named(service, name, value, reason):
    """
    The publisher has to find it among a dozen.
    """
    text = refused(await structured(service, event(**{name: value})))
    where = "data" if value == "W10=" else name

    assert text.startswith(f"invalid CloudEvent.{where}: ")
    assert reason in text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "invalid CloudEvent: { was expected at character 0"),
        (b"[]", "invalid CloudEvent: { was expected at character 0"),
        (b'{"id": NaN}', "invalid CloudEvent: NaN is not JSON"),
        (b'{"id": "a", "id": "b"}', 'invalid CloudEvent: the member "id" is there twice'),
        (b'{} "more"', "invalid CloudEvent: there is more at character 3"),
        (b'{"id"', "invalid CloudEvent: : was expected at character 5"),
        (b'{"id":"a",}', "invalid CloudEvent: Expecting value: line 1 column 11 (char 10)"),
        (b"{7: 1}", "invalid CloudEvent: a name was expected at character 2"),
        (b'{"a": "\xff"}', "invalid CloudEvent: the text is not UTF-8"),
        (b"[" * 40_000, "invalid CloudEvent: JSON is nested more than 200 levels deep"),
        (
            b"{" + b",".join(b'"a%d":1' % number for number in range(300_000)) + b"}",
            "invalid CloudEvent: the JSON has more than 50000 values",
        ),
        (
            b"{" + b",".join(b'"a%d":1' % number for number in range(201)) + b"}",
            "invalid CloudEvent: there are more than 200 values",
        ),
        (b"x" * (4 * KIB * KIB + 1), "request is larger than 4194304 bytes"),
    ],
    ids=lambda given: repr(given)[:30],
)
async def test_what_is_no_event_is_refused(service, body, text):
    """
    With a reason, and never with a 500.
    """
    assert text == refused(await structured(service, body))


@pytest.mark.parametrize("number", [0, 1001])
async def test_a_batch_has_1_to_1000_events(service, number):
    """
    As many as every other call may publish.
    """
    text = refused(await structured(service, [event() for _ in range(number)], BATCH))

    assert "invalid CloudEvents: value must contain between 1 and 1000 items, inclusive" == text


async def test_a_batch_makes_no_more_deliveries_than_one_call_may(service):
    """
    The same limit as on every other wire; nothing of the batch is stored.
    """
    ids = []
    for number in range(6):
        fields = {"name": f"copy {number}", "endpoint": "http://127.77.0.1:9/", "restAsync": {}}
        ids.append((await service.ask("CreateTarget", {**fields, "timeout": "1s"}))["id"])
    await structured(service, event(type="fan.out"))
    condition = {"event": {"event": "fan.out"}}
    await service.ask("SetExecution", {"condition": condition, "targets": ids})
    batch = [event(type="fan.out") for _ in range(834)]
    refused = await structured(service, batch, BATCH)
    accepted = await structured(service, batch[:1], BATCH)

    assert 400 == refused.status
    assert "834 events would become 5004 deliveries" in refused.body.decode()
    assert "send the first 833 of them alone" in refused.body.decode()
    assert 200 == accepted.status
    assert "duplicate" not in accepted.body.decode()


async def test_data_may_be_half_a_mebibyte(service):
    """
    The limit of every other call, named as a publisher of CloudEvents knows it.
    """
    fits = b'{"a":"' + b"x" * (512 * KIB - 8) + b'"}'
    accepted(await binary(service, fits))
    text = refused(await binary(service, fits + b"  " + b"x"))

    assert "invalid CloudEvent.data: value length must be at most 524288 bytes" == text


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/json+zip"])
async def test_data_of_another_type_is_refused(service, kind):
    """
    Targets get a JSON object; no contract has a text in it under a name of our choice.
    """
    reason = "invalid CloudEvent.datacontenttype: value must be a type of JSON, such as "
    by_header = refused(await binary(service, b"<a/>", content_type=kind))
    by_attribute = refused(await structured(service, event(data={}, datacontenttype=kind)))
    accepted(await structured(service, event(datacontenttype=kind)))

    assert [reason + "application/json"] * 2 == [by_header, by_attribute]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/vnd.shop+json", "TEXT/JSON", None]
)
async def test_data_of_any_type_of_json_is_taken(service, kind):
    """
    Publishers name their schemas in the type; what names none is JSON.
    """
    accepted(await binary(service, b'{"a": 1}', content_type=kind))
    accepted(await structured(service, event(data={}, datacontenttype=kind)))


async def test_another_charset_is_refused(service):
    """
    RFC 8259 knows one, and the wrong one would garble names of people.
    """
    kind = "application/json; charset=iso-8859-1"
    text = refused(await binary(service, b'{"a": 1}', content_type=kind))

    assert "invalid CloudEvent.datacontenttype: the charset of JSON is utf-8" == text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ('"with \\"quotes\\" and \\\\"', 'with "quotes" and \\'),
        ("%25C3", "%C3"),
        ("100%", "100%"),
        ("ä".encode().decode("latin-1"), "ä"),
    ],
)
async def test_headers_are_decoded_once(service, written, meant):
    """
    Section 3.1.3.2 of the binding: quotation marks off, then one round of percent-decoding.
    """
    id_ = an_id()
    accepted(await binary(service, ce_id=id_, ce_subject=written))

    assert meant == json.loads(await body_of(service, id_))["aggregateID"]


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"ce_subject": "%C3"}, "subject: the percent-encoded octets are not UTF-8"),
        ({"ce_subject": "%0A"}, "subject: value must not contain control characters"),
        ({"ce_my_name": "x"}, "my-name: names of attributes have the letters a-z and digits only"),
        ({"ce_specversion": None}, "specversion: value is required"),
        ({"ce_id": None}, "id: value is required"),
        ({"ce_type": None, "ce_id": None}, "id: value is required"),
    ],
)
async def test_bad_headers_are_named(service, headers, text):
    """
    Also a header that is missing: the others say what the request was meant to be.
    """
    assert f"invalid CloudEvent.{text}" == refused(await binary(service, **headers))


async def test_a_header_that_is_there_twice_is_refused(service):
    """
    Two ids are none: a proxy and the publisher may mean different ones.
    """
    good = {"ce-specversion": "1.0", "ce-source": "/", "ce-type": TYPE, "ce-id": "a", "CE-Id": "b"}
    text = refused(await post(service, good, b""))

    assert "invalid CloudEvent.id: the header is there twice" == text


@pytest.mark.parametrize(
    "kind",
    [
        "application/cloudevents+xml",
        "application/cloudevents-batch+avro",
        "application/cloudevents",
    ],
)
async def test_other_formats_are_not_read(service, kind):
    """
    With the status that says so, and what is read instead.
    """
    response = await structured(service, b"<event/>", kind)

    assert 415 == response.status
    assert f"send {STRUCTURED} or {BATCH}" in json.loads(response.body)["message"]


async def test_compressed_events_are_unpacked_up_to_the_limit(service):
    """
    A batch compresses well; a bomb does, too.
    """
    headers = {"content-type": STRUCTURED, "content-encoding": "gzip"}
    fits = gzip.compress(json.dumps(event(data={})).encode())
    bomb = gzip.compress(b" " * (4 * KIB * KIB + 1))
    accepted(await post(service, headers, fits))
    too_large = refused(await post(service, headers, bomb))
    cut = refused(await post(service, headers, fits[:20]))
    other = refused(await post(service, {**headers, "content-encoding": "br"}, fits))

    assert "request is larger than 4194304 bytes" == too_large
    assert cut.startswith("the body cannot be unpacked")
    assert "content encoding 'br' is not supported, send gzip or none" == other


@pytest.mark.parametrize(
    ("caller", "status", "code"),
    [
        (Caller.NOBODY, 401, "unauthenticated"),
        (Caller.REVOKED, 401, "unauthenticated"),
        (Caller.VIEWER, 403, "permission_denied"),
        (Caller.ROLELESS, 404, "not_found"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"{", json.dumps(event()).encode()])
async def test_who_may_not_publish_learns_nothing_about_the_event(
    service, caller, status, code, body
):
    """
    The same permission as for every other publish, asked for before a byte of the body is read.
    """
    response = await post(service, {"content-type": STRUCTURED}, body, caller)

    assert (status, code) == (response.status, json.loads(response.body)["code"])
    assert ("www-authenticate" in response.headers) == (status == 401)


async def test_our_own_json_is_read_as_before(service):
    """
    The path is the same, and a header of a proxy makes no CloudEvent.
    """
    body = json.dumps({"events": [{"id": an_id(), "eventType": TYPE}]}).encode()
    headers = {"content-type": "application/json", "ce-trace": "x"}

    assert [1] == [result["deliveries"] for result in accepted(await post(service, headers, body))]


async def test_other_paths_take_no_cloud_events(service):
    """
    Who mistakes the path must not be told that an event was stored.
    """
    body = json.dumps(event()).encode()
    response = await post(service, {"content-type": STRUCTURED}, body, path="/v1/catalogue")

    assert 415 == response.status
