"""Messages that would take long to decode are refused before they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.api.asgi.limits import REQUEST_BYTES
from outrider.api.rpc.binary_values import MAX_VALUES, TooManyValuesError, check_values
from outrider_api.outrider.v1.delivery_service_pb import ListDeliveriesRequest
from outrider_api.outrider.v1.event_service_pb import PublishEventsRequest
from outrider_api.outrider.v1.interception_service_pb import InterceptRequestRequest
from outrider_api.zitadel.action.v2.action_service_pb import ListTargetsRequest


def field(number: int, content: bytes) -> bytes:
    """A field of bytes: a text, or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    octets = b""
    while number > 127:
        octets += bytes([number & 127 | 128])
        number >>= 7
    return octets + bytes([number])


PADDING = field(4, b"x" * MAX_VALUES)
NULL = field(1, b"\x08\0")
HEADER = field(5, field(1, b"name"))
FEW = MAX_VALUES // 2 - 100
MANY = MAX_VALUES // 2 + 100

FLOODS = {
    "empty messages": (PublishEventsRequest, lambda count: field(1, b"") * count),
    "values of a list": (
        InterceptRequestRequest,
        lambda count: field(
            6, field(1, field(1, b"a") + field(2, field(6, NULL * (count * 2 // 3))))
        ),
    ),
    "pairs of a map": (InterceptRequestRequest, lambda count: HEADER * (count * 2 // 3)),
    "unknown numbers": (InterceptRequestRequest, lambda count: b"\xf8\x07\x01" * (count * 2)),
    "filters": (ListTargetsRequest, lambda count: field(3, b"") * count),
}


@pytest.mark.parametrize(("kind", "flood"), FLOODS.values(), ids=FLOODS)
def test_many_values_are_refused_and_fewer_are_not(kind, flood):
    check_values(PADDING + flood(FEW), kind.desc())
    with pytest.raises(TooManyValuesError, match=f"more than {MAX_VALUES} values"):
        check_values(PADDING + flood(MANY), kind.desc())


def test_numbers_without_tags_count_too():
    packed = field(1, b"\x01" * (MAX_VALUES + 1))
    with pytest.raises(TooManyValuesError):
        check_values(packed, ListDeliveriesRequest.desc())


def test_a_long_text_is_one_value():
    check_values(field(4, b"\n\0" * (REQUEST_BYTES // 2 - 8)), InterceptRequestRequest.desc())


def test_a_thousand_events_with_text_are_few():
    event = field(1, b"id") + field(7, b"order.paid") + field(11, b'{"items":[1,2,3]}' * 10)
    check_values(field(1, event) * 1000, PublishEventsRequest.desc())


@given(st.binary(max_size=200).map(lambda piece: piece * (MAX_VALUES // max(1, len(piece)) + 2)))
def test_any_bytes_are_looked_through(data: bytes):
    """
    What is no message may pass: decoding refuses it.
    """
    try:
        check_values(data, PublishEventsRequest.desc())
    except TooManyValuesError:
        assert len(data) > MAX_VALUES
