"""What users test with is what a sender sends."""

from __future__ import annotations

import pytest

from outrider.domain.calls.signature import (
    SIGNATURE_HEADERS,
    standard_webhooks_headers,
    zitadel_signature,
)
from outrider_receiver import Receiver
from outrider_receiver.testing import SAMPLES, SIGNING_KEY, Sender, sample
from outrider_receiver.testing_jose import Issuer


@pytest.mark.parametrize("signing_keys", [["one"], ["new", "old"]])
def test_a_sender_signs_as_outrider_does(signing_keys):
    """
    The same headers, byte for byte.
    """
    call = Sender(signing_keys, clock=lambda: 1_700_000_000.5).event()
    expected = {
        **dict.fromkeys(
            SIGNATURE_HEADERS, zitadel_signature(call.body, signing_keys, 1_700_000_000)
        ),
        **standard_webhooks_headers(call.body, "delivery-1", signing_keys, 1_700_000_000),
        "Content-Type": "application/json",
        "Outrider-Delivery": "delivery-1",
        "Outrider-Attempt": "1",
        "Outrider-Hops": "1",
    }

    assert expected == call.headers


def test_a_sender_signs_as_zitadel_does():
    """
    One header, no id.
    """
    call = Sender(as_zitadel=True, clock=lambda: 1_700_000_000).event()

    assert {"Content-Type", "Zitadel-Signature"} == call.headers.keys()


@pytest.mark.parametrize("payload_type", ["json", "jwt", "jwe"])
@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_sent_and_believed_in_every_payload_type(name, payload_type):
    """
    Requests of every kind and type.
    """
    issuer = ISSUER
    tokens = {"json": None, "jwt": issuer.tokens(decrypting=False), "jwe": issuer.tokens()}
    receiver = Receiver(signing_keys=SIGNING_KEY, tokens=tokens[payload_type])
    sender = Sender(issuer=issuer, payload_type=payload_type)

    opened = receiver.open(*sender.call(SAMPLES[name]))
    assert (sample(name), SAMPLES[name]) == (opened.payload, opened.body)
    assert sample(name) == receiver.open(*sender.call(sample(name))).payload


ISSUER = Issuer(algorithm="RS256", encryption="RSA-OAEP-256")


def test_each_kind_takes_the_fields_that_a_test_is_about():
    """
    The rest is the sample's.
    """
    sender, receiver = Sender(), Receiver(signing_keys=SIGNING_KEY)

    def payload_of(call):
        return receiver.open(*call).payload

    event = payload_of(sender.event("a.b", {"x": 1}, user_id="me"))
    assert ("a.b", {"x": 1}, "me") == (event.event_type, event.event_payload, event.user_id)
    request = payload_of(sender.request("/a.B/C", {"x": 1}, org_id="o"))
    assert ("/a.B/C", {"x": 1}, "o") == (request.full_method, request.request, request.org_id)
    response = payload_of(sender.response("/a.B/C", {"x": 1}, {"y": 2}, user_id=""))
    assert ({"x": 1}, {"y": 2}, "") == (response.request, response.response, response.user_id)
    function = payload_of(sender.function("preuserinfo", userinfo={"sub": "1"}))
    assert {"sub": "1"} == function.userinfo
    assert {"a": 1} == payload_of(sender.call({"function": "function/x", "a": 1})).extra


def test_tokens_need_an_issuer():
    """
    The mistake says what is missing.
    """
    with pytest.raises(ValueError, match="issuer"):
        Sender(payload_type="jwt").event()


def test_the_fixture_makes_calls_that_a_receiver_of_the_environment_believes(pytester_run):
    """
    As a user's own test has it.
    """
    assert "1 passed" in pytester_run


@pytest.fixture
def pytester_run(tmp_path):
    import subprocess
    import sys

    tmp_path.joinpath("conftest.py").write_text(
        'pytest_plugins = ["outrider_receiver.pytest_plugin"]\n'
    )
    tmp_path.joinpath("test_mine.py").write_text(
        "from outrider_receiver import Receiver\n\n\n"
        "def test_mine(outrider_sender):\n"
        "    assert 204 == Receiver().handle(*outrider_sender.event()).status\n"
    )
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:schemathesis",
            "-p",
            "no:cacheprovider",
            str(tmp_path),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout
