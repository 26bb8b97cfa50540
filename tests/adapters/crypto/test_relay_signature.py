"""Signatures of calls to the relay, checked with the same vectors as the receiver's."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.adapters.crypto.relay_signature import SignatureVerifier
from outrider.domain.calls.signature import zitadel_signature
from outrider.usecases.ports.external_tokens import InvalidSignature

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/signatures.json").read_text())
OURS = {"zitadel-signature", "x-zitadel-signature"}
CASES = [
    case
    for case in VECTORS["verifying"]
    if all(name.lower() in OURS for name, _ in case["headers"])
]
# Of the others, only the body tells.
HOPELESS = [case for case in CASES if case["result"] not in {"accepted", "no_match"}]
KEYS = st.text(st.characters(codec="utf-8"), min_size=1)
KEY, AT = "98KmsU67ABCdef0123456789ghijklMNOPQR", 1_700_000_000


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_vectors(case):
    """
    What a receiver with our SDK refuses, the relay refuses as well.
    """
    body = b64decode(case["body_base64"]) if "body_base64" in case else case["body"].encode()
    headers = [value for _, value in case["headers"]]
    verifier = SignatureVerifier(case["signing_keys"], case["tolerance_seconds"])
    if case["result"] == "accepted":
        verifier.check_headers(headers, case["now"])
        verifier.check(headers, body, case["now"])
    else:
        with pytest.raises(InvalidSignature):
            verifier.check(headers, body, case["now"])


@pytest.mark.parametrize("case", HOPELESS, ids=[case["name"] for case in HOPELESS])
def test_what_no_body_can_make_genuine_is_refused_before_it_is_read(case):
    """
    Only a body that was not signed needs the body.
    """
    headers = [value for _, value in case["headers"]]
    verifier = SignatureVerifier(case["signing_keys"], case["tolerance_seconds"])
    with pytest.raises(InvalidSignature):
        verifier.check_headers(headers, case["now"])


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
        SignatureVerifier(signing_keys[-1:], 5).check([header], body, AT + late)
        with pytest.raises(InvalidSignature, match="with a known signing key"):
            SignatureVerifier(signing_keys, 5).check([header], body + b" ", AT + late)
    else:
        with pytest.raises(InvalidSignature, match="too old" if late > 0 else "from the future"):
            SignatureVerifier(signing_keys, 5).check([header], body, AT + late)


def test_a_clock_without_a_time_lets_nothing_in():
    """
    NaN compares false with everything.
    """
    header = zitadel_signature(b"", [KEY], AT)
    with pytest.raises(InvalidSignature):
        SignatureVerifier([KEY], 300).check([header], b"", float("nan"))


def test_a_header_without_a_signature_is_refused_before_the_body_is_read():
    """
    What cannot be a signature is dropped, and nothing is left to compare.
    """
    with pytest.raises(InvalidSignature, match="no signature in it"):
        SignatureVerifier([KEY], 300).check_headers([f"t={AT},v1=short"], AT)
