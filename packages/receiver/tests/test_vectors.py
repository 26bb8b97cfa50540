"""The results that any receiver in any language should give."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path

import pytest

from outrider_receiver import InvalidSignature, Reason, verify
from outrider_receiver.testing import sign

OF_TOKENS = {"not_allowed", "unknown_key", "unreadable"}
VECTORS = Path(__file__).parents[3] / "vectors"


def cases(part: str, *names: str):
    return [
        pytest.param(case, id=f"{name}: {case['name']}")
        for name in names
        for case in json.loads(VECTORS.joinpath(name).read_text(encoding="utf-8"))[part]
    ]


def body_of(case) -> bytes:
    return case["body"].encode() if "body" in case else base64.b64decode(case["body_base64"])


def result_of(case) -> dict[str, object]:
    try:
        call = verify(
            body_of(case),
            [(name, value) for name, value in case["headers"]],
            signing_keys=case["signing_keys"],
            now=case["now"],
            tolerance=timedelta(seconds=case["tolerance_seconds"]),
        )
    except InvalidSignature as refusal:
        return {"result": refusal.reason.value}
    return {
        "result": "accepted",
        "signed_at": call.signed_at.timestamp(),
        "delivery_id": call.delivery_id,
        "attempt": call.attempt,
        "event_id": call.event_id,
        "replay_of": call.replay_of,
    }


@pytest.mark.parametrize("case", cases("verifying", "signatures.json", "standard_webhooks.json"))
def test_the_result_is_the_one_in_the_vectors(case):
    """
    A client that reaches the URL chooses the headers: each way of being wrong has its reason.
    """
    result = result_of(case)

    assert {name: case.get(name) for name in result} == result


def test_the_vectors_have_more_than_a_hundred_hostile_cases_and_every_reason():
    """
    A reason that no vector gives is one that the next implementation will not have. Those of
    tokens are in the vectors of receivers.
    """
    results = [
        case.values[0]["result"]
        for case in cases("verifying", "signatures.json", "standard_webhooks.json")
    ]

    assert len(results) - results.count("accepted") > 100
    assert {reason.value for reason in Reason} - OF_TOKENS | {"accepted"} == set(results)


@pytest.mark.parametrize("case", cases("signing", "signatures.json"))
def test_what_the_testing_module_signs_is_what_a_sender_sends(case):
    """
    A receiver tested with another signature than the real one is not tested.
    """
    header = sign(body_of(case), signing_keys=case["signing_keys"], at=case["at"])

    assert case["header"] == header


@pytest.mark.parametrize("case", cases("signing", "signatures.json"))
def test_what_a_sender_signs_is_accepted(case):
    """
    With each of the keys alone, as a receiver has it before and after a rotation.
    """
    for signing_key in case["signing_keys"]:
        call = verify(
            body_of(case),
            {"ZITADEL-Signature": case["header"]},
            signing_keys=signing_key,
            now=case["at"],
        )

        assert case["at"] == call.signed_at.timestamp()


@pytest.mark.parametrize("case", cases("signing", "standard_webhooks.json"))
def test_what_a_standard_sender_signs_is_accepted(case):
    """
    The same, for the other spelling.
    """
    for signing_key in case["signing_keys"]:
        call = verify(body_of(case), case["headers"], signing_keys=signing_key, now=case["at"])

        assert case["message_id"] == call.delivery_id
