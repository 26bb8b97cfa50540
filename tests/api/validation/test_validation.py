"""The rules of the proto files, applied in ZITADEL's order and words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protobuf.wkt import Duration, Timestamp

from api.contract import REGISTRY
from outrider.api.validation.go_names import go_duration, go_message_name, go_name
from outrider.api.validation.rules import MAX_TIMESTAMP_SECONDS, MIN_TIMESTAMP_SECONDS
from outrider.api.validation.validation import validate
from outrider.errors import InvalidRequest
from outrider_api.outrider.v1.target_policy_service_pb import RetryPolicy, TargetPolicy
from outrider_api.zitadel.action.v2.action_service_pb import (
    AddPublicKeyRequest,
    CreateTargetRequest,
    GetTargetRequest,
)

VECTORS = Path(__file__).parents[3] / "vectors" / "validation.json"
CASES = json.loads(VECTORS.read_text())["cases"]


def expanded(value: Any) -> Any:
    """The vector's JSON with "@N" written out."""
    if isinstance(value, str) and re.fullmatch(r"@\d+", value):
        return "a" * int(value[1:])
    if isinstance(value, dict):
        return {name: expanded(item) for name, item in value.items()}
    return [expanded(item) for item in value] if isinstance(value, list) else value


def violation(message: Any) -> str | None:
    """The text of the first violation."""
    try:
        validate(message)
    except InvalidRequest as error:
        return error.message
    return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: json.dumps(case["json"])[:60])
def test_the_first_violation_is_the_one_in_the_vectors(case):
    """
    Clients of ZITADEL match on these texts, and other servers can run the same vectors.
    """
    desc = REGISTRY.message(case["message"])
    assert desc is not None
    message = desc.type.from_json(json.dumps(expanded(case["json"])))
    assert case["expected"] == violation(message)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (1_000_000_000, "1s"),
        (1_500_000_000, "1.5s"),
        (60_000_000_000, "1m0s"),
        (270_000_000_000, "4m30s"),
        (604_800_000_000_000, "168h0m0s"),
        (-1_000_000_000, "-1s"),
        (3_600_000_000_001, "1h0m0.000000001s"),
    ],
)
def test_durations_are_written_as_go_writes_them(nanos: int, text: str):
    """
    They stand in the texts of violations.
    """
    assert text == go_duration(nanos)


def test_names_are_written_as_go_writes_them():
    """
    protoc-gen-go knows no initialisms, and keeps an underscore before a digit.
    """
    assert [go_name(name) for name in ("target_id", "in_target_ids_filter", "ca_pem", "a_1")] == [
        "TargetId",
        "InTargetIdsFilter",
        "CaPem",
        "A_1",
    ]
    entry = TargetPolicy.desc()
    assert go_message_name(entry) == "TargetPolicy"


@given(st.text(max_size=250))
def test_a_length_is_counted_in_code_points(text: str):
    """
    An id of 200 emoji is as long as one of 200 letters.
    """
    assert (1 <= len(text) <= 200) == (violation(GetTargetRequest(id=text)) is None)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_a_time_that_passes_can_be_converted(seconds: int, nanos: int):
    """
    Handlers convert without a care; what would overflow is refused before.
    """
    stamp = Timestamp(seconds=seconds, nanos=nanos)
    request = AddPublicKeyRequest(target_id="1", public_key=b"k", expiration_date=stamp)
    if violation(request) is None:
        assert stamp.to_datetime().year <= 9999
    else:
        assert not (MIN_TIMESTAMP_SECONDS <= seconds < MAX_TIMESTAMP_SECONDS and 0 <= nanos < 10**9)


@pytest.mark.parametrize("seconds", [MIN_TIMESTAMP_SECONDS, MAX_TIMESTAMP_SECONDS])
def test_the_first_and_the_last_second_are_times(seconds: int):
    """
    ZITADEL answers with the first second of the year 1 where it knows no date.
    """
    stamp = Timestamp(seconds=seconds)
    request = AddPublicKeyRequest(target_id="1", public_key=b"k", expiration_date=stamp)
    assert violation(request) is None
    assert stamp.to_datetime().tzinfo is not None


@pytest.mark.parametrize(
    "duration",
    [
        Duration(seconds=315_576_000_001),
        Duration(seconds=1, nanos=-1),
        Duration(seconds=-1, nanos=1),
        Duration(nanos=10**9),
    ],
    ids=str,
)
def test_what_is_no_duration_is_refused_as_such(duration: Duration):
    """
    Binary protobuf can carry seconds and nanoseconds of different signs.
    """
    request = CreateTargetRequest(name="n", timeout=duration)
    assert (
        violation(request) == "invalid CreateTargetRequest.Timeout: value is not a valid duration"
    )


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_share_lies_between_nothing_and_all(jitter: float):
    """
    NaN is neither less nor greater than a bound, and must not slip through.
    """
    policy = TargetPolicy(retry=RetryPolicy(jitter=jitter))
    assert (0 <= jitter <= 1) == (violation(policy) is None)
