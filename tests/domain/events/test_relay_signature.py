"""Signatures of calls to the relay, checked with the same vectors as the receiver's."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.calls.signature import zitadel_signature
from outrider.domain.events.relay_signature import InvalidSignature, check_signature

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/signatures.json").read_text())
OURS = {"zitadel-signature", "x-zitadel-signature"}
CASES = [
    case
    for case in VECTORS["verifying"]
    if all(name.lower() in OURS for name, _ in case["headers"])
]
KEYS = st.text(st.characters(codec="utf-8"), min_size=1)
KEY, AT = "98KmsU67ABCdef0123456789ghijklMNOPQR", 1_700_000_000


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_vectors(case):
    """
    What a receiver with our SDK refuses, the relay refuses as well.
    """
    body = b64decode(case["body_base64"]) if "body_base64" in case else case["body"].encode()
    headers = [value for _, value in case["headers"]]
    arguments = headers, body, case["signing_keys"], case["now"], case["tolerance_seconds"]
    if case["result"] == "accepted":
        check_signature(*arguments)
    else:
        with pytest.raises(InvalidSignature):
            check_signature(*arguments)


def test_enough_vectors_are_about_this_header():
    """
    A filter that finds nothing tests nothing.
    """
    assert {"accepted", "malformed", "no_match", "too_old", "too_new", "missing"} <= {
        case["result"] for case in CASES
    }


@given(st.binary(), st.lists(KEYS, min_size=1, max_size=3), st.integers(-9, 9))
def test_what_we_sign_is_accepted_within_the_window_and_nowhere_else(body, signing_keys, late):
    """
    One outrider relays to another, whatever the keys are.
    """
    header = zitadel_signature(body, signing_keys, AT)
    if abs(late) <= 5:
        check_signature([header], body, signing_keys[-1:], AT + late, 5)
        with pytest.raises(InvalidSignature, match="no known signing key"):
            check_signature([header], body + b" ", signing_keys, AT + late, 5)
    else:
        with pytest.raises(InvalidSignature, match="too old" if late > 0 else "from the future"):
            check_signature([header], body, signing_keys, AT + late, 5)


def test_a_clock_without_a_time_lets_nothing_in():
    """
    NaN compares false with everything.
    """
    header = zitadel_signature(b"", [KEY], AT)
    with pytest.raises(InvalidSignature):
        check_signature([header], b"", [KEY], float("nan"), 300)
