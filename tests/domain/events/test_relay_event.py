"""Events that come through the relay: what is read of them, and what they are known by."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.events.event import Event, render_body
from outrider.domain.events.relay_event import MAX_ID, read_relayed, relayed_id
from outrider.domain.ids import EventId, InstanceId
from outrider.errors import InvalidRequest

VECTORS = Path(__file__).parents[3] / "vectors"
CASES = json.loads((VECTORS / "event_bodies.json").read_text())["cases"]
SHAPES = json.loads((VECTORS / "relay_shapes.json").read_text())["cases"]
REFUSED = {
    "": "no JSON object",
    "[]": "no JSON object",
    "null": "no JSON object",
    '{"event_type": "a"': "no JSON object",
    "[" * 5000 + "]" * 5000: "no JSON object",
    '{"event_type": 7}': "event_type must be a text",
    '{"event_type": null}': "event_type must be a text",
    '{"event_type": ""}': "event_type must be a text",
    "{}": "the body is no event: event_type is missing",
    '{"fullMethod": "/a.B/C", "request": {}}': "the call of a request or response",
    '{"function": "function/preuserinfo"}': "the call of a function",
    '{"event_type": "a", "iss": "https://a.example", "exp": 1}': "the body is a token",
}
texts = st.text(max_size=80)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_bodies_of_the_contract_are_read_back(case):
    """
    What ZITADEL writes is what we would write of the event that we read.
    """
    event, origin = read_relayed(case["body"].encode())

    assert case["instance_id"] == origin
    assert case["body"].encode() == render_body(event, InstanceId(origin))


@pytest.mark.parametrize(("body", "reason"), REFUSED.items())
def test_what_is_no_event_is_refused(body, reason):
    """
    With a text that says what was bound to the relay by mistake.
    """
    with pytest.raises(InvalidRequest) as refused:
        read_relayed(body.encode())

    assert reason in str(refused.value)


@pytest.mark.parametrize("case", SHAPES, ids=[case["name"] for case in SHAPES])
def test_an_event_is_not_lost_for_its_shape(case):
    """
    ZITADEL does not send again what the relay refuses, and what it signed is its business.
    """
    event, _ = read_relayed(case["body"].encode(), 42)

    assert case["read"] == {name: getattr(event, name) for name in case["read"]}


@pytest.mark.parametrize("levels", [201, 990, 2000, 200_000])
def test_a_deep_payload_is_carried(levels):
    """
    No parser goes so deep; what stands around it is read all the same.
    """
    lists = "[" * levels + r"""{"\\\"}":"]"}""" + "]" * levels
    payload = f'{{"a":{lists},"b":"{{\\"[\\\\"}}'
    body = f'{{"event_type":"a","event_payload":{payload},"sequence":7,"version":"]}}"}}'
    event, _ = read_relayed(body.encode())

    assert ("a", 7, "]}") == (event.event_type, event.sequence, event.version)
    assert payload == event.payload_json


def test_who_signed_the_call_itself_sends_no_tokens():
    """
    A newer ZITADEL may give an event members that tokens have, too.
    """
    event, _ = read_relayed(b'{"event_type":"a","iat":1}', may_be_token=False)

    assert "a" == event.event_type


def test_bytes_that_are_no_text_are_refused():
    """
    Targets would get them as they are.
    """
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        read_relayed(b'{"event_type": "\xff"}')


def test_what_a_newer_zitadel_adds_is_no_reason_to_refuse():
    """
    An event that is refused is lost there.
    """
    body = b'{"event_type":"a","created_at":"2025-01-02T03:04:05Z","userID":null,"event_payload":null,"position":[1.5e400,{"z":null}]}'
    event, _ = read_relayed(body)

    assert ("a", "", None) == (event.event_type, event.user_id, event.payload_json)


def known(aggregate_type: str, aggregate_id: str, sequence: int = 1, origin: str = "3") -> str:
    event = Event(
        id=EventId(""),
        event_type="a",
        created_at_ns=0,
        aggregate_type=aggregate_type,
        aggregate_id=aggregate_id,
        sequence=sequence,
    )
    return relayed_id(event, origin, b"the body")


def test_the_key_is_readable():
    """
    Operators search the delivery log by it.
    """
    assert "zitadel/3/user/1/7" == known("user", "1", 7)
    assert "zitadel/3/a%2Fb/%C3%A4/7" == known("a/b", "ä", 7)


@given(st.tuples(texts, texts, texts), st.tuples(texts, texts, texts))
def test_different_aggregates_have_different_keys(one, other):
    """
    An event that is taken for another one is lost.
    """
    ids = [known(kind, id_, origin=origin) for kind, id_, origin in (one, other)]

    assert all(len(event_id) <= MAX_ID for event_id in ids)
    if all(one) and all(other):
        assert (one == other) == (ids[0] == ids[1])


@pytest.mark.parametrize(
    "event",
    [
        ("", "1", 7, "3"),
        ("user", "", 7, "3"),
        ("user", "1", 0, "3"),
        ("user", "1", 7, ""),
        ("user", "1" * 1001, 7, "3"),
    ],
)
def test_an_event_without_a_key_is_known_by_its_body(event):
    """
    Else all events without a sequence would be one.
    """
    assert f"zitadel/body/{sha256(b'the body').hexdigest()}" == known(*event)
