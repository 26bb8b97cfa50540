"""The bytes that targets get for an event, and which events are taken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.calls.signature import zitadel_signature
from outrider.domain.events.event import MAX_PAYLOAD_BYTES, Event, check_event, render_body
from outrider.domain.ids import EventId, InstanceId
from outrider.errors import InvalidRequest
from support.builders import an_event

VECTORS = json.loads(
    Path(__file__).parents[3].joinpath("vectors", "event_bodies.json").read_text(encoding="utf-8")
)
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
EVENTS = st.builds(
    Event,
    id=TEXTS,
    event_type=st.from_regex(r"[A-Za-z0-9_-]{1,5}(\.[A-Za-z0-9_-]{1,5}){0,3}", fullmatch=True),
    created_at_ns=st.integers(-(10**18), 10**19),
    aggregate_id=TEXTS,
    aggregate_type=TEXTS,
    resource_owner=TEXTS,
    version=TEXTS,
    sequence=st.integers(0, 2**64 - 1),
    user_id=TEXTS,
    payload_json=st.none()
    | st.dictionaries(TEXTS, st.floats() | TEXTS, max_size=3).map(json.dumps),
)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_a_body_is_the_one_in_the_vectors(case):
    """
    Byte for byte: it is what the signature covers.
    """
    event = Event(id=EventId("any"), **case["event"])

    assert case["body"].encode() == render_body(event, InstanceId(case["instance_id"]))


@pytest.mark.parametrize(
    "case", [vector for vector in VECTORS["cases"] if "v1" in vector], ids=lambda case: case["name"]
)
def test_the_contracts_example_has_the_contracts_signature(case):
    """
    The one pair of body and signature that ZITADEL's side published.
    """
    event = Event(id=EventId("any"), **case["event"])
    body = render_body(event, InstanceId(case["instance_id"]))

    assert 235 == len(body)
    assert f"t={case['at']},v1={case['v1']}" == zitadel_signature(
        body, [case["signing_key"]], case["at"]
    )


@given(EVENTS, TEXTS)
def test_a_body_is_json_with_what_the_event_says(event, instance_id):
    """
    Receivers parse it; nothing that is empty is in it, and nothing else is missing.
    """
    body = render_body(event, InstanceId(instance_id))
    fields = json.loads(body)
    payload = fields.pop("event_payload", None)
    fields.pop("created_at")
    expected = {
        "aggregateID": event.aggregate_id,
        "aggregateType": event.aggregate_type,
        "resourceOwner": event.resource_owner,
        "instanceID": instance_id,
        "version": event.version,
        "sequence": event.sequence,
        "event_type": event.event_type,
        "userID": event.user_id,
    }

    assert {name: value for name, value in expected.items() if value} == fields
    assert repr(payload) == repr(event.payload_json and json.loads(event.payload_json))
    assert body == render_body(replace(event, id=EventId("another")), InstanceId(instance_id))


@pytest.mark.parametrize(
    "event_type", ["user", "user.human.added", "A-Z_0.9", "-", "x" * 1000, "user.human.mfa.init"]
)
def test_event_types_are_dot_separated_segments(event_type):
    """
    ZITADEL's are; a publisher's own may be longer, or one word.
    """
    check_event(an_event(event_type=event_type), 0)


@pytest.mark.parametrize(
    "event_type",
    [
        *(
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a.*",
            "*",
            "é",
            "a/b",
            "a\n",
            "a.b\n",
            "a\u0660",
            "a:b",
        )
    ],
)
def test_another_event_type_is_refused_by_its_position(event_type):
    """
    A publisher with a thousand events in one call must know which one is wrong.
    """
    with pytest.raises(InvalidRequest) as refused:
        check_event(an_event(event_type=event_type), 3)

    assert (
        "invalid PublishEventsRequest.Events[3].EventType:"
        " value must be dot-separated segments of A-Z, a-z, 0-9, _ and -" == str(refused.value)
    )


@pytest.mark.parametrize(
    "payload", [None, "{}", ' {"a": [1, 2.50, null]} ', '{"a":"' + "é" * 9 + '"}']
)
def test_a_payload_is_one_json_object_or_nothing(payload):
    """
    As an object it is part of the body.
    """
    check_event(an_event(payload_json=payload), 0)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "value must be one JSON object: Expecting value"),
        ("[]", "value must be one JSON object: must be a JSON object"),
        ("{}{}", "value must be one JSON object: Extra data"),
        ('{"a":NaN}', "value must be one JSON object: NaN is not JSON"),
        ("[" * 10_000, "value must be one JSON object: nested too deep"),
    ],
    ids=lambda text: text[:12],
)
def test_another_payload_is_refused_by_its_position(payload, reason):
    """
    With what is wrong and where, as far as the parser can tell.
    """
    with pytest.raises(InvalidRequest) as refused:
        check_event(an_event(payload_json=payload), 12)

    assert str(refused.value).startswith(
        f"invalid PublishEventsRequest.Events[12].EventPayload: {reason}"
    )


@pytest.mark.parametrize("letter", ["x", "é", "🦝"])
def test_a_payload_is_measured_in_bytes(letter):
    """
    512 KiB as they travel, however many letters that is.
    """
    left = MAX_PAYLOAD_BYTES - len('{"a":""}')
    most = letter * (left // len(letter.encode()))
    check_event(an_event(payload_json=f'{{"a":"{most}"}}'), 0)

    with pytest.raises(InvalidRequest, match=r"Events\[7\].EventPayload: value length must be at"):
        check_event(an_event(payload_json=f'{{"a":"{most}{letter}"}}'), 7)


def test_a_payload_is_not_shown():
    """
    It may hold what only the target should see.
    """
    assert "a&b" not in repr(an_event())


def test_an_id_that_no_store_can_keep_is_refused():
    """
    Half an idempotency key would make two events one.
    """
    with pytest.raises(InvalidRequest, match=r"Events\[7\]\.Id: value must not contain NUL"):
        check_event(an_event(id="a\0b"), 7)
