"""Payloads of calls: every field is typed, and no member is lost."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_receiver import (
    CustomFunction,
    Event,
    InvalidCall,
    PreAccessToken,
    PreSamlResponse,
    PreUserinfo,
    Request,
    Response,
    parse_payload,
)
from outrider_receiver.payloads import payload_bytes
from outrider_receiver.testing import SAMPLES, sample

KINDS = {
    "event": Event,
    "request": Request,
    "response": Response,
    "preuserinfo": PreUserinfo,
    "preaccesstoken": PreAccessToken,
    "presamlresponse": PreSamlResponse,
}


YEAR_TWO = datetime.fromisoformat("0002-01-01")  # the year before is Go's zero


def unset(value, path: str = "") -> list[str]:
    """The fields of a payload, at any depth, that have their default."""
    found: list[str] = []
    if dataclasses.is_dataclass(value):
        empty = type(value)()
        for field in dataclasses.fields(value):
            current = getattr(value, field.name)
            if field.name != "extra" and current == getattr(empty, field.name):
                found.append(f"{path}.{field.name}")
            found += unset(current, f"{path}.{field.name}")
    elif isinstance(value, tuple):
        for element in value:
            found += unset(element, path)
    return found


def extras(value) -> list[object]:
    """What was not known, at any depth."""
    found: list[object] = []
    if dataclasses.is_dataclass(value):
        found += [value.extra] if value.extra else []
        for field in dataclasses.fields(value):
            found += extras(getattr(value, field.name))
    elif isinstance(value, tuple):
        for element in value:
            found += extras(element)
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_the_golden_sample_has_every_field_and_no_other(name):
    """
    A field that is not in a sample is one whose name no test has checked.
    """
    payload = sample(name)

    assert KINDS[name] is type(payload)
    assert [] == extras(payload)
    # The innermost actor acts for no other.
    assert {".actor.actor.actor"} >= set(unset(payload))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_typed_payload_says_what_it_was_read_from(name):
    """
    What tests send is what was typed.
    """
    again = parse_payload(payload_bytes(sample(name)))

    assert sample(name) == again
    assert json.loads(SAMPLES[name]) == normal(json.loads(payload_bytes(again)))


def normal(value):
    """Times as the samples have them."""
    if isinstance(value, dict):
        return {name: normal(member) for name, member in value.items()}
    if isinstance(value, list):
        return [normal(element) for element in value]
    return value.replace(".123000Z", ".123Z") if isinstance(value, str) else value


def test_the_contracts_example_of_an_event():
    """
    The bytes of docs/contract.md#body-of-an-event.
    """
    body = (
        b'{"aggregateID":"1","aggregateType":"user","resourceOwner":"2","instanceID":"3",'
        b'"version":"v2","sequence":7,"event_type":"user.human.added",'
        b'"created_at":"2025-01-02T03:04:05.678901Z","userID":"4",'
        b'"event_payload":{"userName":"a\\u0026b"}}'
    )
    expected = Event(
        aggregate_id="1",
        aggregate_type="user",
        resource_owner="2",
        instance_id="3",
        version="v2",
        sequence=7,
        event_type="user.human.added",
        created_at=datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc),
        user_id="4",
        event_payload={"userName": "a&b"},
    )

    assert expected == parse_payload(body)


SHAPES = json.loads(
    (Path(__file__).parents[3] / "vectors" / "relay_shapes.json").read_text("utf-8")
)["cases"]


@pytest.mark.parametrize("case", SHAPES, ids=[case["name"] for case in SHAPES])
def test_an_event_is_not_lost_for_its_shape(case):
    """
    The relay takes what a sender signed as it is, so its receivers get it as it is.
    """
    event = parse_payload(case["body"].encode())
    expected = case["read"]

    assert type(event) is Event
    for name in ("aggregate_id", "aggregate_type", "version", "user_id", "sequence"):
        shown = str(getattr(event, name)).encode("utf-8", "replace").decode().replace("?", "\ufffd")
        assert str(expected.get(name, shown)) == shown
    if "payload_json" in expected:
        payload = event.event_payload
        assert (None if payload is None else dict(payload)) == json.loads(
            expected["payload_json"] or "null"
        )


def test_what_is_not_as_the_contract_says_is_in_extra():
    """
    Nothing of an event is lost; code that was promised an object meets none the less no text.
    """
    body = (
        b'{"event_type":"a","event_payload":"text","sequence":-1,"created_at":"today","userID":[]}'
    )
    event = parse_payload(body)

    assert Event(event_type="a", extra=event.extra) == event
    assert {"event_payload": "text", "sequence": -1, "created_at": "today", "userID": []} == (
        event.extra
    )


@pytest.mark.parametrize("number", ["1e400", "-1e999", "9" * 5000, "1e99999999999999999999999"])
def test_a_number_of_an_event_may_have_any_size(number):
    """
    PostgreSQL keeps such numbers in JSON, and so do those who carry events on.
    """
    event = parse_payload(f'{{"event_type":"a","event_payload":{{"n":{number}}}}}'.encode())

    assert event.event_payload is not None
    found = event.event_payload["n"]
    assert found == number if isinstance(found, str) else Decimal(number) == found


def test_what_is_empty_is_left_out_and_is_the_default():
    """
    Go leaves it out; a handler should not have to ask whether a name is there.
    """
    assert Event(event_type="a") == parse_payload(b'{"event_type":"a"}')
    assert Event(event_type="a") == parse_payload(b'{"event_type":"a","userID":null}')
    assert None is parse_payload(b'{"event_type":"a"}').event_payload
    assert PreUserinfo(function="function/preuserinfo") == parse_payload(
        b'{"function":"function/preuserinfo","user":null,"user_grants":null}'
    )
    assert Request(full_method="/a.B/C") == parse_payload(b'{"fullMethod":"/a.B/C","request":{}}')


def test_what_a_newer_sender_adds_is_kept():
    """
    At any depth, as it came.
    """
    body = {"function": "function/preuserinfo", "new": [1], "user": {"id": "1", "newer": {"a": 1}}}
    payload = parse_payload(json.dumps(body).encode())

    assert {"new": [1]} == payload.extra
    assert {"newer": {"a": 1}} == payload.user.extra
    assert body == json.loads(payload_bytes(payload))


def test_a_function_of_an_application_keeps_its_payload():
    """
    outrider lets applications register functions.
    """
    payload = parse_payload(b'{"function":"function/checkout","cart":[1],"response":{"a":1}}')

    expected = CustomFunction("function/checkout", response={"a": 1}, extra={"cart": [1]})
    assert expected == payload


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-02T03:04:05Z", "2025-01-02T03:04:05+00:00"),
        ("2025-01-02T03:04:05.1Z", "2025-01-02T03:04:05.100000+00:00"),
        ("2025-01-02T03:04:05.999999999Z", "2025-01-02T03:04:05.999999+00:00"),
        ("2025-01-02T03:04:05+02:30", "2025-01-02T00:34:05+00:00"),
        ("2025-01-02T03:04:05-02:30", "2025-01-02T05:34:05+00:00"),
    ],
)
def test_a_time_is_read_as_go_prints_it(text, expected):
    """
    With nanoseconds, and with the offset of the server's zone.
    """
    payload = parse_payload(json.dumps({"event_type": "a", "created_at": text}).encode())

    assert expected == payload.created_at.isoformat()


def test_gos_zero_time_is_none():
    """
    It is printed, and means that there is none.
    """
    body = b'{"function":"function/preuserinfo","user":{"creation_date":"0001-01-01T00:00:00Z"}}'

    assert None is parse_payload(body).user.creation_date


@given(
    st.builds(
        Event,
        event_type=st.text(),
        aggregate_id=st.text(),
        sequence=st.integers(0, 2**64 - 1),
        created_at=st.none() | st.datetimes(YEAR_TWO, timezones=st.just(timezone.utc)),
        event_payload=st.none() | st.dictionaries(st.text(), st.integers() | st.text()),
    )
)
def test_every_event_is_read_as_it_was_written(event):
    """
    Whatever texts and numbers are in it.
    """
    assert event == parse_payload(payload_bytes(event))


@given(st.binary())
def test_any_bytes_answer_with_one_exception(body):
    """
    Also for who parses alone.
    """
    with pytest.raises(InvalidCall):
        parse_payload(body)


@pytest.mark.parametrize("body", ["{}", {}, None, bytearray(b"{}")])
def test_what_is_not_bytes_is_the_programmers_mistake(body):
    """
    It was decoded already, or parsed.
    """
    with pytest.raises(TypeError, match="raw bytes"):
        parse_payload(body)


def test_payloads_are_frozen():
    """
    A handler answers; it does not change what came.
    """
    with pytest.raises(dataclasses.FrozenInstanceError):
        sample("event").user_id = "me"
