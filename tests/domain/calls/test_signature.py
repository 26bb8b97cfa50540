"""What we sign is what others verify: vectors, the standard library, and another package."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from outrider.domain.calls.signature import (
    SIGNATURE_HEADERS,
    standard_webhooks_headers,
    zitadel_signature,
)

VECTORS = Path(__file__).parents[3] / "vectors"
SIGNING_KEY = "98KmsU67ABCdef0123456789ghijklMNOPQR"
# Around the block size of SHA-256, where the key is hashed first.
SIGNING_KEYS = st.text(min_size=1, max_size=70) | st.sampled_from(["a" * 63, "a" * 64, "a" * 65])
INSTANTS = st.integers(0, 10**11 - 1)


def cases(name: str):
    document = json.loads(VECTORS.joinpath(name).read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in document["signing"]]


def body_of(case) -> bytes:
    return case["body"].encode() if "body" in case else base64.b64decode(case["body_base64"])


@pytest.mark.parametrize("case", cases("signatures.json"))
def test_zitadels_signature_is_the_one_in_the_vectors(case):
    """
    Receivers written for ZITADEL must verify our calls without a change.
    """
    header = zitadel_signature(body_of(case), case["signing_keys"], case["at"])

    assert case["header"] == header


@pytest.mark.parametrize("case", cases("standard_webhooks.json"))
def test_the_standard_webhooks_headers_are_those_in_the_vectors(case):
    """
    Receivers in any language have a library for these.
    """
    headers = standard_webhooks_headers(
        body_of(case), case["message_id"], case["signing_keys"], case["at"]
    )

    assert case["headers"] == headers


@given(st.binary(max_size=200), SIGNING_KEYS, INSTANTS)
def test_the_remembered_halves_of_a_key_make_the_hmac_of_the_standard_library(
    body, signing_key, at
):
    """
    The short cut is only allowed as long as its results are the same.
    """
    expected = hmac.new(signing_key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()

    assert f"t={at},v1={expected}" == zitadel_signature(body, [signing_key], at)
    assert f"t={at},v1={expected}" == zitadel_signature(body, [signing_key], at)


@pytest.mark.parametrize("body", [b"{}", '{"name":"Zoë"}'.encode()])
def test_the_standard_webhooks_package_accepts_what_we_sign(body):
    """
    Its users verify our calls with the one line that its README shows.
    """
    now = int(time.time())  # noqa: TID251 - the package reads the real clock
    headers = standard_webhooks_headers(body, "314159265358979323", ["first", SIGNING_KEY], now)
    secret = "whsec_" + base64.b64encode(SIGNING_KEY.encode()).decode()

    assert json.loads(body) == Webhook(secret).verify(body, headers)


@pytest.mark.parametrize("signing_keys", [[], [""], [SIGNING_KEY, ""]])
def test_nothing_is_signed_without_a_key(signing_keys):
    """
    A forgotten secret must stop the call, not sign it with a well-known key.
    """
    with pytest.raises(ValueError, match="signing key"):
        zitadel_signature(b"{}", signing_keys, 1)
    with pytest.raises(ValueError, match="signing key"):
        standard_webhooks_headers(b"{}", "1", signing_keys, 1)


def test_an_id_with_a_full_stop_is_not_signed():
    """
    It would have a second reading, in which part of the id is the time or the body.
    """
    with pytest.raises(ValueError, match="full stop"):
        standard_webhooks_headers(b"{}", "1.2", [SIGNING_KEY], 1)


def test_the_header_goes_under_both_of_its_names():
    """
    ZITADEL sends one, its API reference documents the other, and receivers read either.
    """
    assert ("Zitadel-Signature", "X-Zitadel-Signature") == SIGNATURE_HEADERS
